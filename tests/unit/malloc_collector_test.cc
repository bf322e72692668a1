#include "exporter/system/malloc/malloc_collector.h"

#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <memory>

#include "exporter/system/malloc/chunk.h"
#include "exporter/system/own_memory.h"
#include "tests/unit/one_arena.h"

namespace pymalloc_exporter {
namespace {

constexpr size_t kArenaBytes = 1 << 20;

class MallocCollectorTest : public testing::Test {
 protected:
  void SetUp() override {
    collector_->Install();
    if (collector_->allocator().allocator != Allocator::kGlibc)
      GTEST_SKIP() << "not glibc's malloc";
    ASSERT_EQ(collector_->state(), Reason::kNone);
    mallopt(M_MMAP_THRESHOLD, kArenaBytes / 2);
    // Else there is nothing to look for.
    block_.reset(static_cast<char*>(malloc(kArenaBytes)));
    memset(block_.get(), 1, kArenaBytes);
  }

  uint64_t MappedBlocks() {
    NoRest pace;
    MallocSample sample;
    EXPECT_EQ(collector_->Read(&sample, pace), Reason::kNone);
    return sample.mmapped.chunks;
  }

  struct Free {
    void operator()(void* memory) const { free(memory); }
  };
  OneArena pymalloc_;
  std::unique_ptr<MallocCollector> collector_ =
      std::make_unique<MallocCollector>(&pymalloc_);
  std::unique_ptr<char, Free> block_;
};

// What would be taken for a block of malloc's.
void* MapForgedBlock() {
  void* memory = mmap(nullptr, kArenaBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  auto* header = static_cast<uint64_t*>(memory);
  header[0] = 0;
  header[1] = kArenaBytes / 2 | kOwnMapping;
  return memory;
}

TEST_F(MallocCollectorTest, LooksIntoNoArenaOfPymallocs) {
  void* memory = MapForgedBlock();
  ASSERT_NE(memory, nullptr);
  auto start = reinterpret_cast<uintptr_t>(memory);
  pymalloc_.arena = {start, start + kArenaBytes};
  EXPECT_EQ(MappedBlocks(), mallinfo2().hblks);
  munmap(memory, kArenaBytes);
}

TEST_F(MallocCollectorTest, LooksIntoNoMemoryOfItsOwn) {
  void* memory = MapForgedBlock();  // stays: what is noted is never forgotten
  ASSERT_NE(memory, nullptr);
  NoteOwnMemory(memory, kArenaBytes);
  EXPECT_EQ(MappedBlocks(), mallinfo2().hblks);
}

TEST_F(MallocCollectorTest, FindsBlocksWhereAnArenaWas) {
  ASSERT_TRUE(reinterpret_cast<const uint64_t*>(block_.get())[-1] & kOwnMapping);
  auto start = reinterpret_cast<uintptr_t>(block_.get()) - kChunkHeaderBytes;
  pymalloc_.arena = {start, start + kArenaBytes};
  EXPECT_EQ(MappedBlocks(), mallinfo2().hblks);
}

}  // namespace
}  // namespace pymalloc_exporter
