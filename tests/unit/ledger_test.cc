#include "exporter/sample/ledger.h"

#include <gtest/gtest.h>

#include "exporter/sample/ledger_collector.h"
#include "exporter/sample/sample.h"

namespace pymalloc_exporter {
namespace {

constexpr uint64_t kMegabyte = 1 << 20;

// A process of 300 MiB, of which each part is known.
class LedgerTest : public testing::Test {
 protected:
  LedgerTest() {
    process_.resident_bytes = 300 * kMegabyte;
    process_.resident_file_bytes = 10 * kMegabyte;
    process_.resident_shmem_bytes = 2 * kMegabyte;
    Resident(MemoryOwner::kArenas) = 100 * kMegabyte;
    Resident(MemoryOwner::kHeap) = 90 * kMegabyte;
    Resident(MemoryOwner::kOther) = 80 * kMegabyte;
    Resident(MemoryOwner::kStacks) = 3 * kMegabyte;
    Resident(MemoryOwner::kData) = 4 * kMegabyte;
    Resident(MemoryOwner::kExporter) = 1 * kMegabyte;
    pymalloc_.live_bytes = 60 * kMegabyte;
    pymalloc_.free_block_bytes = 25 * kMegabyte;
    pymalloc_.free_pool_bytes = 12 * kMegabyte;
    pymalloc_.overhead_bytes = 3 * kMegabyte;
    malloc_.allocator = Allocator::kGlibc;
    malloc_.in_use.resident_bytes = 50 * kMegabyte;
    malloc_.free.resident_bytes = 30 * kMegabyte;
    malloc_.top.resident_bytes = 10 * kMegabyte;
    malloc_.mmapped.resident_bytes = 70 * kMegabyte;
    input_ = {&process_, &residency_, &pymalloc_, &malloc_, 20 * kMegabyte};
  }

  uint64_t& Resident(MemoryOwner owner) {
    return residency_.owners[static_cast<int>(owner)].resident_bytes;
  }
  int64_t Of(LedgerComponent component) {
    Ledger ledger = MakeLedger(input_);
    EXPECT_TRUE(AddsUp(ledger));
    return ledger.of(component) / static_cast<int64_t>(kMegabyte);
  }

  ProcessSample process_;
  ResidencySample residency_;
  PymallocSample pymalloc_;
  MallocSample malloc_;
  LedgerInput input_;
};

TEST_F(LedgerTest, GivesEachPartItsOwn) {
  EXPECT_EQ(Of(LedgerComponent::kSmallLive), 60);
  EXPECT_EQ(Of(LedgerComponent::kSmallHoles), 25);
  EXPECT_EQ(Of(LedgerComponent::kFreePools), 12);
  EXPECT_EQ(Of(LedgerComponent::kArenaOverhead), 3);
  EXPECT_EQ(Of(LedgerComponent::kLargeObjects), 20);
  EXPECT_EQ(Of(LedgerComponent::kNativeHeap), 30);
  EXPECT_EQ(Of(LedgerComponent::kHeapHoles), 40);
  EXPECT_EQ(Of(LedgerComponent::kMallocMappings), 70);
  EXPECT_EQ(Of(LedgerComponent::kOtherMappings), 10);
  EXPECT_EQ(Of(LedgerComponent::kFiles), 10);
  EXPECT_EQ(Of(LedgerComponent::kShared), 2);
  EXPECT_EQ(Of(LedgerComponent::kStacks), 3);
  EXPECT_EQ(Of(LedgerComponent::kInterpreterData), 4);
  EXPECT_EQ(Of(LedgerComponent::kExporter), 1);
  EXPECT_EQ(Of(LedgerComponent::kUnexplained), 10);
}

TEST_F(LedgerTest, ShowsWhatWasFoundBeyondRssAsNegative) {
  process_.resident_bytes = 280 * kMegabyte;
  EXPECT_EQ(Of(LedgerComponent::kUnexplained), -10);
}

TEST_F(LedgerTest, CountsLiveBytesSmallAndLarge) {
  Ledger ledger = MakeLedger(input_);
  EXPECT_EQ(ledger.live_bytes, 180 * kMegabyte);
  EXPECT_EQ(ledger.resident_bytes, 300 * kMegabyte);
}

TEST_F(LedgerTest, TakesHolesThatWereNeverTouchedFromTheHoles) {
  Resident(MemoryOwner::kArenas) = 90 * kMegabyte;
  EXPECT_EQ(Of(LedgerComponent::kSmallLive), 60);
  EXPECT_EQ(Of(LedgerComponent::kFreePools), 12);
  EXPECT_EQ(Of(LedgerComponent::kSmallHoles), 15);
}

TEST_F(LedgerTest, CallsWhatHugePagesBroughtInOverhead) {
  Resident(MemoryOwner::kArenas) = 107 * kMegabyte;
  EXPECT_EQ(Of(LedgerComponent::kArenaOverhead), 10);
}

TEST_F(LedgerTest, FindsLargeObjectsInMappingsToo) {
  input_.large_mapped_bytes = 15 * kMegabyte;
  EXPECT_EQ(Of(LedgerComponent::kLargeObjects), 35);
  EXPECT_EQ(Of(LedgerComponent::kNativeHeap), 30);
  EXPECT_EQ(Of(LedgerComponent::kMallocMappings), 55);
}

TEST_F(LedgerTest, NeverSaysMoreThanIsMapped) {
  malloc_.in_use.resident_bytes = 500 * kMegabyte;
  EXPECT_EQ(Of(LedgerComponent::kLargeObjects), 20);
  EXPECT_EQ(Of(LedgerComponent::kNativeHeap), 150);
  EXPECT_EQ(Of(LedgerComponent::kOtherMappings), 0);
}

TEST_F(LedgerTest, LeavesUndividedWhatNobodyHasRead) {
  input_.pymalloc = nullptr;
  input_.malloc = nullptr;
  EXPECT_EQ(Of(LedgerComponent::kOtherMappings), 270);
  EXPECT_EQ(Of(LedgerComponent::kUnexplained), 10);
  EXPECT_EQ(MakeLedger(input_).live_bytes, 0u);
}

TEST_F(LedgerTest, TakesTheBytesThatOtherAllocatorsTell) {
  malloc_ = {};
  malloc_.allocator = Allocator::kJemalloc;
  malloc_.in_use.bytes = 60 * kMegabyte;
  EXPECT_EQ(Of(LedgerComponent::kLargeObjects) + Of(LedgerComponent::kNativeHeap), 60);
  EXPECT_EQ(Of(LedgerComponent::kOtherMappings), 110);
}

TEST_F(LedgerTest, AddsUpOrIsRefused) {
  Ledger ledger = MakeLedger(input_);
  ++ledger.of(LedgerComponent::kFiles);
  EXPECT_FALSE(AddsUp(ledger));
  --ledger.of(LedgerComponent::kFiles);
  ledger.of(LedgerComponent::kStacks) -= 10 * static_cast<int64_t>(kMegabyte);
  ledger.of(LedgerComponent::kFiles) += 10 * static_cast<int64_t>(kMegabyte);
  EXPECT_FALSE(AddsUp(ledger));
}

TEST(UnpinBytes, CountsArenasThatAreMostlyFree) {
  PymallocSample pymalloc;
  pymalloc.arena_size_bytes = 1 << 20;
  pymalloc.free_block_bytes = 400 << 20;
  pymalloc.arenas_by_occupancy[0] = 100;
  pymalloc.arenas_by_occupancy[4] = 100;
  pymalloc.arenas_by_occupancy[5] = 100;
  EXPECT_EQ(UnpinBytes(pymalloc), (95 + 55) * kMegabyte);
  pymalloc.free_block_bytes = 7 << 20;
  EXPECT_EQ(UnpinBytes(pymalloc), 7 * kMegabyte);
}

}  // namespace
}  // namespace pymalloc_exporter
