#include "exporter/cpython/arena_registry.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

namespace pymalloc_exporter {
namespace {

constexpr uintptr_t kArena = uintptr_t{1} << 20;
constexpr uintptr_t kBase = 0x7f12'3450'0000;

std::vector<uintptr_t> Entries(ArenaRegistry& registry) {
  std::vector<uintptr_t> entries;
  registry.ForEach([&](ArenaRegistry::Cell&, uintptr_t entry) {
    entries.push_back(entry);
    return true;
  });
  return entries;
}

class ArenaRegistryTest : public testing::Test {
 protected:
  // Too large for a stack.
  std::unique_ptr<ArenaRegistry> owned_ = std::make_unique<ArenaRegistry>();
  ArenaRegistry& registry_ = *owned_;
};

TEST_F(ArenaRegistryTest, VisitsEntriesInOrderOfAddresses) {
  ASSERT_TRUE(registry_.Insert(kBase + kArena, 0));
  ASSERT_TRUE(registry_.Insert(kBase, ArenaRegistry::kVerified));
  ASSERT_TRUE(registry_.Insert(0x1000, 0));
  EXPECT_EQ(
      Entries(registry_),
      (std::vector<uintptr_t>{0x1000, kBase | ArenaRegistry::kVerified, kBase + kArena}));
}

TEST_F(ArenaRegistryTest, KeepsTheSmallestNeighboursApart) {
  constexpr uintptr_t kSmallest = 256 * 1024;
  for (uintptr_t i = 0; i < 3000; ++i) registry_.Insert(kBase + 4096 + i * kSmallest, 0);
  EXPECT_EQ(Entries(registry_).size(), 3000u);
}

TEST_F(ArenaRegistryTest, RemoveForgetsOnlyTheVeryArena) {
  registry_.Insert(kBase, 0);
  EXPECT_EQ(registry_.Remove(kBase + 4096), 0u);
  EXPECT_EQ(registry_.Remove(kBase + kArena), 0u);
  EXPECT_EQ(registry_.Remove(kBase), kBase);
  EXPECT_EQ(registry_.Remove(kBase), 0u);
  EXPECT_TRUE(Entries(registry_).empty());
}

TEST_F(ArenaRegistryTest, AFreeOfTheArenaBeingReadIsHandedOver) {
  registry_.Insert(kBase, 0);
  registry_.Insert(kBase + kArena, 0);
  registry_.ForEach([&](ArenaRegistry::Cell& cell, uintptr_t entry) {
    uintptr_t base = ArenaRegistry::Base(entry);
    EXPECT_EQ(registry_.BeginRead(cell, base), entry);
    EXPECT_NE(registry_.Remove(base), 0u);
    EXPECT_FALSE(registry_.HandOver(base + 2 * kArena));
    EXPECT_TRUE(registry_.HandOver(base));
    EXPECT_TRUE(registry_.EndRead());
    return true;
  });
  EXPECT_FALSE(registry_.HandOver(kBase));
}

TEST_F(ArenaRegistryTest, AnArenaFreedJustBeforeIsNotRead) {
  registry_.Insert(kBase, 0);
  registry_.ForEach([&](ArenaRegistry::Cell& cell, uintptr_t) {
    registry_.Remove(kBase);
    EXPECT_EQ(registry_.BeginRead(cell, kBase), 0u);
    EXPECT_FALSE(registry_.EndRead());
    return true;
  });
}

// Four threads allocate and free; whatever is being read stays until its reader is done.
TEST_F(ArenaRegistryTest, NothingIsFreedUnderItsReader) {
  constexpr int kThreads = 4, kArenas = 64;
  static std::atomic<int> mapped[kThreads][kArenas];
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> handed_over{0};
  auto slot = [&](uintptr_t base) -> std::atomic<int>& {
    uintptr_t index = (base - kBase) / kArena;
    return mapped[index / kArenas][index % kArenas];
  };
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; !stop; i = (i + 1) % kArenas) {
        uintptr_t base = kBase + static_cast<uintptr_t>(t * kArenas + i) * kArena;
        if (slot(base) == 0) {
          slot(base) = 1;
          registry_.Insert(base, 0);
        } else if (registry_.Remove(base) != 0 && !registry_.HandOver(base)) {
          slot(base) = 0;
        }
      }
    });
  }
  // On a busy machine it may take a while until a free meets a reader.
  for (int walk = 0; walk < 2000 || (handed_over == 0 && walk < 2'000'000); ++walk) {
    registry_.ForEach([&](ArenaRegistry::Cell& cell, uintptr_t entry) {
      uintptr_t base = ArenaRegistry::Base(entry);
      if (registry_.BeginRead(cell, base) != 0) {
        for (int look = 0; look < 20; ++look) EXPECT_EQ(slot(base), 1);
      }
      if (registry_.EndRead()) {
        ++handed_over;
        slot(base) = 0;
      }
      return true;
    });
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(handed_over, 0u);
}

}  // namespace
}  // namespace pymalloc_exporter
