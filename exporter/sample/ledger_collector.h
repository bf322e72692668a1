// The collector that draws up the ledger and judges, when the others have made their
// passes.
//
// Registered last of the slow collectors. It has RSS and the arenas read once more, so
// that all parts are as near to one moment as passes of some hundred milliseconds allow.
// Thread safety: the sampler's thread; BecomeChild in a fork's child. No GIL, no malloc.

#pragma once

#include "exporter/sample/collector.h"
#include "exporter/sample/verdict.h"
#include "exporter/system/files.h"

namespace pymalloc_exporter {

// What mostly free arenas hold besides their live blocks; pure.
uint64_t UnpinBytes(const PymallocSample& pymalloc);

class LedgerCollector final : public SlowCollector {
 public:
  // `process` and `pymalloc` read what their ids say; they live as long as this.
  LedgerCollector(Collector& process, Collector& pymalloc, KernelPaths paths = {})
      : process_(process), pymalloc_(pymalloc), paths_(paths) {}

  CollectorId id() const override { return CollectorId::kLedger; }
  Reason Collect(Sample& sample, Pace& pace) noexcept override;
  void BecomeChild() noexcept override;

 private:
  void Look(const Sample& sample);
  uint64_t UnsharedBytes(const Sample& sample);

  Collector& process_;
  Collector& pymalloc_;
  KernelPaths paths_;
  LookHistory history_;
  uint64_t inherited_bytes_ = 0;  // anonymous memory at the fork
  int parent_ = 0;                // that it was inherited from
};

}  // namespace pymalloc_exporter
