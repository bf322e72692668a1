// Where glibc keeps what it knows of its heaps, found and proven on the running library.
//
// Its variables have no symbols and its structures differ between releases (2.43 dropped
// the fast bins), so no offset is written down: each is found by what it must hold, and
// checked against mallinfo2(). Source of what is looked for: malloc/malloc.c ("struct
// malloc_state", "struct malloc_par") and malloc/arena.c ("heap_info").
//
// Call at install, while the heap is small: mallinfo2() holds malloc's lock. Allocates.
// No GIL needed.

#pragma once

#include <cstdint>

#include "exporter/sample/collectors.h"
#include "exporter/system/module_data.h"

namespace pymalloc_exporter {

struct GlibcLayout {
  uintptr_t main_arena = 0;
  // In an arena ("struct malloc_state").
  uint32_t top_offset = 0;
  uint32_t next_offset = 0;
  uint32_t system_offset = 0;  // bytes that the arena has of the system
  uint32_t arena_bytes = 0;
  // The start of the main heap; 0 where it has none of brk's.
  uintptr_t main_heap = 0;
  // The count of bytes in blocks of their own mapping; null where malloc makes none.
  const volatile uint64_t* mapped_bytes = nullptr;
  // What such a mapping has beyond the block that it holds (2.43: 16).
  uint32_t mapping_extra_bytes = 0;
  // The count of such blocks (an int); null where it was not found.
  const volatile int32_t* mapped_blocks = nullptr;
  // The second word of a block in a thread's cache; 0: not known.
  uint64_t cached_key = 0;
  // Asked for (glibc.malloc.hugetlb): heaps may lie in reserved huge pages.
  bool huge_pages = false;

  // Whether `mapped_bytes` is what the mappings have. Where they have more than their
  // blocks, each realloc() of one makes it grow by as much, for good: there the number of
  // blocks has to agree.
  bool mapped_bytes_exact() const { return mapping_extra_bytes == 0; }

  uint64_t MainWord(uint32_t offset) const {
    return *reinterpret_cast<const volatile uint64_t*>(main_arena + offset);
  }
};

// What malloc itself says, with its lock.
struct MallocOracle {
  uint64_t heap_bytes;    // of all arenas
  uint64_t mapped_bytes;  // blocks of their own mapping
  uint64_t mapped_blocks;
  uint64_t in_use_bytes;     // everything that is not free
  uint64_t free_bytes;       // tops and fast bins included
  uint64_t fast_free_bytes;  // in fast bins, which the chunks themselves show as in use
};

// False where this glibc has no mallinfo2() (before 2.33).
bool AskMalloc(MallocOracle* oracle);

// kNone; kNoOracle; kOracleMismatch where something was not found just once.
// `malloc_code`: an address in the C library.
Reason ProveGlibc(uintptr_t malloc_code, GlibcLayout* layout);

// The largest size of a `heap_info`, and where it names its arena: at its start.
inline constexpr uint32_t kMostHeapInfoBytes = 0x80;

}  // namespace pymalloc_exporter
