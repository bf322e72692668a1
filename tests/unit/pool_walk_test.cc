#include "exporter/cpython/pool_walk.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/unit/synthetic_arena.h"

namespace pymalloc_exporter {

void PrintTo(const PoolGeometry& geometry, std::ostream* out) {
  *out << geometry.arena_bytes;
}

namespace {

class PoolWalk : public testing::TestWithParam<PoolGeometry> {
 protected:
  const PoolGeometry& geometry() const { return GetParam(); }
  uint64_t pools() const { return geometry().arena_bytes / geometry().pool_bytes; }

  PymallocSample Fill(const PoolTally& tally) const {
    PymallocSample sample;
    FillPymalloc(tally, geometry(), sample);
    return sample;
  }

  void ExpectAddsUp(const PymallocSample& s) const {
    EXPECT_EQ(s.live_bytes + s.free_block_bytes + s.free_pool_bytes + s.uncarved_bytes +
                  s.overhead_bytes,
              s.arenas * geometry().arena_bytes);
    EXPECT_LE(s.overhead_bytes, s.arenas * geometry().arena_bytes);
  }
};

INSTANTIATE_TEST_SUITE_P(Builds, PoolWalk,
                         testing::Values(PoolGeometry(1 << 18, 1 << 12),
                                         PoolGeometry(1 << 20, 1 << 14),
                                         PoolGeometry(1 << 21, 1 << 14)),
                         [](const testing::TestParamInfo<PoolGeometry>& info) {
                           return "ArenaOf" + std::to_string(info.param.arena_bytes);
                         });

TEST_P(PoolWalk, CountsUsedAndFreePools) {
  SyntheticArena arena(geometry());
  arena.Carve(0, 3, 10);
  arena.Carve(1, 3, 0);
  arena.Carve(2, 31, 1);
  PymallocSample sample = Fill(arena.Tally());
  EXPECT_EQ(sample.used_pools, 2u);
  EXPECT_EQ(sample.free_pools, 1u);
  EXPECT_EQ(sample.uncarved_pools, pools() - 3);
  EXPECT_EQ(sample.class_live_blocks[3], 10u);
  EXPECT_EQ(sample.class_free_blocks[3], geometry().capacity[3] - 10);
  EXPECT_EQ(sample.live_bytes, 10u * 64 + 512);
  ExpectAddsUp(sample);
}

TEST_P(PoolWalk, AnEmptyArenaIsAllFreePools) {
  SyntheticArena arena(geometry());
  for (uint64_t i = 0; i < pools(); ++i) arena.Carve(static_cast<int>(i), 0, 0);
  PymallocSample sample = Fill(arena.Tally());
  EXPECT_EQ(sample.free_pools, pools());
  EXPECT_EQ(sample.free_pool_bytes, geometry().arena_bytes);
  EXPECT_EQ(sample.arenas_by_occupancy[0], 1u);
  ExpectAddsUp(sample);
}

TEST_P(PoolWalk, AFullArenaIsInTheLastBand) {
  SyntheticArena arena(geometry());
  for (uint64_t i = 0; i < pools(); ++i) {
    arena.Carve(static_cast<int>(i), 5, geometry().capacity[5]);
  }
  PymallocSample sample = Fill(arena.Tally());
  EXPECT_EQ(sample.free_block_bytes, 0u);
  EXPECT_EQ(sample.arenas_by_occupancy[kOccupancyBands - 1], 1u);
  ExpectAddsUp(sample);
}

TEST_P(PoolWalk, OneFreeBlockKeepsAnArenaOutOfTheLastBand) {
  SyntheticArena arena(geometry());
  for (uint64_t i = 0; i < pools(); ++i) {
    arena.Carve(static_cast<int>(i), 5, geometry().capacity[5] - (i == 0));
  }
  EXPECT_EQ(arena.Tally().arenas_by_occupancy[kOccupancyBands - 2], 1u);
}

TEST_P(PoolWalk, StopsAtTheFirstPoolNotCarved) {
  SyntheticArena arena(geometry());
  arena.Carve(0, 0, 1);
  arena.Carve(2, 0, 1);  // the interpreter carves in order: this cannot be
  EXPECT_EQ(arena.Tally().used_pools, 1u);
  EXPECT_EQ(arena.Tally().uncarved_pools, pools() - 1);
}

TEST_P(PoolWalk, AnArenaThatIsNotPoolAlignedHoldsOnePoolLess) {
  SyntheticArena arena(geometry(), 4096 % geometry().pool_bytes);
  bool aligned = geometry().pool_bytes == 4096;
  arena.Carve(0, 0, 1);
  PymallocSample sample = Fill(arena.Tally());
  EXPECT_EQ(sample.used_pools + sample.uncarved_pools, pools() - (aligned ? 0 : 1));
  ExpectAddsUp(sample);
}

TEST_P(PoolWalk, HeadersThatMakeNoSenseAreCountedAsOverhead) {
  const uint32_t last = geometry().last_offset[0];
  const PoolWords corrupted[] = {
      {1, 32, last, last},                          // no such size class
      {1, 0xffffffff, last, last},                  // likewise
      {geometry().capacity[0] + 1, 0, last, last},  // more blocks than fit
      {1, 0, last, last + 16},                      // another class' last offset
      {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
  };
  for (const PoolWords& words : corrupted) {
    SyntheticArena arena(geometry());
    arena.Carve(0, 0, 1);
    arena.Write(1, words);
    arena.Carve(2, 0, 1);
    PymallocSample sample = Fill(arena.Tally());
    EXPECT_EQ(arena.Tally().unreadable_pools, 1u);
    EXPECT_EQ(sample.used_pools, 2u);
    ExpectAddsUp(sample);
  }
}

TEST_P(PoolWalk, FollowsNoPointerOfAPool) {
  SyntheticArena arena(geometry());
  arena.Carve(0, 0, 1);
  auto* pointers = reinterpret_cast<uint64_t*>(arena.Header(0));
  pointers[1] = reinterpret_cast<uint64_t>(pointers);  // a free list that bites its tail
  pointers[2] = 1;                                     // neighbours that are nowhere
  pointers[3] = ~uint64_t{0};
  EXPECT_EQ(arena.Tally().used_pools, 1u);
}

TEST_P(PoolWalk, TellsArenasFromOtherMemoryOfTheirSize) {
  SyntheticArena carved(geometry()), fresh(geometry()), foreign(geometry());
  carved.Carve(0, 7, 2);
  foreign.Write(0, {7, 9, 11, 13});
  EXPECT_EQ(ClassifyArena(carved.base(), geometry()), ArenaKind::kArena);
  EXPECT_EQ(ClassifyArena(fresh.base(), geometry()), ArenaKind::kUncarved);
  EXPECT_EQ(ClassifyArena(foreign.base(), geometry()), ArenaKind::kForeign);
}

}  // namespace
}  // namespace pymalloc_exporter
