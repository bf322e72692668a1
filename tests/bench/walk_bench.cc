// The header walk against a bare loop that prefetches and adds up the same headers.
//
// Prints: nanoseconds a pool of the walk, of the bare loop, and the median of their
// ratios over interleaved pairs.

#include <sys/mman.h>

#include <cstdio>
#include <cstring>
#include <vector>

#include "exporter/cpython/pymalloc_collector.h"
#include "exporter/system/clock.h"
#include "tests/bench/timing.h"

using namespace pymalloc_exporter;

namespace {

constexpr int kArenas = 1024;
constexpr int kPairs = 41;
const PoolGeometry kGeometry(1 << 20, 1 << 14);

// Arenas as a grown heap has them: pools of all size classes, more or less full.
uintptr_t MakeArenas() {
  size_t bytes = size_t{kArenas} << 20;
  void* memory = mmap(nullptr, bytes + kGeometry.arena_bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return 0;
  uintptr_t base = (reinterpret_cast<uintptr_t>(memory) + kGeometry.arena_bytes - 1) &
                   ~uintptr_t{kGeometry.arena_bytes - 1};
  for (uintptr_t pool = base; pool < base + bytes; pool += kGeometry.pool_bytes) {
    auto* header = reinterpret_cast<uint32_t*>(pool);
    uint32_t size_class =
        static_cast<uint32_t>(pool / kGeometry.pool_bytes * 7 % kSizeClasses);
    header[0] =
        kGeometry.capacity[size_class] / (1 + static_cast<uint32_t>(pool >> 14) % 3);
    header[9] = size_class;
    header[10] = header[11] = kGeometry.last_offset[size_class];
  }
  return base;
}

uint64_t BareLoop(uintptr_t base) {
  uint64_t live = 0;
  for (int i = 0; i < kArenas; ++i) {
    uintptr_t arena = base + static_cast<uintptr_t>(i) * kGeometry.arena_bytes;
    for (uintptr_t at = 0; at < kGeometry.arena_bytes; at += kGeometry.pool_bytes) {
      __builtin_prefetch(reinterpret_cast<void*>(arena + at + 12 * kGeometry.pool_bytes));
      live += __atomic_load_n(reinterpret_cast<uint32_t*>(arena + at), __ATOMIC_RELAXED);
    }
  }
  return live;
}

}  // namespace

int main() {
  uintptr_t base = MakeArenas();
  if (base == 0) return 1;
  auto& collector = *new PymallocCollector;
  collector.Begin(kGeometry, {nullptr, nullptr, nullptr, [] { return true; }});
  for (uintptr_t i = 0; i < kArenas; ++i)
    collector.Adopt(base + i * kGeometry.arena_bytes);
  const StopFlag never{false};
  std::vector<double> walks, loops, ratios;
  uint64_t live = 0;
  for (int i = 0; i < kPairs; ++i) {
    PymallocSample sample;
    Nanoseconds start = Now();
    if (!collector.Walk(PymallocCollector::Scope::kProcess, never, sample)) return 1;
    Nanoseconds middle = Now();
    live += BareLoop(base);
    Nanoseconds end = Now();
    if (sample.arenas != kArenas) return 1;
    walks.push_back(static_cast<double>(middle - start));
    loops.push_back(static_cast<double>(end - middle));
    ratios.push_back(walks.back() / loops.back());
  }
  double pools = kArenas * 64.0;
  printf("%.3f %.3f %.3f\n", Median(walks) / pools, Median(loops) / pools,
         Median(ratios));
  return live == 0;
}
