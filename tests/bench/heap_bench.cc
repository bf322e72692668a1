// The walk through the C heap against mallinfo2(), on one heap of a million chunks, and
// what a thread that allocates from it waits for beside each.
//
// Prints: chunks; nanoseconds of CPU a chunk of the walk and of mallinfo2(); the longest
// malloc() or free() in milliseconds, less what it waited for a core, alone, beside walks
// and beside calls of mallinfo2().

#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "exporter/system/clock.h"
#include "exporter/system/malloc/malloc_collector.h"
#include "tests/bench/timing.h"

using namespace pymalloc_exporter;

namespace {

constexpr int kChunks = 1'000'000;
constexpr int kTimes = 9;
constexpr int kRounds = 7;
constexpr Nanoseconds kRound = 400 * kMillisecond;
constexpr int kHeld = 2000;
// Less is not looked into.
constexpr Nanoseconds kLong = 100 * kMicrosecond;

// As the sampler's, which polls for that long.
class Resting final : public Pace {
 public:
  bool Rest() noexcept override {
    Sleep(50 * kMicrosecond);
    return true;
  }
};

class Random {
 public:
  size_t Between(size_t least, size_t most) {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return least + (state_ >> 33) % (most - least + 1);
  }

 private:
  uint64_t state_ = 1;
};

// A third of it is free again, one chunk here and there.
void Fill() {
  Random random;
  std::vector<void*> blocks(kChunks);
  for (void*& block : blocks) block = malloc(random.Between(24, 600));
  for (int i = 1; i < kChunks; i += 3) free(blocks[static_cast<size_t>(i)]);
}

// How long this thread has waited for a core so far.
class CoreWaits {
 public:
  Nanoseconds Read() const {
    char text[128] = "";
    long long used = 0, waited = 0;
    bool read = pread(file_, text, sizeof text - 1, 0) > 0;
    return read && sscanf(text, "%lld %lld", &used, &waited) == 2 ? waited : 0;
  }

 private:
  int file_ = open("/proc/thread-self/schedstat", O_RDONLY);
};

// Of blocks that no cache of the thread's holds, so that each takes the heap's lock.
double LongestMilliseconds() {
  static std::array<void*, kHeld> held{};
  static Random random;
  static const CoreWaits waits;
  Nanoseconds longest = 0;
  Nanoseconds waited = waits.Read();
  Nanoseconds end = Now() + kRound;
  for (Nanoseconds before = Now(); before < end;) {
    void*& block = held[random.Between(0, kHeld - 1)];
    free(block);
    block = malloc(random.Between(1100, 3000));
    Nanoseconds after = Now();
    Nanoseconds took = after - before;
    if (took > kLong) {
      Nanoseconds by_now = waits.Read();
      took -= by_now - waited;
      waited = by_now;
      after = Now();
    }
    longest = std::max(longest, took);
    before = after;
  }
  return static_cast<double>(longest) / kMillisecond;
}

template <typename Work>
double LongestBeside(Work work) {
  std::atomic<bool> stop{false};
  std::thread other([&] {
    while (!stop) work();
  });
  double longest = LongestMilliseconds();
  stop = true;
  other.join();
  return longest;
}

}  // namespace

int main() {
  Fill();
  auto& collector = *new MallocCollector(nullptr);
  collector.Install();
  Resting pace;
  MallocSample sample;
  bool walked = true;
  auto walk = [&] { walked = collector.Read(&sample, pace) == Reason::kNone; };
  size_t seen = 0;
  auto ask = [&] {
    seen += mallinfo2().fordblks;
    Sleep(kMillisecond);
  };
  double walk_time = MedianCpuTime(kTimes, walk);
  auto chunks = static_cast<double>(sample.in_use.chunks + sample.free.chunks);
  if (!walked || chunks < kChunks) return 1;
  double ask_time = MedianCpuTime(kTimes, ask);
  std::vector<double> alone, beside_walk, beside_ask;
  for (int i = 0; i < kRounds; ++i) {
    alone.push_back(LongestBeside([] { Sleep(kMillisecond); }));
    beside_walk.push_back(LongestBeside(walk));
    beside_ask.push_back(LongestBeside(ask));
  }
  printf("%.0f %.2f %.2f %.3f %.3f %.3f\n", chunks, walk_time / chunks, ask_time / chunks,
         Median(alone), Median(beside_walk), Median(beside_ask));
  return seen == 0;
}
