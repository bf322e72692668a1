// The collector of what lives, by type: a census at each slow beat, of a sample of the
// arenas where all of them would take more CPU time than there is.
//
// Thread safety: Collect on the sampler's thread; Begin, SetState and End under the GIL;
// TakeCensus on any thread, each with a census of its own.

#pragma once

#include <atomic>

#include "exporter/cpython/census.h"
#include "exporter/cpython/free_list_collector.h"
#include "exporter/cpython/pymalloc_collector.h"
#include "exporter/sample/collector.h"

namespace pymalloc_exporter {

// Runs one pass of `census` over the arenas of `pymalloc`. `swap`: something is swapped
// out, and left there. Returns why there is none.
Reason TakeCensus(const ObjectFacts& facts, PymallocCollector& pymalloc,
                  FreeListCollector& free_lists, PymallocCollector::Scope scope,
                  bool swap, int top, const LargeTally* large, Pace& pace, Census& census,
                  CensusSample* out);

class CensusCollector final : public SlowCollector {
 public:
  CensusCollector(PymallocCollector& pymalloc, FreeListCollector& free_lists)
      : pymalloc_(pymalloc), free_lists_(free_lists) {}

  CollectorId id() const override { return CollectorId::kCensus; }
  Reason Collect(Sample& sample, Pace& pace) noexcept override;

  // Of the start and the last few, for the sampler's thread.
  const CensusHistory& history() const { return history_; }
  void BecomeChild() noexcept override { history_.Forget(); }

  // At install: what is known of the interpreter now.
  Reason Begin(const ObjectFacts& facts, const PoolGeometry& geometry);
  void SetTop(int top) { top_ = top; }
  void SetState(Reason state) { state_ = state; }
  void End() { state_ = Reason::kInterpreterGone; }

  Reason state() const { return state_; }
  // Sees the walks through the C heap, each of which comes before the pass.
  LargeObjects& large_objects() { return large_; }
  const std::atomic<Reason>& state_now() const { return state_; }
  const ObjectFacts& facts() const { return facts_; }
  // For the proof, before the sampler begins.
  Census& census() { return census_; }

 private:
  // Of the arenas, what may be read in so much CPU time.
  double ShareFor(double cpu_seconds) const;

  PymallocCollector& pymalloc_;
  FreeListCollector& free_lists_;
  std::atomic<Reason> state_{Reason::kStarting};
  std::atomic<int> top_{10};
  ObjectFacts facts_;
  uint32_t arena_bytes_ = 1;
  double cpu_seconds_a_byte_ = 0;  // of arenas, of the last pass
  Census census_;
  CensusHistory history_;
  std::atomic<bool> another_{false};  // interpreter than that of the history
  LargeObjects large_{facts_, state_};
};

}  // namespace pymalloc_exporter
