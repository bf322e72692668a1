#include "exporter/system/malloc/heap_walk.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "exporter/system/malloc/mapped_blocks.h"

namespace pymalloc_exporter {
namespace {

constexpr size_t kHeapBytes = size_t{8} << 20;

class NoPace final : public Pace {
 public:
  bool Rest() noexcept override { return --rests_left != 0; }
  const StopFlag& stop() const noexcept override { return stopped; }
  int rests_left = 0;  // for ever
  StopFlag stopped{false};
};

// A heap made by hand, chunk after chunk, between pages that may not be touched.
class Heap final : public HeapEnd {
 public:
  Heap() {
    auto* all = static_cast<char*>(mmap(nullptr, kHeapBytes + 2 * kPageBytes, PROT_NONE,
                                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    memory_ = all + kPageBytes;
    mprotect(memory_, kHeapBytes, PROT_READ | PROT_WRITE);
    at_ = start();
  }
  ~Heap() override { munmap(memory_ - kPageBytes, kHeapBytes + 2 * kPageBytes); }

  HeapBounds Read() noexcept override { return bounds; }

  uintptr_t start() const { return reinterpret_cast<uintptr_t>(memory_); }
  uintptr_t at() const { return at_; }
  uint64_t* Word(uintptr_t address) const { return reinterpret_cast<uint64_t*>(address); }

  uintptr_t Add(uint64_t bytes, bool used) {
    uintptr_t chunk = at_;
    Word(at_)[1] = bytes | (previous_used_ ? kPreviousInUse : 0);
    at_ += bytes;
    if (!used) Word(at_)[0] = bytes;
    previous_used_ = used;
    return chunk;
  }

  // The rest up to `end` is the top.
  void Finish(uintptr_t end) {
    bounds = {at_, end};
    Word(at_)[1] = (end - at_) | kPreviousInUse;
  }

  void Fill(int chunks) {
    std::mt19937 random(1);
    for (int i = 0; i < chunks; ++i) {
      Add(32 + random() % 100 * 16, i % 3 != 2);
    }
    Add(32, true);
    Finish(start() + kHeapBytes);
  }

  HeapBounds bounds;

 private:
  char* memory_;
  uintptr_t at_;
  bool previous_used_ = true;
};

class Visitor final : public ChunkVisitor {
 public:
  void Begin() noexcept override {}
  void OnUsedChunk(const UsedChunk& chunk) noexcept override {
    EXPECT_GT(chunk.memory, last);
    last = chunk.memory;
    ++chunks;
    bytes += chunk.chunk_bytes;
    cached += chunk.cached;
    if (!chunk.words.empty()) first_word = chunk.words[0];
  }
  void Commit(bool) noexcept override {}

  uintptr_t last = 0;
  uint64_t chunks = 0, bytes = 0, cached = 0, first_word = 0;
};

constexpr uint64_t kKey = 0x5ec4e7;

class HeapWalkTest : public testing::Test {
 protected:
  HeapWalkTest() { reader_.Open(); }

  Reason Walk(HeapKind kind = HeapKind::kMain) {
    return walk_->Walk(heap_.start(), heap_, kind);
  }
  const HeapTotals& totals() { return walk_->totals(); }

  NoPace pace_;
  HeapReader reader_{pace_};
  Heap heap_;
  Visitor visitor_;
  ChunkVisitor* visitors_[1] = {&visitor_};
  std::unique_ptr<HeapWalk> walk_ = std::make_unique<HeapWalk>(reader_, visitors_, kKey);
};

TEST_F(HeapWalkTest, TellsUsedFromFreeAndTheTop) {
  heap_.Add(64, true);
  heap_.Add(128, false);
  heap_.Add(4096, true);
  heap_.Finish(heap_.start() + 2 * kPageBytes);
  ASSERT_EQ(Walk(), Reason::kNone);
  EXPECT_EQ(totals().in_use.bytes, 64u + 4096u);
  EXPECT_EQ(totals().in_use.chunks, 2u);
  EXPECT_EQ(totals().free.bytes, 128u);
  EXPECT_EQ(totals().largest_free_chunk_bytes, 128u);
  EXPECT_EQ(totals().free_bytes_by_size[1], 128u);
  EXPECT_EQ(totals().top.bytes, 2 * kPageBytes - 64 - 128 - 4096);
  EXPECT_EQ(walk_->end(), heap_.start() + 2 * kPageBytes);
}

TEST_F(HeapWalkTest, ShowsEachUsedChunkOnceWithItsFirstWords) {
  uintptr_t chunk = heap_.Add(64, true);
  heap_.Word(chunk)[2] = 77;
  heap_.Finish(heap_.start() + kPageBytes);
  ASSERT_EQ(Walk(), Reason::kNone);
  EXPECT_EQ(visitor_.chunks, 1u);
  EXPECT_EQ(visitor_.first_word, 77u);
}

TEST_F(HeapWalkTest, EndsBeforeTheNextRestWhenAForkWaits) {
  heap_.Fill(5'000);
  pace_.stopped = true;
  EXPECT_EQ(Walk(), Reason::kInconsistent);
  EXPECT_EQ(pace_.rests_left, 0);
}

TEST_F(HeapWalkTest, KnowsChunksOfAThreadsCache) {
  heap_.Word(heap_.Add(64, true))[3] = kKey;
  heap_.Add(64, true);
  heap_.Finish(heap_.start() + kPageBytes);
  ASSERT_EQ(Walk(), Reason::kNone);
  EXPECT_EQ(totals().cached.chunks, 1u);
  EXPECT_EQ(visitor_.cached, 1u);
}

TEST_F(HeapWalkTest, PredictsATrimByWholeResidentPagesOfFreeChunks) {
  heap_.Add(32, true);
  uintptr_t chunk = heap_.Add(100 * kPageBytes, false);
  heap_.Add(32, true);
  heap_.Finish(heap_.start() + 101 * kPageBytes);
  memset(heap_.Word(chunk + 10 * kPageBytes), 1, 5 * kPageBytes);
  ASSERT_EQ(Walk(), Reason::kNone);
  // Of the six pages written partly, five are whole; header and end do not count.
  EXPECT_EQ(totals().trim_bytes, 6 * kPageBytes);
  EXPECT_EQ(totals().free.bytes, 100 * kPageBytes);
  EXPECT_LT(totals().free.resident_bytes, 10 * kPageBytes);
}

TEST_F(HeapWalkTest, ReadsNoHole) {
  heap_.Add(1000 * kPageBytes, false);
  heap_.Add(32, true);
  heap_.Finish(heap_.start() + kHeapBytes);
  ASSERT_EQ(Walk(), Reason::kNone);
  uint64_t resident = totals().free.resident_bytes + totals().top.resident_bytes;
  ASSERT_EQ(Walk(), Reason::kNone);
  uint64_t again = totals().free.resident_bytes + totals().top.resident_bytes - resident;
  EXPECT_EQ(again, resident);
  EXPECT_LE(resident, 3 * kPageBytes);
}

TEST_F(HeapWalkTest, NamesWhatSitsBelowTheTop) {
  heap_.Add(320, true);
  heap_.Add(4096, false);
  uintptr_t last = heap_.Add(48, true);
  heap_.Finish(heap_.start() + 4 * kPageBytes);
  ASSERT_EQ(Walk(), Reason::kNone);
  ASSERT_EQ(walk_->top_chunks(), 2);
  EXPECT_EQ(walk_->top_chunk(0).memory, last + 16);
  EXPECT_EQ(walk_->top_chunk(0).bytes, 48u);
  EXPECT_GT(walk_->top_chunk(0).free_bytes_below, 0u);
  EXPECT_EQ(walk_->top_chunk(1).bytes, 320u);
}

TEST_F(HeapWalkTest, EndsAThreadsFullHeapAtItsFence) {
  heap_.Add(64, true);
  uintptr_t fence = heap_.Add(heap_.start() + kPageBytes - 32 - heap_.at(), true);
  fence = heap_.at();
  heap_.Word(fence)[1] = 16 | kPreviousInUse;
  heap_.Word(fence)[3] = kPreviousInUse;
  heap_.bounds = {0, fence + 32};
  ASSERT_EQ(Walk(HeapKind::kThreadHeap), Reason::kNone);
  EXPECT_EQ(totals().overhead_bytes, 32u);
  EXPECT_EQ(totals().in_use.bytes, kPageBytes - 32);
}

TEST_F(HeapWalkTest, StepsOverForeignMemory) {
  heap_.Add(kPageBytes - 32, true);
  uintptr_t fence = heap_.at();
  heap_.Word(fence)[1] = heap_.Word(fence)[3] = 16 | kPreviousInUse;
  for (int i = 4; i < 130; ++i) heap_.Word(fence)[i] = 0x1111111111111111u * i;
  Heap& heap = heap_;
  uintptr_t next = fence + 32 + 1008;
  heap.Word(next)[1] = 64 | kPreviousInUse;
  heap.Word(next + 64)[1] = 48 | kPreviousInUse;
  uintptr_t top = next + 64 + 48, end = heap.start() + 8 * kPageBytes;
  heap.Word(top)[1] = (end - top) | kPreviousInUse;
  heap.bounds = {top, end};
  ASSERT_EQ(Walk(), Reason::kNone);
  EXPECT_EQ(totals().overhead_bytes, 32u + 1008u);
  EXPECT_EQ(totals().in_use.bytes, kPageBytes - 32 + 64 + 48);
}

// What a size must not be.
class BadSize : public HeapWalkTest, public testing::WithParamInterface<uint64_t> {};

TEST_P(BadSize, EndsTheWalkWithoutFigures) {
  heap_.Fill(8'000);
  heap_.Word(heap_.start() + 32)[1] = GetParam();
  uint64_t* first = heap_.Word(heap_.start());
  first[1] = 32 | kPreviousInUse;
  EXPECT_EQ(Walk(), Reason::kIncomplete);
  EXPECT_EQ(totals().in_use.bytes, 0u);
}

INSTANTIATE_TEST_SUITE_P(Sizes, BadSize,
                         testing::Values(0, 1, 9, 16, 24, 41, 34, 36, ~uint64_t{0},
                                         uint64_t{1} << 63 | 1, 0xfffffffffffffff1u,
                                         kHeapBytes + 1));

TEST_F(HeapWalkTest, SurvivesGarbageEverywhere) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 20; ++round) {
    for (uintptr_t at = heap_.start(); at < heap_.start() + kHeapBytes / 8; at += 8)
      *heap_.Word(at) = random() >> (random() % 60);
    heap_.bounds = {heap_.start() + random() % kHeapBytes / 16 * 16,
                    heap_.start() + kHeapBytes};
    for (HeapKind kind : {HeapKind::kMain, HeapKind::kMainPiece, HeapKind::kThreadHeap})
      Walk(kind);
  }
}

TEST_F(HeapWalkTest, MissesAChunkWhoseCopyOfTheSizeDiffers) {
  heap_.Add(64, true);
  heap_.Add(128, false);
  heap_.Word(heap_.at())[0] = 96;
  heap_.Add(64, true);
  heap_.Finish(heap_.start() + kPageBytes);
  EXPECT_EQ(Walk(), Reason::kIncomplete);
}

// Puts right what was wrong when the walk comes back.
class MendedHeap final : public HeapEnd {
 public:
  MendedHeap(Heap& heap, uint64_t* word, uint64_t right)
      : heap_(heap), word_(word), right_(right) {}
  HeapBounds Read() noexcept override {
    if (++reads > 40) *word_ = right_;
    return heap_.bounds;
  }
  int reads = 0;

 private:
  Heap& heap_;
  uint64_t* const word_;
  const uint64_t right_;
};

TEST_F(HeapWalkTest, GoesBackAndCountsNothingTwice) {
  heap_.Fill(8'000);
  ASSERT_EQ(Walk(), Reason::kNone);
  HeapTotals right = totals();
  walk_ = std::make_unique<HeapWalk>(reader_, visitors_, kKey);
  visitor_ = Visitor{};
  uint64_t* word = &heap_.Word(heap_.bounds.top)[1];
  uint64_t before = *word;
  *word = 24;
  MendedHeap mended(heap_, word, before);
  ASSERT_EQ(walk_->Walk(heap_.start(), mended, HeapKind::kMain), Reason::kNone);
  EXPECT_EQ(totals().in_use.bytes, right.in_use.bytes);
  EXPECT_EQ(totals().free.chunks, right.free.chunks);
  EXPECT_EQ(visitor_.bytes, right.in_use.bytes);
}

TEST_F(HeapWalkTest, EndsWhereMemoryVanished) {
  heap_.Fill(8'000);
  mprotect(heap_.Word(heap_.start() + 64 * kPageBytes), 64 * kPageBytes, PROT_NONE);
  EXPECT_EQ(Walk(), Reason::kIncomplete);
}

TEST_F(HeapWalkTest, StopsWhenAForkWaits) {
  heap_.Fill(8'000);
  pace_.rests_left = 3;
  EXPECT_EQ(Walk(), Reason::kInconsistent);
  EXPECT_EQ(totals().in_use.bytes, 0u);
}

TEST(MappedBlock, FillsWholePages) {
  Mapping mapping;
  mapping.start = 0x10000;
  mapping.end = 0x80000;
  MappedBlock block;
  EXPECT_TRUE(IsMappedBlock(0x10000, {0, 0x40002}, 0, mapping, &block));
  EXPECT_EQ(block.bytes, 0x40000u);
  EXPECT_FALSE(IsMappedBlock(0x10000, {0, 0x40000}, 0, mapping, &block));
  EXPECT_FALSE(IsMappedBlock(0x10000, {0, 0x40012}, 0, mapping, &block));
  EXPECT_FALSE(IsMappedBlock(0x10000, {0, 0x90002}, 0, mapping, &block));
  EXPECT_FALSE(IsMappedBlock(0x10000, {0, ~uint64_t{5}}, 0, mapping, &block));
}

TEST(MappedBlock, MayBeAligned) {
  Mapping mapping;
  mapping.start = 0x10000;
  mapping.end = 0x80000;
  MappedBlock block;
  EXPECT_TRUE(IsMappedBlock(0x11ff0, {0xff0, 0x3f012}, 0, mapping, &block));
  EXPECT_EQ(block.start, 0x11000u);
  EXPECT_EQ(block.bytes, 0x40002u & ~0xfffu);
  EXPECT_FALSE(IsMappedBlock(0x11ff0, {0x1fff0, 0x40012}, 0, mapping, &block));
}

TEST(MappedBlock, HasSixteenBytesMoreInNewReleases) {
  Mapping mapping;
  mapping.start = 0x10000;
  mapping.end = 0x80000;
  MappedBlock block;
  EXPECT_TRUE(IsMappedBlock(0x10000, {1, 0x3fff2}, 16, mapping, &block));
  EXPECT_EQ(block.bytes, 0x40000u);
  EXPECT_FALSE(IsMappedBlock(0x10000, {1, 0x40002}, 0, mapping, &block));
}

}  // namespace
}  // namespace pymalloc_exporter
