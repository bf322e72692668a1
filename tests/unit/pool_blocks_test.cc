#include "exporter/cpython/pool_blocks.h"

#include <vector>

#include "tests/unit/synthetic_arena.h"

namespace pymalloc_exporter {
namespace {

const PoolGeometry kGeometry(1 << 20, 1 << 14);
constexpr uint32_t kClass = 2;  // 48 bytes
constexpr uint32_t kBytes = 48;

class PoolBlocksTest : public ::testing::Test {
 protected:
  PoolBlocksTest() : arena_(kGeometry) {}

  uintptr_t pool() const { return reinterpret_cast<uintptr_t>(arena_.Header(0)); }
  uintptr_t Block(uint32_t index) const {
    return pool() + kPoolHeaderBytes + uintptr_t{index} * kBytes;
  }
  static uintptr_t& At(uintptr_t address) {
    return *reinterpret_cast<uintptr_t*>(address);
  }

  // A pool with `carved` blocks, of which these are free, linked in this order.
  void Make(uint32_t carved, const std::vector<uint32_t>& free) {
    arena_.Write(0, {carved - static_cast<uint32_t>(free.size()), kClass,
                     kPoolHeaderBytes + carved * kBytes, kGeometry.last_offset[kClass]});
    uintptr_t* link = &At(pool() + 8);
    for (uint32_t index : free) {
      *link = Block(index);
      link = &At(Block(index));
    }
    *link = 0;
  }

  PoolBlocks Read() const {
    PoolBlocks blocks{};
    ReadPoolBlocks(pool(), kGeometry, blocks);
    return blocks;
  }

  std::vector<uintptr_t> Live() const {
    std::vector<uintptr_t> live;
    PoolBlocks blocks = Read();
    EXPECT_EQ(blocks.kind, PoolBlocks::Kind::kLive);
    ForEachLiveBlock(pool(), blocks, [&](uintptr_t block) { live.push_back(block); });
    return live;
  }

  SyntheticArena arena_;
};

TEST_F(PoolBlocksTest, AreAllThatWereCarvedButTheFreeOnes) {
  Make(5, {3, 0});
  EXPECT_EQ(Live(), (std::vector<uintptr_t>{Block(1), Block(2), Block(4)}));
}

TEST_F(PoolBlocksTest, AreAllOfAFullPool) {
  Make(kGeometry.capacity[kClass], {});
  EXPECT_EQ(Live().size(), kGeometry.capacity[kClass]);
  EXPECT_EQ(Live().back(), Block(kGeometry.capacity[kClass] - 1));
}

TEST_F(PoolBlocksTest, OfEveryClassAreWhereTheyAre) {
  for (uint32_t size_class = 0; size_class < kSizeClasses; ++size_class) {
    uint32_t bytes = (size_class + 1) * kSizeClassStepBytes;
    uint32_t last = kGeometry.capacity[size_class] - 1;
    uintptr_t free = pool() + kPoolHeaderBytes + uintptr_t{last} * bytes;
    arena_.Carve(0, size_class, last);
    arena_.Header(0)[10] += bytes;  // past the last block
    At(pool() + 8) = free;
    At(free) = 0;
    std::vector<uintptr_t> live = Live();
    ASSERT_EQ(live.size(), last) << bytes;
    EXPECT_EQ(live.back(), free - bytes);
    At(free) = 1;
    EXPECT_EQ(Read().kind, PoolBlocks::Kind::kCounted);
  }
}

TEST_F(PoolBlocksTest, AreCountedOnlyWhereTheListIsTooShort) {
  Make(5, {3, 0});
  At(Block(3)) = 0;
  PoolBlocks blocks = Read();
  EXPECT_EQ(blocks.kind, PoolBlocks::Kind::kCounted);
  EXPECT_EQ(blocks.live, 3u);
}

TEST_F(PoolBlocksTest, AreCountedOnlyWhereTheListIsTooLong) {
  Make(5, {3, 0});
  At(Block(0)) = Block(1);
  EXPECT_EQ(Read().kind, PoolBlocks::Kind::kCounted);
}

TEST_F(PoolBlocksTest, AreCountedOnlyWhereTheListGoesInACircle) {
  Make(5, {3, 0});
  At(Block(0)) = Block(3);
  EXPECT_EQ(Read().kind, PoolBlocks::Kind::kCounted);
}

TEST_F(PoolBlocksTest, AreCountedOnlyWhereTheListLeadsElsewhere) {
  for (uintptr_t wrong : {pool(), Block(2) + 8, Block(5), pool() - 48, uintptr_t{48}}) {
    Make(5, {3, 0});
    At(Block(3)) = wrong;
    EXPECT_EQ(Read().kind, PoolBlocks::Kind::kCounted);
  }
}

TEST_F(PoolBlocksTest, KnowsPoolsWithoutAny) {
  EXPECT_EQ(Read().kind, PoolBlocks::Kind::kUncarved);
  arena_.Carve(0, kClass, 0);
  EXPECT_EQ(Read().kind, PoolBlocks::Kind::kFree);
  arena_.Write(0, {1, 99, 48, 5});
  EXPECT_EQ(Read().kind, PoolBlocks::Kind::kUnreadable);
}

}  // namespace
}  // namespace pymalloc_exporter
