// The garbage collector's counters, read from the main interpreter's state without the
// GIL.
//
// Source: struct gc_generation_stats[3] (Include/internal/pycore_gc.h); its place is
// proven against gc.get_stats() at install (install.cc). Thread safety: Collect on the
// sampler's thread; Begin and End under the GIL.

#pragma once

#include <atomic>
#include <cstdint>

#include "exporter/sample/collector.h"

namespace pymalloc_exporter {

class GcCollector final : public Collector {
 public:
  CollectorId id() const override { return CollectorId::kGc; }
  Reason Collect(Sample& sample, const StopFlag& stop) noexcept override;

  // `stats`: 3 generations of collections, collected, uncollectable. It has to stay
  // readable until End(): the main interpreter's state does.
  void Begin(const volatile uint64_t* stats) { stats_ = stats; }
  void SetState(Reason state) { state_ = state; }
  // From now on the state is not looked at; returns when it is not being looked at.
  void End();

  GcSample Read() const;

 private:
  std::atomic<const volatile uint64_t*> stats_{nullptr};
  std::atomic<Reason> state_{Reason::kStarting};
  std::atomic<bool> reading_{false};
};

}  // namespace pymalloc_exporter
