#include "exporter/cpython/census_collector.h"

#include <algorithm>
#include <cmath>

namespace pymalloc_exporter {
namespace {

// What a pass may take before one was measured: 60,000,000 blocks of 48 bytes a second.
constexpr double kFirstCpuSecondsAByte = 0.35e-9;

// A smaller sample would say little, and save little.
constexpr double kLeastSampleBytes = 64 << 20;

}  // namespace

Reason TakeCensus(const ObjectFacts& facts, PymallocCollector& pymalloc,
                  FreeListCollector& free_lists, PymallocCollector::Scope scope,
                  bool swap, int top, const LargeTally* large, Pace& pace, Census& census,
                  CensusSample* out) {
  TypeReader reader(*facts.layout, facts.module_key);
  if (!reader.usable()) return Reason::kUnreadable;
  KeptFloats floats;
  floats.count = free_lists.ReadEntries(kFloatFreeList, reader.memory(), floats.addresses,
                                        KeptFloats::kMost);
  census.Begin(reader, floats, large, !swap);
  Reason reason = pymalloc.ReadArenas(scope, swap, census, pace);
  bool nothing = census.sample().arenas() > 0 && census.sample().drawn() == 0;
  if (reason == Reason::kNone && nothing) return Reason::kIncomplete;
  if (reason == Reason::kNone) census.Finish(top, out);
  return reason;
}

Reason CensusCollector::Begin(const ObjectFacts& facts, const PoolGeometry& geometry) {
  state_ = Reason::kStarting;
  facts_ = facts;
  arena_bytes_ = geometry.arena_bytes;
  cpu_seconds_a_byte_ = kFirstCpuSecondsAByte;
  another_ = true;
  return census_.Open(facts_, geometry) && history_.Open() ? Reason::kNone
                                                           : Reason::kOutOfMemory;
}

double CensusCollector::ShareFor(double cpu_seconds) const {
  double bytes = static_cast<double>(pymalloc_.arenas()) * arena_bytes_;
  double affordable = std::max(cpu_seconds / cpu_seconds_a_byte_, kLeastSampleBytes);
  return bytes > affordable ? affordable / bytes : 1;
}

Reason CensusCollector::Collect(Sample& sample, Pace& pace) noexcept {
  Reason state = state_;
  if (state != Reason::kNone) return state;
  CensusSample found;
  double left = pace.CpuSecondsLeft();
  census_.SetShare(ShareFor(left));
  Reason reason = TakeCensus(
      facts_, pymalloc_, free_lists_, PymallocCollector::Scope::kProcess,
      sample.process.swap_bytes > 0, top_, large_.last(), pace, census_, &found);
  if (reason != Reason::kNone) return reason;
  double cpu = left - pace.CpuSecondsLeft();
  double read_bytes = static_cast<double>(found.arenas_read) * arena_bytes_;
  // Where little was read, what a pass takes anyway would count for more than it is.
  if (read_bytes >= kLeastSampleBytes / 2 && std::isfinite(cpu))
    cpu_seconds_a_byte_ = cpu / read_bytes;
  if (!pace.Rest()) return Reason::kInconsistent;
  sample.census = found;
  if (another_.exchange(false)) history_.Forget();
  census_.Keep(found, &history_.Next());
  history_.Commit(Seconds(CLOCK_REALTIME));
  return Reason::kNone;
}

}  // namespace pymalloc_exporter
