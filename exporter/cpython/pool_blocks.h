// Which blocks of a pool are live: what was carved, without what its free list leads to.
//
// The application allocates and frees meanwhile, so that a walk of the list may go
// wrong: it counts only where it ended as it should, found as many blocks as the header
// says are free, and the header is unchanged at its end. Else it is made once more.
//
// Thread safety: pure functions over memory that has to stay mapped while they run. No
// GIL, no malloc.

#pragma once

#include <algorithm>
#include <cstdint>

#include "exporter/cpython/pool_walk.h"

namespace pymalloc_exporter {

struct PoolBlocks {
  static constexpr uint32_t kMostBlocks = 1024;  // 16 bytes each, in a pool of 16 KiB

  enum class Kind {
    kLive,      // `live_bits` tells which
    kCounted,   // in motion: `live` only
    kFree,      // a free pool
    kUncarved,  // and so are all that follow
    kUnreadable
  };

  Kind kind;
  uint32_t block_bytes;
  uint32_t capacity;  // blocks in the pool, carved or not
  uint32_t carved;
  uint32_t live;  // by the header
  uint64_t live_bits[kMostBlocks / 64];
};

// Reads the pool at `pool`, a multiple of the pool size.
void ReadPoolBlocks(uintptr_t pool, const PoolGeometry& geometry, PoolBlocks& out);

// The same by the header alone: counts, and kCounted for kLive.
void CountPoolBlocks(uintptr_t pool, const PoolGeometry& geometry, PoolBlocks& out);

// Calls visit(address of a live block) for each. REQUIRES: kLive.
template <typename Visit>
inline void ForEachLiveBlock(uintptr_t pool, const PoolBlocks& blocks, Visit visit) {
  for (uint32_t word = 0; word * 64 < blocks.carved; ++word) {
    uint64_t bits = blocks.live_bits[word];
    uintptr_t first = pool + kPoolHeaderBytes + uintptr_t{word} * 64 * blocks.block_bytes;
    while (bits != 0) {
      auto index = static_cast<uintptr_t>(__builtin_ctzll(bits));
      visit(first + index * blocks.block_bytes);
      bits &= bits - 1;
    }
  }
}

// What the pools of an arena add up to.
struct ArenaBytes {
  uint64_t live = 0;
  uint64_t free = 0;  // blocks and pools
  uint64_t usable = 0;

  void Add(const PoolBlocks& blocks, const PoolGeometry& geometry);

  // Whether what lives there keeps more from going back than it takes itself.
  bool sparse() const { return live > 0 && live * 2 < usable; }
};

// The arena is read in pieces of so many bytes.
inline constexpr uint32_t kPieceBytes = 64 * 1024;

// Calls visit(address of a pool) for each pool of a piece, until it returns false: at the
// first that is not carved. Returns whether that was the last of the arena.
template <typename Visit>
inline bool ForEachPool(uintptr_t arena, uint32_t piece, const PoolGeometry& geometry,
                        Visit visit) {
  uintptr_t end = arena + geometry.arena_bytes;
  uintptr_t pool = FirstPool(arena, geometry) + uintptr_t{piece} * kPieceBytes;
  uintptr_t stop = std::min(pool + kPieceBytes, end);
  for (; pool + geometry.pool_bytes <= stop; pool += geometry.pool_bytes) {
    if (!visit(pool)) return true;
  }
  return pool + geometry.pool_bytes > end;
}

}  // namespace pymalloc_exporter
