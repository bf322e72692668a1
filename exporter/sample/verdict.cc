#include "exporter/sample/verdict.h"

#include <algorithm>

namespace pymalloc_exporter {
namespace {

using Looks = std::span<const MemoryLook>;
using Figure = uint64_t MemoryLook::*;

// A service that warms up grows, too, but ever slower: each step between the thirds of
// the looks has to be at least this share of the whole growth.
constexpr double kLeastStep = 0.25;

double Share(uint64_t part, uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

uint64_t Lowest(Looks looks, Figure figure) {
  uint64_t lowest = UINT64_MAX;
  for (const MemoryLook& look : looks) lowest = std::min(lowest, look.*figure);
  return lowest;
}

// By how much the lows of the figure rose, if they did so steadily; else 0. Lows, since a
// service that is busy goes up and down.
uint64_t SteadyGrowth(Looks looks, Figure figure) {
  size_t third = looks.size() / 3;
  uint64_t first = Lowest(looks.first(third), figure);
  uint64_t second = Lowest(looks.subspan(third, third), figure);
  uint64_t last = Lowest(looks.subspan(2 * third), figure);
  if (second <= first || last <= second) return 0;
  uint64_t least = std::min(second - first, last - second);
  return Share(least, last - first) >= kLeastStep ? last - first : 0;
}

uint64_t BytesOf(const MemoryLook& look, uint64_t hash) {
  for (const TypeBytes& type : look.types) {
    if (type.hash == hash) return type.bytes;
  }
  return 0;
}

// The type whose live bytes grew most from the first look to the last; 0: none.
uint64_t FastestType(Looks looks) {
  uint64_t fastest = 0;
  uint64_t most = 0;
  for (const TypeBytes& type : looks.back().types) {
    uint64_t before = BytesOf(looks.front(), type.hash);
    if (type.hash == 0 || type.bytes <= before + most) continue;
    most = type.bytes - before;
    fastest = type.hash;
  }
  return fastest;
}

// The judgement that `bytes`, seen over `looks`, make up; healthy below the threshold.
Judgement Weigh(Verdict verdict, uint64_t bytes, uint64_t whole, uint64_t gain,
                const DoubleThreshold& threshold, Looks looks) {
  Judgement out;
  out.resident_bytes = looks.back().resident_bytes;
  double ratio = Share(bytes, whole);
  if (bytes < threshold.bytes || ratio < threshold.ratio) return out;
  out.verdict = verdict;
  out.bytes = bytes;
  out.ratio = ratio;
  out.threshold_bytes = threshold.bytes;
  out.threshold_ratio = threshold.ratio;
  out.gain_bytes = gain;
  out.window_seconds = looks.back().seconds - looks.front().seconds;
  return out;
}

Judgement JudgeGrowth(Looks looks, Verdict verdict, Figure figure) {
  uint64_t growth = SteadyGrowth(looks, figure);
  uint64_t before = Lowest(looks.first(looks.size() / 3), &MemoryLook::resident_bytes);
  Judgement out = Weigh(verdict, growth, before, growth, kGrowthThreshold, looks);
  if (out.verdict == Verdict::kLeak) out.type_hash = FastestType(looks);
  return out;
}

// What is the matter now, whatever came before: of several, what would give back most.
Judgement JudgeState(Looks looks) {
  uint64_t resident = looks.back().resident_bytes;
  uint64_t trim = Lowest(looks, &MemoryLook::trim_bytes);
  uint64_t heap_free = Lowest(looks, &MemoryLook::heap_free_bytes);
  uint64_t arena_free = Lowest(looks, &MemoryLook::arena_free_bytes);
  uint64_t unpin = Lowest(looks, &MemoryLook::unpin_bytes);
  uint64_t unshared = Lowest(looks, &MemoryLook::unshared_bytes);
  Judgement found[] = {
      Weigh(Verdict::kMallocRetention, heap_free, resident, trim, kRetentionThreshold,
            looks),
      Weigh(Verdict::kPymallocFragmentation, arena_free, resident, unpin,
            kRetentionThreshold, looks),
      Weigh(Verdict::kCopyOnWrite, unshared, looks.back().inherited_bytes, unshared,
            kCopyThreshold, looks)};
  Judgement worst = found[0];
  for (const Judgement& other : found) {
    bool matters = other.verdict != Verdict::kHealthy;
    bool first = worst.verdict == Verdict::kHealthy;
    if (matters && (first || other.gain_bytes > worst.gain_bytes)) worst = other;
  }
  return worst;
}

}  // namespace

const VerdictText kVerdictTexts[kVerdicts] = {
    {"nothing stands out", "none needed"},
    {"new live Python objects that stay",
     "find what keeps them: gc.get_referrers() on objects of the type that grows; bound "
     "the cache, drop the reference"},
    {"free memory in arenas that some live objects keep from going",
     "recycle the worker (--max-requests), or keep what lives long out of bursts: load "
     "it "
     "before, or in a process of its own"},
    {"freed memory that the C library keeps",
     "malloc_trim(0), or fewer arenas (MALLOC_ARENA_MAX), or jemalloc; what lies in "
     "small "
     "pieces between live blocks goes with the worker only"},
    {"memory of the master that this worker has copied",
     "gc.freeze() before the fork, gc.disable() in the master; load what is shared "
     "before "
     "the fork"},
    {"new memory of native code that stays",
     "look into extension modules and buffers: no Python object accounts for it"}};

Judgement Judge(std::span<const MemoryLook> looks) {
  Judgement healthy;
  if (looks.empty()) return healthy;
  healthy.resident_bytes = looks.back().resident_bytes;
  if (looks.back().resident_bytes < kSmallHeapBytes) return healthy;
  if (looks.size() >= kLooksForGrowth) {
    Judgement leak = JudgeGrowth(looks, Verdict::kLeak, &MemoryLook::python_bytes);
    if (leak.verdict != Verdict::kHealthy) return leak;
    Judgement native =
        JudgeGrowth(looks, Verdict::kNativeGrowth, &MemoryLook::native_bytes);
    if (native.verdict != Verdict::kHealthy) return native;
  }
  if (looks.size() >= kLooksForState) return JudgeState(looks.last(kLooksForState));
  return healthy;
}

void LookHistory::Add(const MemoryLook& look) {
  if (count_ == kMostLooks) {
    std::move(looks_.begin() + 1, looks_.end(), looks_.begin());
    --count_;
  }
  looks_[static_cast<size_t>(count_++)] = look;
}

}  // namespace pymalloc_exporter
