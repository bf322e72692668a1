#include "exporter/system/pass_memory.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <vector>

namespace pymalloc_exporter {
namespace {

constexpr size_t kBytes = 8192;

void* Map() {
  return mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
              0);
}

bool Mapped(void* memory) { return madvise(memory, kBytes, MADV_NORMAL) == 0; }

TEST(PassMemory, IsGivenBackAtOnce) {
  void* memory = Map();
  GiveBack(memory, kBytes, false);
  EXPECT_FALSE(Mapped(memory));
}

TEST(PassMemory, IsLeftForLaterInAHurry) {
  GiveBackWhatIsLeft();  // by other tests
  void* memory = Map();
  GiveBack(memory, kBytes - 1, true);
  EXPECT_TRUE(Mapped(memory));
  EXPECT_EQ(LeftMemory(0).start, reinterpret_cast<uintptr_t>(memory));
  EXPECT_EQ(LeftMemory(0).end, LeftMemory(0).start + kBytes);
  GiveBackWhatIsLeft();
  EXPECT_FALSE(Mapped(memory));
  EXPECT_EQ(LeftMemory(0).end, 0u);
}

TEST(PassMemory, IsNeverForgotten) {
  std::vector<void*> all;
  for (int i = 0; i < 10; ++i) all.push_back(Map());
  for (void* memory : all) GiveBack(memory, kBytes, true);
  GiveBackWhatIsLeft();
  for (void* memory : all) EXPECT_FALSE(Mapped(memory));
}

}  // namespace
}  // namespace pymalloc_exporter
