// python_memory_*: the ledger, what remedies could give back, and the verdict.

#include "exporter/publish/families.h"

namespace pymalloc_exporter {
namespace {

void AddComponents(const Ledger& ledger, FamilyBuilder& builder) {
  for (int i = 0; i < kLedgerComponents; ++i) {
    builder.Add(Metric::kMemoryBytes, static_cast<double>(ledger.components[i]),
                {{"component", kLedgerComponentNames[i]}});
  }
  builder.Add(Metric::kLiveBytes, Number(ledger.live_bytes));
  if (ledger.live_bytes > 0) {
    builder.Add(Metric::kRssToLive,
                Number(ledger.resident_bytes) / Number(ledger.live_bytes));
  }
}

void AddVerdict(const Judgement& judgement, FamilyBuilder& builder) {
  for (int i = 0; i < kVerdicts; ++i) {
    builder.Add(Metric::kVerdict, i == static_cast<int>(judgement.verdict),
                {{"verdict", kVerdictNames[i]}});
  }
  builder.Add(Metric::kVerdictBytes, Number(judgement.bytes));
  if (builder.Shows(Metric::kVerdictRatio)) {
    builder.Add(Metric::kVerdictRatio, judgement.ratio);
  }
  builder.Add(Metric::kVerdictGain, Number(judgement.gain_bytes));
}

}  // namespace

void AddLedger(const LiveSample& live, FamilyBuilder& builder) {
  if (!HasFigures(live.sample, CollectorId::kLedger)) return;
  const LedgerSample& ledger = live.sample.ledger;
  AddComponents(ledger.ledger, builder);
  if (HasFigures(live.sample, CollectorId::kPymalloc)) {
    builder.Add(Metric::kReclaimable, Number(ledger.unpin_bytes), {{"by", "unpin"}});
  }
  if (HasFigures(live.sample, CollectorId::kFreeLists)) {
    builder.Add(Metric::kReclaimable, Number(ledger.freelist_bytes),
                {{"by", "freelists"}});
  }
  AddVerdict(ledger.judgement, builder);
}

}  // namespace pymalloc_exporter
