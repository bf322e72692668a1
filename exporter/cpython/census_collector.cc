#include "exporter/cpython/census_collector.h"

namespace pymalloc_exporter {

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
  if (reason == Reason::kNone) census.Finish(top, out);
  return reason;
}

Reason CensusCollector::Begin(const ObjectFacts& facts, const PoolGeometry& geometry) {
  state_ = Reason::kStarting;
  facts_ = facts;
  another_ = true;
  return census_.Open(facts_, geometry) && history_.Open() ? Reason::kNone
                                                           : Reason::kOutOfMemory;
}

Reason CensusCollector::Collect(Sample& sample, Pace& pace) noexcept {
  Reason state = state_;
  if (state != Reason::kNone) return state;
  CensusSample found;
  Reason reason = TakeCensus(
      facts_, pymalloc_, free_lists_, PymallocCollector::Scope::kProcess,
      sample.process.swap_bytes > 0, top_, large_.last(), pace, census_, &found);
  if (reason != Reason::kNone) return reason;
  sample.census = found;
  if (another_.exchange(false)) history_.Forget();
  pace.Rest();
  census_.Keep(found, &history_.Next());
  history_.Commit(Seconds(CLOCK_REALTIME));
  return Reason::kNone;
}

}  // namespace pymalloc_exporter
