#include "exporter/system/residency.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <functional>
#include <thread>
#include <vector>

#include "exporter/system/page_map.h"
#include "exporter/system/page_window.h"
#include "exporter/system/residency_collector.h"
#include "tests/unit/one_arena.h"

namespace pymalloc_exporter {
namespace {

constexpr uint64_t kMegabyte = 1 << 20;

// Anonymous memory of a test's own.
class Memory {
 public:
  explicit Memory(uint64_t bytes, int flags = 0) : bytes_(bytes) {
    start_ = static_cast<char*>(mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                                     MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0));
    EXPECT_NE(start_, MAP_FAILED);
    madvise(start_, bytes, MADV_NOHUGEPAGE);
  }
  ~Memory() { munmap(start_, bytes_); }

  char* start() const { return start_; }
  uintptr_t address() const { return reinterpret_cast<uintptr_t>(start_); }
  void Touch(uint64_t from, uint64_t bytes) {
    for (uint64_t at = from; at < from + bytes; at += kPageBytes) start_[at] = 1;
  }

 private:
  char* start_;
  uint64_t bytes_;
};

TEST(PageWindows, TellsWrittenFromUntouchedAndFromTheZeroPage) {
  Memory memory(8 * kPageBytes);
  memory.Touch(0, 2 * kPageBytes);
  volatile char read = memory.start()[3 * kPageBytes];
  (void)read;
  PageWindows windows;
  windows.Open();
  ASSERT_TRUE(windows.has_page_map());
  uint8_t states[8];
  ASSERT_TRUE(windows.Read(memory.address(), 8, states));
  EXPECT_EQ(states[0], kPageAnonymous | kPageExclusive);
  EXPECT_EQ(states[1], kPageAnonymous | kPageExclusive);
  EXPECT_EQ(states[2], 0);
  if (windows.has_scan()) {
    EXPECT_TRUE(states[3] & kPageZero);
  }
  EXPECT_EQ(states[4], 0);
}

// As glibc 2.43 has them below its thread stacks.
TEST(PageWindows, TakesNoGuardForSwapped) {
  constexpr int kGuardInstall = 102;  // MADV_GUARD_INSTALL, Linux 6.13
  Memory memory(4 * kPageBytes);
  memory.Touch(0, 4 * kPageBytes);
  int refused = madvise(memory.start(), 2 * kPageBytes, kGuardInstall);
  // Linux 6.15 tells them from pages that are swapped out.
  int major = 0, minor = 0;
  utsname system;
  uname(&system);
  sscanf(system.release, "%d.%d", &major, &minor);
  if (major < 6 || (major == 6 && minor < 15)) GTEST_SKIP() << "needs Linux 6.15";
  ASSERT_EQ(refused, 0);
  PageWindows windows;
  windows.Open();
  uint8_t states[4];
  ASSERT_TRUE(windows.Read(memory.address(), 4, states));
  EXPECT_EQ(states[0], 0);
  EXPECT_EQ(states[2], kPageAnonymous | kPageExclusive);
  PageState seen[4];
  Residency().Read(memory.address(), 4, seen);
  EXPECT_EQ(seen[0], PageState::kAbsent);
  EXPECT_EQ(seen[2], PageState::kResident);
  PageMap pages;
  ASSERT_TRUE(pages.Open());
  EXPECT_FALSE(pages.AnySwapped(memory.address(), 4 * kPageBytes));
  bool written[4];
  pages.FindWritten(memory.address(), 4, written);
  EXPECT_FALSE(written[0]);
  EXPECT_TRUE(written[2]);
}

TEST(PageWindows, LooksWithoutMakingAnythingResident) {
  Memory memory(kWindowBytes);
  PageWindows windows;
  windows.Open();
  uint8_t states[kPagesOfWindow];
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(windows.Read(memory.address(), kPagesOfWindow, states));
    for (uint8_t state : states) ASSERT_EQ(state, 0);
  }
}

TEST(PageWindows, TellsHugePages) {
  Memory memory(2 * kWindowBytes);
  uintptr_t aligned = (memory.address() + kWindowBytes - 1) / kWindowBytes * kWindowBytes;
  auto* start = reinterpret_cast<char*>(aligned);
  madvise(start, kWindowBytes, MADV_HUGEPAGE);
  *start = 1;
  PageWindows windows;
  windows.Open();
  uint8_t states[kPagesOfWindow];
  ASSERT_TRUE(windows.Read(aligned, kPagesOfWindow, states));
  bool huge = (states[kPagesOfWindow - 1] & kPageAnonymous) != 0;  // as the system allows
  if (huge && windows.has_scan()) {
    EXPECT_TRUE(states[0] & kPageHuge);
  }
}

TEST(PageWindows, AsksMincoreWhereThePageMapIsForbidden) {
  Memory memory(8 * kPageBytes);
  memory.Touch(kPageBytes, kPageBytes);
  PageWindows windows;
  windows.Open("/nowhere");
  EXPECT_FALSE(windows.has_page_map());
  uint8_t states[8];
  ASSERT_TRUE(windows.Read(memory.address(), 8, states));
  EXPECT_EQ(states[0], 0);
  EXPECT_EQ(states[1], kPageAnonymous);
}

std::vector<PageState> StatesOf(const Memory& memory, int count) {
  std::vector<PageState> states(static_cast<size_t>(count));
  Residency().Read(memory.address(), count, states.data());
  return states;
}

TEST(Residency, TellsEachPageOfAWindow) {
  Memory memory(kWindowBytes);
  for (int i = 0; i < kPagesOfWindow; i += 2)
    memory.Touch(static_cast<uint64_t>(i) * kPageBytes, kPageBytes);
  std::vector<PageState> states = StatesOf(memory, kPagesOfWindow);
  for (int i = 0; i < kPagesOfWindow; ++i) {
    PageState expected = i % 2 == 0 ? PageState::kResident : PageState::kAbsent;
    ASSERT_EQ(states[static_cast<size_t>(i)], expected) << i;
  }
}

TEST(Residency, KnowsGuardsAndWhatIsNotMapped) {
  constexpr int kInstallGuard = 102;  // MADV_GUARD_INSTALL, Linux 6.13
  Memory memory(8 * kPageBytes);
  memory.Touch(0, 8 * kPageBytes);
  bool guarded = madvise(memory.start(), kPageBytes, kInstallGuard) == 0;
  munmap(memory.start() + 4 * kPageBytes, 2 * kPageBytes);
  std::vector<PageState> states = StatesOf(memory, 8);
  EXPECT_EQ(states[0], guarded ? PageState::kAbsent : PageState::kResident);
  EXPECT_EQ(states[1], PageState::kResident);
  EXPECT_EQ(states[4], PageState::kAbsent);
  EXPECT_EQ(states[5], PageState::kAbsent);
  EXPECT_EQ(states[6], PageState::kResident);
}

class NoPace final : public Pace {
 public:
  bool Rest() noexcept override { return ++rests != end_at; }
  int rests = 0;
  int end_at = -1;
};

// Runs as the sampler does: on a stack that is noted as the exporter's own.
void OnOwnStack(std::function<void()> body) {
  constexpr size_t kBytes = 512 * 1024;
  void* stack = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  ASSERT_NE(stack, MAP_FAILED);
  NoteOwnMemory(stack, kBytes);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstack(&attributes, stack, kBytes);
  pthread_t thread;
  auto run = [](void* body) -> void* {
    (*static_cast<std::function<void()>*>(body))();
    return nullptr;
  };
  ASSERT_EQ(pthread_create(&thread, &attributes, run, &body), 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
}

ResidencySample CollectWith(const OneArena& arenas, const char* page_map) {
  auto collector = std::make_unique<ResidencyCollector>(arenas, KernelPaths{}, page_map);
  auto sample = std::make_unique<Sample>();
  NoRest pace;
  EXPECT_EQ(collector->Collect(*sample, pace), Reason::kNone);
  return sample->residency;
}

// How much more of the owner's is resident after `change`.
int64_t Change(MemoryOwner owner, const OneArena& arenas,
               const std::function<void()>& change,
               const char* page_map = "/proc/self/pagemap") {
  uint64_t before = CollectWith(arenas, page_map).of(owner).resident_bytes;
  change();
  uint64_t after = CollectWith(arenas, page_map).of(owner).resident_bytes;
  return static_cast<int64_t>(after - before);
}

constexpr int64_t kSome = 8 * kMegabyte;
constexpr int64_t kLittle = kMegabyte / 2;

TEST(ResidencyCollector, CountsWhatWasTouchedOnly) {
  Memory memory(4 * kSome);
  OneArena arenas;
  auto touch = [&] { memory.Touch(kSome, kSome); };
  EXPECT_NEAR(Change(MemoryOwner::kOther, arenas, touch), kSome, kLittle);
  Memory more(4 * kSome);
  auto touch_more = [&] { more.Touch(kSome, kSome); };
  EXPECT_NEAR(Change(MemoryOwner::kOther, arenas, touch_more, "/nowhere"), kSome,
              kLittle);
}

TEST(ResidencyCollector, GivesArenasTheirOwn) {
  Memory memory(4 * kSome);
  OneArena arenas;
  arenas.arena = {memory.address() + kSome, memory.address() + 2 * kSome};
  auto touch = [&] { memory.Touch(0, 4 * kSome); };
  EXPECT_EQ(Change(MemoryOwner::kArenas, arenas, touch), kSome);
}

TEST(ResidencyCollector, FindsTheStacksOfOtherThreads) {
  OnOwnStack([] {
    OneArena arenas;
    std::atomic<int> phase{0};
    std::thread deep;
    auto dive = [&] {
      deep = std::thread([&] {
        volatile char frame[4 * kMegabyte];
        for (size_t at = 0; at < sizeof frame; at += kPageBytes) frame[at] = 1;
        phase = 1;
        while (phase != 2) std::this_thread::yield();
      });
      while (phase != 1) std::this_thread::yield();
    };
    int64_t change = Change(MemoryOwner::kStacks, arenas, dive);
    phase = 2;
    deep.join();
    EXPECT_NEAR(change, 4 * kMegabyte, kLittle);
  });
}

TEST(ResidencyCollector, KnowsItsOwnStack) {
  OnOwnStack([] {
    OneArena arenas;
    ResidencySample found = CollectWith(arenas, "/proc/self/pagemap");
    EXPECT_GT(found.of(MemoryOwner::kExporter).resident_bytes, 0u);
  });
}

TEST(ResidencyCollector, EqualsWhatTheKernelCounts) {
  Memory memory(kSome);
  memory.Touch(0, kSome);
  OneArena arenas;
  ResidencySample found = CollectWith(arenas, "/proc/self/pagemap");
  char text[4096];
  uint64_t kilobytes = 0;
  ASSERT_TRUE(FindNumber(ReadFile("/proc", "self/status", text, sizeof text),
                         "RssAnon:", &kilobytes));
  EXPECT_NEAR(static_cast<double>(found.total().resident_bytes),
              static_cast<double>(kilobytes * 1024), 2.0 * kMegabyte);
}

// In a forked child: what it inherited is shared until it writes.
TEST(ResidencyCollector, TellsSharedFromExclusive) {
  Memory memory(2 * kSome);
  memory.Touch(0, 2 * kSome);
  pid_t child = fork();
  if (child == 0) {
    OneArena arenas;
    auto exclusive = [&] {
      return CollectWith(arenas, "/proc/self/pagemap").total().exclusive_bytes;
    };
    auto before = static_cast<int64_t>(exclusive());
    for (int64_t at = 0; at < kSome; at += kPageBytes) memory.start()[at] = 2;
    int64_t gained = static_cast<int64_t>(exclusive()) - before;
    bool right = before < kSome && std::abs(gained - kSome) < 2 * kLittle;
    _exit(right ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST(ResidencyCollector, RestsAfterEachWindowAndEndsWhenToldTo) {
  Memory memory(64 * kMegabyte);
  OneArena arenas;
  ResidencyCollector& collector = *new ResidencyCollector(arenas);
  auto sample = std::make_unique<Sample>();
  NoPace pace;
  EXPECT_EQ(collector.Collect(*sample, pace), Reason::kNone);
  EXPECT_GE(pace.rests, 32);
  NoPace ended;
  ended.end_at = 5;
  EXPECT_EQ(collector.Collect(*sample, ended), Reason::kInconsistent);
  EXPECT_EQ(ended.rests, 5);
  delete &collector;
}

TEST(ResidencyCollector, IsDownWithoutMaps) {
  OneArena arenas;
  auto collector =
      std::make_unique<ResidencyCollector>(arenas, KernelPaths{"/nowhere", ""});
  auto sample = std::make_unique<Sample>();
  NoPace pace;
  EXPECT_EQ(collector->Collect(*sample, pace), Reason::kUnreadable);
}

}  // namespace
}  // namespace pymalloc_exporter
