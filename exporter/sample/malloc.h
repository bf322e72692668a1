// The C heap as one walk found it.
//
// Plain data: no thread, no GIL, no allocation.

#pragma once

#include <array>
#include <cstdint>

namespace pymalloc_exporter {

// Who answers malloc() in this process. The order is part of the region's layout.
enum class Allocator : uint8_t {
  kUnknown,
  kGlibc,
  kMusl,
  kJemalloc,
  kTcmalloc,
  kMimalloc,
  kCount
};

inline constexpr int kAllocatorCount = static_cast<int>(Allocator::kCount);

inline constexpr const char* kAllocatorNames[kAllocatorCount] = {
    "unknown", "glibc", "musl", "jemalloc", "tcmalloc", "mimalloc"};

// Free chunks by size: the first band from 0, each up to its bound, the last one above
// all.
inline constexpr int kFreeChunkBands = 8;
inline constexpr std::array<uint64_t, kFreeChunkBands - 1> kFreeChunkBounds = {
    64, 256, 1024, 4096, 65536, 1 << 20, 16 << 20};

// One state of heap memory: its chunks with their headers, and how much of it lies on
// resident pages.
struct HeapFigure {
  uint64_t bytes = 0;
  uint64_t resident_bytes = 0;
  uint64_t chunks = 0;
};

// With glibc the four figures and the overhead add up to what malloc has of the system.
// Other allocators fill what their own statistics tell, and leave the rest 0.
struct MallocSample {
  Allocator allocator = Allocator::kUnknown;
  char version[32] = {};

  HeapFigure in_use;            // in heaps; what the threads' caches hold is in use, too
  HeapFigure free;              // in heaps, without the tops
  HeapFigure top;               // the free ends of the heaps, one an arena
  HeapFigure mmapped;           // blocks of their own mapping
  uint64_t overhead_bytes = 0;  // arena headers, fences, foreign memory in the heap
  uint64_t overhead_resident_bytes = 0;
  uint64_t undivided_bytes = 0;  // in use and free, where the allocator tells no more
  HeapFigure cached;             // of `in_use`: kept in the threads' caches for reuse

  uint64_t arenas = 0;
  uint64_t largest_free_chunk_bytes = 0;
  std::array<uint64_t, kFreeChunkBands> free_bytes_by_size{};

  // What malloc_trim(0) would give back: whole resident pages in free chunks, and those
  // of the main heap's top that it releases.
  uint64_t trim_bytes = 0;
};

}  // namespace pymalloc_exporter
