#include "exporter/cpython/sparse_arenas.h"

#include <algorithm>
#include <vector>

#include "tests/unit/synthetic_arena.h"

namespace pymalloc_exporter {
namespace {

const PoolGeometry kGeometry(1 << 20, 1 << 14);
constexpr uint32_t kClass = 31;  // 512 bytes
constexpr int kPools = 64;

class SparseArenasTest : public ::testing::Test {
 protected:
  // All pools of `arena` carved, with so many live blocks in each.
  static void Fill(SyntheticArena& arena, uint32_t live_blocks) {
    for (int pool = 0; pool < kPools; ++pool) arena.Carve(pool, kClass, live_blocks);
  }

  static SparseArenas Look(const std::vector<const SyntheticArena*>& arenas) {
    SparseArenas sparse(kGeometry);
    for (const SyntheticArena* arena : arenas) {
      uint32_t piece = 0;
      while (!sparse.Read(arena->base(), piece)) ++piece;
      EXPECT_LE(piece, kGeometry.arena_bytes / kPieceBytes);
    }
    sparse.Rank();
    return sparse;
  }
};

TEST_F(SparseArenasTest, AreThoseLessThanHalfLive) {
  SyntheticArena half(kGeometry), less(kGeometry), empty(kGeometry);
  uint32_t capacity = kGeometry.capacity[kClass];
  Fill(half, (capacity + 1) / 2);
  Fill(less, (capacity - 1) / 2);
  Fill(empty, 0);
  EXPECT_EQ(Look({&half}).RankOf(half.base()), SparseArenas::kNone);
  EXPECT_EQ(Look({&empty}).RankOf(empty.base()), SparseArenas::kNone);
  EXPECT_EQ(Look({&less}).RankOf(less.base()), 0U);
}

TEST_F(SparseArenasTest, AreMeasuredByWhatIsCarved) {
  SyntheticArena arena(kGeometry);
  for (int pool = 0; pool < 3; ++pool) {
    arena.Carve(pool, kClass, kGeometry.capacity[kClass]);
  }
  EXPECT_EQ(Look({&arena}).RankOf(arena.base()), SparseArenas::kNone);
}

TEST_F(SparseArenasTest, AreRankedTheSparsestFirst) {
  std::vector<SyntheticArena*> arenas;
  std::vector<const SyntheticArena*> by_address;
  SyntheticArena a(kGeometry), b(kGeometry), c(kGeometry);
  for (SyntheticArena* arena : {&a, &b, &c}) arenas.push_back(arena);
  std::sort(arenas.begin(), arenas.end(),
            [](auto* left, auto* right) { return left->base() < right->base(); });
  by_address.assign(arenas.begin(), arenas.end());
  Fill(*arenas[0], 3);
  Fill(*arenas[1], 1);
  Fill(*arenas[2], 2);
  SparseArenas sparse = Look(by_address);
  EXPECT_EQ(sparse.RankOf(arenas[0]->base()), 2U);
  EXPECT_EQ(sparse.RankOf(arenas[1]->base()), 0U);
  EXPECT_EQ(sparse.RankOf(arenas[2]->base()), 1U);
}

TEST_F(SparseArenasTest, HoldTheAddressesOfTheirBytesOnly) {
  SyntheticArena arena(kGeometry);
  Fill(arena, 1);
  SparseArenas sparse = Look({&arena});
  EXPECT_EQ(sparse.RankOf(arena.base() - 1), SparseArenas::kNone);
  EXPECT_EQ(sparse.RankOf(arena.base() + kGeometry.arena_bytes - 1), 0U);
  EXPECT_EQ(sparse.RankOf(arena.base() + kGeometry.arena_bytes), SparseArenas::kNone);
}

}  // namespace
}  // namespace pymalloc_exporter
