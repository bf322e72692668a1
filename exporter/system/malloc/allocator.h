// Which library answers malloc() in this process: looked up, never assumed.
//
// Call at install. No GIL needed. The dynamic linker may allocate.

#pragma once

#include <cstdint>

#include "exporter/sample/malloc.h"

namespace pymalloc_exporter {

struct AllocatorFound {
  Allocator allocator = Allocator::kUnknown;
  char version[32] = {};
  uintptr_t malloc_code = 0;  // lies in the library
};

// Looks at the module that `malloc` resolves to: the C library, or one that was preloaded
// or linked in and has the statistics interface of a known allocator.
AllocatorFound FindAllocator();

}  // namespace pymalloc_exporter
