// Reading the pools of an arena: headers only, no lock, beside a running application.
//
// Layout, the same from CPython 3.8 to 3.15 (struct pool_header in Objects/obmalloc.c,
// from 3.12 on Include/internal/pycore_obmalloc.h), 48 bytes on 64-bit machines:
//    0 uint32  blocks in use         32 uint32  index of the arena
//    8 pointer first free block      36 uint32  size class
//   16 pointer next pool             40 uint32  offset of the next block not yet carved
//   24 pointer previous pool         44 uint32  largest such offset
// Pools lie on multiples of their size and are carved from the arena in address order.
// The last word is not zero once a pool is carved; fresh memory reads as zero.
//
// Thread safety: pure functions over memory that has to stay mapped while they run. No
// GIL.

#pragma once

#include <array>
#include <cstdint>

#include "exporter/sample/sample.h"

namespace pymalloc_exporter {

inline constexpr uint32_t kPoolHeaderBytes = 48;

// Sizes of one build of the interpreter, and what follows from them for each size class.
struct PoolGeometry {
  PoolGeometry(uint32_t arena, uint32_t pool);

  uint32_t arena_bytes;
  uint32_t pool_bytes;
  std::array<uint32_t, kSizeClasses> capacity;     // blocks in a pool
  std::array<uint32_t, kSizeClasses> last_offset;  // largest offset of a block to carve
  std::array<uint32_t, kSizeClasses> remainder;  // bytes of a pool that no block can use
};

// What a walk adds up.
struct PoolTally {
  uint64_t arenas = 0;
  uint64_t used_pools = 0;
  uint64_t free_pools = 0;
  uint64_t uncarved_pools = 0;
  uint64_t unreadable_pools = 0;  // header made no sense, three times
  std::array<uint64_t, kSizeClasses> class_live_blocks{};
  std::array<uint64_t, kSizeClasses> class_pools{};
  std::array<uint64_t, kOccupancyBands> arenas_by_occupancy{};
};

enum class ArenaKind {
  kArena,     // its first pool is carved and consistent
  kUncarved,  // its first pool is still all zero: look again later
  kForeign,   // memory of an arena's size that holds no pools
};

// The first pool of the arena at `base`: the lowest multiple of the pool size in it.
uintptr_t FirstPool(uintptr_t base, const PoolGeometry& geometry);

ArenaKind ClassifyArena(uintptr_t base, const PoolGeometry& geometry);

// Adds the pools of the arena at `base`. Reads one header a pool, at most arena / pool of
// them, and stops at the first pool that is not carved.
void TallyArena(uintptr_t base, const PoolGeometry& geometry, PoolTally& tally);

// The rows that follow from a tally. arenas_highwater, _allocated and _freed stay as they
// are.
void FillPymalloc(const PoolTally& tally, const PoolGeometry& geometry,
                  PymallocSample& out);

}  // namespace pymalloc_exporter
