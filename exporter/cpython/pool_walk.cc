#include "exporter/cpython/pool_walk.h"

#include <algorithm>

namespace pymalloc_exporter {
namespace {

constexpr int kReadAttempts = 3;
constexpr uint64_t kBandPercent = 10;

// How many pools ahead headers are asked for. All headers of an arena fall into one set
// of a first-level cache, which holds some 8 to 12: more would drive each other out.
constexpr uint64_t kPrefetchDistance = 12;

struct PoolHeader {
  uint32_t live_blocks;
  uint32_t unused;
  uint64_t free_block, next, previous;
  uint32_t arena_index;
  uint32_t size_class;
  uint32_t next_offset;
  uint32_t last_offset;
};
static_assert(sizeof(PoolHeader) == kPoolHeaderBytes);

enum class PoolKind { kUsed, kFree, kUncarved, kUnreadable };

constexpr uint32_t ClassBytes(int size_class) {
  return static_cast<uint32_t>(size_class + 1) * kSizeClassStepBytes;
}

// The application writes the same words meanwhile; each is read once, whole.
uint32_t Load(const uint32_t& word) { return __atomic_load_n(&word, __ATOMIC_RELAXED); }

struct PoolReading {
  PoolKind kind;
  uint32_t size_class;
  uint32_t live_blocks;
};

inline PoolReading ReadOnce(const PoolHeader& pool, const PoolGeometry& geometry) {
  uint32_t last_offset = Load(pool.last_offset);
  uint32_t live_blocks = Load(pool.live_blocks);
  uint32_t size_class = Load(pool.size_class);
  if (last_offset == 0) return {PoolKind::kUncarved, 0, 0};
  bool sound = size_class < kSizeClasses &&
               last_offset == geometry.last_offset[size_class] &&
               live_blocks <= geometry.capacity[size_class];
  if (!sound) return {PoolKind::kUnreadable, 0, 0};
  return {live_blocks == 0 ? PoolKind::kFree : PoolKind::kUsed, size_class, live_blocks};
}

// A pool that changes its size class right now makes sense a moment later.
[[gnu::noinline]] PoolReading ReadAgain(const PoolHeader& pool,
                                        const PoolGeometry& geometry) {
  PoolReading reading = ReadOnce(pool, geometry);
  for (int i = 2; reading.kind == PoolKind::kUnreadable && i < kReadAttempts; ++i) {
    reading = ReadOnce(pool, geometry);
  }
  return reading;
}

inline PoolReading ReadPool(const PoolHeader& pool, const PoolGeometry& geometry) {
  PoolReading reading = ReadOnce(pool, geometry);
  return reading.kind == PoolKind::kUnreadable ? ReadAgain(pool, geometry) : reading;
}

const PoolHeader& PoolAt(uintptr_t address) {
  return *reinterpret_cast<const PoolHeader*>(address);
}

uint64_t PoolsIn(uintptr_t base, uintptr_t first, const PoolGeometry& geometry) {
  return (base + geometry.arena_bytes - first) / geometry.pool_bytes;
}

bool AllZero(const PoolHeader& pool) {
  const auto* words = reinterpret_cast<const uint32_t*>(&pool);
  return std::all_of(words, words + kPoolHeaderBytes / sizeof *words,
                     [](const uint32_t& word) { return Load(word) == 0; });
}

// An arena is full when none of its usable bytes is free; headers and remainders aside.
int OccupancyBand(uint64_t live_bytes, uint64_t usable_bytes) {
  if (usable_bytes == 0) return 0;
  return static_cast<int>(live_bytes * 100 / usable_bytes / kBandPercent);
}

}  // namespace

PoolGeometry::PoolGeometry(uint32_t arena, uint32_t pool)
    : arena_bytes(arena), pool_bytes(pool) {
  for (int i = 0; i < kSizeClasses; ++i) {
    capacity[i] = (pool - kPoolHeaderBytes) / ClassBytes(i);
    last_offset[i] = pool - ClassBytes(i);
    remainder[i] = pool - capacity[i] * ClassBytes(i);
  }
}

uintptr_t FirstPool(uintptr_t base, const PoolGeometry& geometry) {
  uintptr_t mask = geometry.pool_bytes - 1;
  return (base + mask) & ~mask;
}

ArenaKind ClassifyArena(uintptr_t base, const PoolGeometry& geometry) {
  const PoolHeader& pool = PoolAt(FirstPool(base, geometry));
  PoolReading reading = ReadPool(pool, geometry);
  if (reading.kind == PoolKind::kUsed || reading.kind == PoolKind::kFree) {
    return ArenaKind::kArena;
  }
  return AllZero(pool) ? ArenaKind::kUncarved : ArenaKind::kForeign;
}

void TallyArena(uintptr_t base, const PoolGeometry& geometry, PoolTally& tally) {
  uintptr_t first = FirstPool(base, geometry);
  uint64_t pools = PoolsIn(base, first, geometry);
  uint64_t live_bytes = 0;
  uint64_t usable_bytes = pools * geometry.pool_bytes;
  for (uint64_t i = 0; i < pools; ++i) {
    __builtin_prefetch(
        reinterpret_cast<void*>(first + (i + kPrefetchDistance) * geometry.pool_bytes));
    PoolReading pool = ReadPool(PoolAt(first + i * geometry.pool_bytes), geometry);
    if (pool.kind == PoolKind::kUncarved) {
      tally.uncarved_pools += pools - i;
      break;
    }
    if (pool.kind == PoolKind::kUsed) {
      ++tally.used_pools;
      ++tally.class_pools[pool.size_class];
      tally.class_live_blocks[pool.size_class] += pool.live_blocks;
      live_bytes += uint64_t{pool.live_blocks} * ClassBytes(pool.size_class);
      usable_bytes -= geometry.remainder[pool.size_class];
    } else if (pool.kind == PoolKind::kFree) {
      ++tally.free_pools;
    } else {
      ++tally.unreadable_pools;
    }
  }
  ++tally.arenas;
  ++tally.arenas_by_occupancy[OccupancyBand(live_bytes, usable_bytes)];
}

void FillPymalloc(const PoolTally& tally, const PoolGeometry& geometry,
                  PymallocSample& out) {
  out.arena_size_bytes = geometry.arena_bytes;
  out.pool_size_bytes = geometry.pool_bytes;
  out.arenas = tally.arenas;
  out.used_pools = tally.used_pools;
  out.free_pools = tally.free_pools;
  out.uncarved_pools = tally.uncarved_pools;
  out.class_pools = tally.class_pools;
  out.class_live_blocks = tally.class_live_blocks;
  out.arenas_by_occupancy = tally.arenas_by_occupancy;
  out.live_bytes = out.free_block_bytes = 0;
  for (int i = 0; i < kSizeClasses; ++i) {
    uint64_t blocks = tally.class_pools[i] * geometry.capacity[i];
    out.class_free_blocks[i] = blocks - tally.class_live_blocks[i];
    out.live_bytes += tally.class_live_blocks[i] * ClassBytes(i);
    out.free_block_bytes += out.class_free_blocks[i] * ClassBytes(i);
  }
  out.free_pool_bytes = tally.free_pools * geometry.pool_bytes;
  out.uncarved_bytes = tally.uncarved_pools * geometry.pool_bytes;
  out.overhead_bytes = tally.arenas * geometry.arena_bytes - out.live_bytes -
                       out.free_block_bytes - out.free_pool_bytes - out.uncarved_bytes;
}

}  // namespace pymalloc_exporter
