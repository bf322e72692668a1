// What other allocators tell of themselves, where one of them answers malloc().
//
// Each through its own interface for statistics, which takes the allocator's locks, one
// after the other and for microseconds, walks no list of free memory, and allocates
// nothing of the application's (jemalloc makes the calling thread's own cache once).
//
//   jemalloc: mallctl(), "stats.*" after "epoch" (jemalloc.net, manual)
//   tcmalloc: MallocExtension_GetNumericProperty() (gperftools, malloc_extension.h)
//   mimalloc: mi_process_info(), which knows what is committed, not what of it is in use
//
// Thread safety: one thread. No GIL.

#pragma once

#include "exporter/sample/collectors.h"
#include "exporter/sample/malloc.h"

namespace pymalloc_exporter {

class MallocStatistics {
 public:
  // At install: kNone, or kUnreadable where the interface is not complete (jemalloc built
  // without statistics).
  Reason Begin(Allocator allocator);

  // Fills `sample`. kNone or kUnreadable.
  Reason Read(MallocSample* sample) const;

 private:
  Allocator allocator_ = Allocator::kUnknown;
  void* function_ = nullptr;
};

}  // namespace pymalloc_exporter
