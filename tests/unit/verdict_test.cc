#include "exporter/sample/verdict.h"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

namespace pymalloc_exporter {
namespace {

constexpr uint64_t kMegabyte = 1 << 20;

// Looks a minute apart at a service of 500 MiB, each changed by `change`.
std::vector<MemoryLook> Looks(int count,
                              const std::function<void(int, MemoryLook&)>& change) {
  std::vector<MemoryLook> looks(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) {
    MemoryLook& look = looks[static_cast<size_t>(i)];
    look.seconds = 60.0 * i;
    look.resident_bytes = 500 * kMegabyte;
    look.python_bytes = 300 * kMegabyte;
    look.native_bytes = 100 * kMegabyte;
    change(i, look);
  }
  return looks;
}

Verdict VerdictOf(int count, const std::function<void(int, MemoryLook&)>& change) {
  return Judge(Looks(count, change)).verdict;
}

uint64_t Megabytes(int count) { return static_cast<uint64_t>(count) * kMegabyte; }

TEST(Judge, FindsNothingWhereThereIsNothing) {
  EXPECT_EQ(Judge({}).verdict, Verdict::kHealthy);
  EXPECT_EQ(VerdictOf(60, [](int, MemoryLook&) {}), Verdict::kHealthy);
}

TEST(Judge, NamesALeakAndItsNumbers) {
  auto looks = Looks(60, [](int i, MemoryLook& look) {
    look.python_bytes += Megabytes(2 * i);
    look.resident_bytes += Megabytes(2 * i);
    look.types[0] = {7, Megabytes(i)};
    look.types[1] = {9, Megabytes(100)};
  });
  Judgement judgement = Judge(looks);
  EXPECT_EQ(judgement.verdict, Verdict::kLeak);
  EXPECT_EQ(judgement.bytes, Megabytes(80));
  EXPECT_DOUBLE_EQ(judgement.ratio, 0.16);
  EXPECT_EQ(judgement.gain_bytes, judgement.bytes);
  EXPECT_EQ(judgement.threshold_bytes, kGrowthThreshold.bytes);
  EXPECT_DOUBLE_EQ(judgement.window_seconds, 59 * 60);
  EXPECT_EQ(judgement.type_hash, 7u);
}

TEST(Judge, NamesGrowthOfNativeMemory) {
  EXPECT_EQ(VerdictOf(30,
                      [](int i, MemoryLook& look) {
                        look.native_bytes += Megabytes(4 * i);
                        look.resident_bytes += Megabytes(4 * i);
                      }),
            Verdict::kNativeGrowth);
}

TEST(Judge, CallsGrowthOfBothALeak) {
  EXPECT_EQ(VerdictOf(30,
                      [](int i, MemoryLook& look) {
                        look.native_bytes += Megabytes(9 * i);
                        look.python_bytes += Megabytes(4 * i);
                      }),
            Verdict::kLeak);
}

TEST(Judge, NeedsBothAnAmountAndAShareOfGrowth) {
  auto growth = [](int resident, int each) {
    return [=](int i, MemoryLook& look) {
      look.resident_bytes = Megabytes(resident);
      look.python_bytes = Megabytes(10) + Megabytes(each * i) / 10;
    };
  };
  // 40 of 60 looks' steps lie between the lows of the first third and of the last.
  EXPECT_EQ(VerdictOf(60, growth(100, 7)), Verdict::kHealthy);    // 28 MiB
  EXPECT_EQ(VerdictOf(60, growth(100, 9)), Verdict::kLeak);       // 36 MiB
  EXPECT_EQ(VerdictOf(60, growth(1000, 20)), Verdict::kHealthy);  // 80 MiB, 8 %
  EXPECT_EQ(VerdictOf(60, growth(1000, 30)), Verdict::kLeak);     // 120 MiB, 12 %
}

TEST(Judge, NeedsLooksEnough) {
  auto steep = [](int i, MemoryLook& look) { look.python_bytes += Megabytes(100 * i); };
  EXPECT_EQ(VerdictOf(kLooksForGrowth - 1, steep), Verdict::kHealthy);
  EXPECT_EQ(VerdictOf(kLooksForGrowth, steep), Verdict::kLeak);
}

TEST(Judge, LetsAServiceWarmUp) {
  EXPECT_EQ(VerdictOf(60,
                      [](int i, MemoryLook& look) {
                        look.python_bytes += Megabytes(20 * std::min(i, 15));
                      }),
            Verdict::kHealthy);
}

TEST(Judge, LetsAServiceGoUpAndDown) {
  EXPECT_EQ(VerdictOf(60,
                      [](int i, MemoryLook& look) {
                        look.python_bytes += Megabytes(i * 37 % 100 * 3);
                      }),
            Verdict::kHealthy);
}

TEST(Judge, IsSilentOnSmallHeaps) {
  EXPECT_EQ(VerdictOf(60,
                      [](int i, MemoryLook& look) {
                        look.resident_bytes = kSmallHeapBytes - 1;
                        look.python_bytes = Megabytes(i);
                        look.heap_free_bytes = look.arena_free_bytes = Megabytes(50);
                        look.inherited_bytes = look.unshared_bytes = Megabytes(50);
                      }),
            Verdict::kHealthy);
}

// A state that lasts: `bytes` where `figure` says, of a service of 500 MiB.
Verdict OfState(uint64_t MemoryLook::* figure, int megabytes, int since = 0) {
  return VerdictOf(10, [=](int i, MemoryLook& look) {
    look.inherited_bytes = Megabytes(200);
    if (i >= since) look.*figure = Megabytes(megabytes);
    look.unpin_bytes = look.arena_free_bytes;
  });
}

TEST(Judge, NamesWhatMallocKeeps) {
  EXPECT_EQ(OfState(&MemoryLook::heap_free_bytes, 101), Verdict::kMallocRetention);
  EXPECT_EQ(OfState(&MemoryLook::heap_free_bytes, 99), Verdict::kHealthy);
}

TEST(Judge, NamesFragmentationOfArenas) {
  EXPECT_EQ(OfState(&MemoryLook::arena_free_bytes, 101), Verdict::kPymallocFragmentation);
  EXPECT_EQ(OfState(&MemoryLook::arena_free_bytes, 99), Verdict::kHealthy);
}

TEST(Judge, NamesCopiesOfTheMastersMemory) {
  EXPECT_EQ(OfState(&MemoryLook::unshared_bytes, 51), Verdict::kCopyOnWrite);
  EXPECT_EQ(OfState(&MemoryLook::unshared_bytes, 49), Verdict::kHealthy);
}

TEST(Judge, WaitsUntilAStateHasLasted) {
  EXPECT_EQ(OfState(&MemoryLook::heap_free_bytes, 200, 7), Verdict::kMallocRetention);
  EXPECT_EQ(OfState(&MemoryLook::heap_free_bytes, 200, 8), Verdict::kHealthy);
}

TEST(Judge, NeedsAnAmountOfAState) {
  auto half = [](int megabytes) {
    return [=](int, MemoryLook& look) {
      look.resident_bytes = Megabytes(90);
      look.heap_free_bytes = Megabytes(megabytes);
    };
  };
  EXPECT_EQ(VerdictOf(10, half(47)), Verdict::kHealthy);
  EXPECT_EQ(VerdictOf(10, half(49)), Verdict::kMallocRetention);
}

TEST(Judge, PrefersWhatWouldGiveBackMost) {
  auto both = [](int trim, int unpin) {
    return [=](int, MemoryLook& look) {
      look.heap_free_bytes = Megabytes(200);
      look.trim_bytes = Megabytes(trim);
      look.arena_free_bytes = Megabytes(200);
      look.unpin_bytes = Megabytes(unpin);
    };
  };
  EXPECT_EQ(VerdictOf(10, both(120, 150)), Verdict::kPymallocFragmentation);
  EXPECT_EQ(VerdictOf(10, both(170, 150)), Verdict::kMallocRetention);
}

TEST(Judge, PredictsWhatItsRemedyGives) {
  Judgement judgement = Judge(Looks(10, [](int, MemoryLook& look) {
    look.arena_free_bytes = Megabytes(200);
    look.unpin_bytes = Megabytes(150);
  }));
  EXPECT_EQ(judgement.bytes, Megabytes(200));
  EXPECT_DOUBLE_EQ(judgement.ratio, 0.4);
  EXPECT_EQ(judgement.gain_bytes, Megabytes(150));
}

TEST(VerdictTexts, ExistForEach) {
  for (int i = 0; i < kVerdicts; ++i) {
    EXPECT_NE(kVerdictNames[i], nullptr);
    EXPECT_NE(kVerdictTexts[i].finding, nullptr);
    EXPECT_NE(kVerdictTexts[i].remedy, nullptr);
  }
}

TEST(LookHistory, KeepsTheLast) {
  LookHistory history;
  for (int i = 0; i < kMostLooks + 5; ++i) {
    MemoryLook look;
    look.seconds = i;
    history.Add(look);
  }
  ASSERT_EQ(history.looks().size(), static_cast<size_t>(kMostLooks));
  EXPECT_EQ(history.looks().front().seconds, 5);
  EXPECT_EQ(history.looks().back().seconds, kMostLooks + 4);
  history.Clear();
  EXPECT_TRUE(history.looks().empty());
}

}  // namespace
}  // namespace pymalloc_exporter
