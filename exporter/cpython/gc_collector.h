// The garbage collector's counters, read from the main interpreter's state without the
// GIL.
//
// Source: struct gc_generation_stats (Include/internal/pycore_gc.h, from 3.14 on
// pycore_interp_structs.h); its place is proven against gc.get_stats() at install
// (install.cc). Thread safety: Collect on the
// sampler's thread; Begin and End under the GIL.

#pragma once

#include <atomic>
#include <cstdint>

#include "exporter/cpython/layout.h"
#include "exporter/sample/collector.h"

namespace pymalloc_exporter {

class GcCollector final : public Collector {
 public:
  CollectorId id() const override { return CollectorId::kGc; }
  Reason Collect(Sample& sample, const StopFlag& stop) noexcept override;

  // `stats`: what the layout leads to. It has to stay readable until End(): the main
  // interpreter's state does.
  void Begin(const PymallocExporterGcStats& layout, uintptr_t stats);
  void SetState(Reason state) { state_ = state; }
  // From now on the state is not looked at; returns when it is not being looked at.
  void End();

  GcSample Read() const;

 private:
  GcGeneration ReadGeneration(int generation) const;

  PymallocExporterGcStats layout_{};
  uintptr_t stats_ = 0;
  std::atomic<Reason> state_{Reason::kStarting};
  std::atomic<bool> reading_{false};
};

}  // namespace pymalloc_exporter
