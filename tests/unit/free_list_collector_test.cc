#include "exporter/cpython/free_list_collector.h"

#include <gtest/gtest.h>

namespace pymalloc_exporter {
namespace {

const StopFlag kGoOn{false};

// As an interpreter has them.
struct Lists {
  int32_t floats = 3;
  uintptr_t slice = 0x1000;
  int64_t ints = 0;
  int32_t tuples[2] = {5, 7};
};

uintptr_t AddressOf(const void* what) { return reinterpret_cast<uintptr_t>(what); }

std::vector<FreeListPlace> PlacesIn(const Lists& lists) {
  return {
      {kFloatFreeList, 0, kFreeListLinked, 0, AddressOf(&lists.floats), 4, 100, 8, 24},
      {kSliceFreeList, 0, kFreeListSingle, AddressOf(&lists.slice), 0, 0, 1, 0, 56},
      {kIntFreeList, 0, kFreeListLinked, 0, AddressOf(&lists.ints), 8, 100, 0, 32},
      {kTupleFreeList, 1, kFreeListLinked, 0, AddressOf(&lists.tuples[0]), 4, 2000, 24,
       48},
      {kTupleFreeList, 2, kFreeListLinked, 0, AddressOf(&lists.tuples[1]), 4, 2000, 24,
       56},
  };
}

class FreeListCollectorTest : public testing::Test {
 protected:
  FreeListCollectorTest() {
    collector_.Begin(PlacesIn(lists_));
    collector_.SetState(Reason::kNone);
  }
  Reason Collect() { return collector_.Collect(sample_, kGoOn); }
  const FreeListFigure& Figure(FreeListKind kind) const {
    return sample_.free_lists.kinds[kind];
  }

  Lists lists_;
  FreeListCollector collector_;
  Sample sample_;
};

TEST_F(FreeListCollectorTest, CountsObjectsAndBytes) {
  ASSERT_EQ(Collect(), Reason::kNone);
  EXPECT_EQ(Figure(kFloatFreeList).objects, 3u);
  EXPECT_EQ(Figure(kFloatFreeList).bytes, 72u);
  EXPECT_EQ(Figure(kFloatFreeList).capacity, 100u);
  EXPECT_EQ(Figure(kSliceFreeList).objects, 1u);
  EXPECT_EQ(Figure(kIntFreeList).objects, 0u);
  EXPECT_EQ(Figure(kListFreeList).capacity, 0u);
}

TEST_F(FreeListCollectorTest, AddsUpTuplesOfAllLengths) {
  ASSERT_EQ(Collect(), Reason::kNone);
  EXPECT_EQ(Figure(kTupleFreeList).objects, 12u);
  EXPECT_EQ(Figure(kTupleFreeList).bytes, 5u * 48 + 7u * 56);
  EXPECT_EQ(Figure(kTupleFreeList).capacity, 4000u);
  EXPECT_EQ(sample_.free_lists.tuples[1].objects, 7u);
  EXPECT_EQ(sample_.free_lists.tuples[2].capacity, 0u);
}

TEST_F(FreeListCollectorTest, FollowsTheLists) {
  lists_.slice = 0;
  lists_.ints = 100;
  ASSERT_EQ(Collect(), Reason::kNone);
  EXPECT_EQ(Figure(kSliceFreeList).objects, 0u);
  EXPECT_EQ(Figure(kIntFreeList).objects, 100u);
}

TEST_F(FreeListCollectorTest, TakesAListThatIsSwitchedOffForEmpty) {
  lists_.floats = -1;
  ASSERT_EQ(Collect(), Reason::kNone);
  EXPECT_EQ(Figure(kFloatFreeList).objects, 0u);
}

TEST_F(FreeListCollectorTest, RefusesACountBeyondTheCapacity) {
  ASSERT_EQ(Collect(), Reason::kNone);
  lists_.floats = 101;
  EXPECT_EQ(Collect(), Reason::kInconsistent);
  lists_.floats = 3;
  lists_.ints = INT64_MAX;
  EXPECT_EQ(Collect(), Reason::kInconsistent);
  EXPECT_EQ(Figure(kIntFreeList).objects, 0u);
}

TEST_F(FreeListCollectorTest, LooksAtNothingOnceTheInterpreterIsGone) {
  collector_.End();
  lists_.floats = 50;
  EXPECT_EQ(Collect(), Reason::kInterpreterGone);
  EXPECT_EQ(Figure(kFloatFreeList).objects, 0u);
}

}  // namespace
}  // namespace pymalloc_exporter
