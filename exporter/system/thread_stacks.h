// Where the stacks of the process' threads are, without asking the threads.
//
// get_robust_list(2) tells an address inside each thread's own record (struct pthread),
// in which glibc keeps the stack's place and size, one word after the other. Where in the
// record is learned from the calling thread, whose stack is known. Other C libraries:
// none is found. Thread safety: one thread, which runs on a stack noted as own memory
// (own_memory.h). No GIL, no malloc.

#pragma once

#include <span>

#include "exporter/system/files.h"
#include "exporter/system/own_memory.h"
#include "exporter/system/safe_read.h"

namespace pymalloc_exporter {

class ThreadStacks {
 public:
  // Threads beyond these are not looked at.
  static constexpr int kMostThreads = 2048;

  // Looks at all threads. False where nothing can be told.
  bool Find(const KernelPaths& paths, const SafeReader& reader);

  // What was found, in the order of addresses; those of the main thread and of the caller
  // are not among them.
  std::span<const AddressRange> ranges() const {
    return {ranges_, static_cast<size_t>(count_)};
  }

 private:
  bool Learn();
  void Add(int thread, const SafeReader& reader);

  ptrdiff_t offset_ = 0;  // from the robust list to the stack's place; 0: not known
  int count_ = 0;
  AddressRange ranges_[kMostThreads];
};

}  // namespace pymalloc_exporter
