#include "exporter/sample/sample_answerer.h"

namespace pymalloc_exporter {
namespace {

void Write(const ProcessSample& process, JsonText& text) {
  text.Key("process").Begin('{');
  text.Row("resident_bytes", process.resident_bytes);
  text.Row("resident_anon_bytes", process.resident_anon_bytes);
  text.Row("resident_file_bytes", process.resident_file_bytes);
  text.Row("resident_shmem_bytes", process.resident_shmem_bytes);
  text.Row("resident_peak_bytes", process.resident_peak_bytes);
  text.Row("swap_bytes", process.swap_bytes);
  text.Row("threads", process.threads);
  text.Row("cpu_seconds", process.cpu_seconds).End('}');
}

void Write(const PymallocSample& pymalloc, JsonText& text) {
  text.Key("pymalloc").Begin('{');
  text.Row("arenas", pymalloc.arenas);
  text.Row("arena_size_bytes", pymalloc.arena_size_bytes);
  text.Row("live_bytes", pymalloc.live_bytes);
  text.Row("free_block_bytes", pymalloc.free_block_bytes);
  text.Row("free_pool_bytes", pymalloc.free_pool_bytes);
  text.Row("uncarved_bytes", pymalloc.uncarved_bytes);
  text.Row("overhead_bytes", pymalloc.overhead_bytes).End('}');
}

void Write(const LedgerSample& sample, JsonText& text) {
  const Ledger& ledger = sample.ledger;
  text.Key("ledger").Begin('{');
  for (int i = 0; i < kLedgerComponents; ++i) {
    text.Row(kLedgerComponentNames[i], ledger.components[static_cast<size_t>(i)]);
  }
  text.Row("resident_bytes", ledger.resident_bytes);
  text.Row("live_bytes", ledger.live_bytes).End('}');
  const Judgement& judgement = sample.judgement;
  auto index = static_cast<int>(judgement.verdict);
  text.Key("verdict").Begin('{').Key("name").String(kVerdictNames[index]);
  text.Row("bytes", judgement.bytes).Row("ratio", judgement.ratio);
  text.Row("threshold_bytes", judgement.threshold_bytes);
  text.Row("threshold_ratio", judgement.threshold_ratio);
  text.Row("window_seconds", judgement.window_seconds);
  text.Row("gain_bytes", judgement.gain_bytes);
  text.Key("finding").String(kVerdictTexts[index].finding);
  text.Key("remedy").String(kVerdictTexts[index].remedy).End('}');
}

void WriteCollectors(const Sample& sample, JsonText& text) {
  text.Key("collectors").Begin('{');
  for (int i = 0; i < kCollectorCount; ++i) {
    const CollectorStatus& status = sample.collectors[static_cast<size_t>(i)];
    text.Key(kCollectorNames[i]).Begin('{').Key("up").Bool(status.up());
    if (!status.up())
      text.Key("reason").String(kReasonNames[static_cast<int>(status.reason)]);
    text.Row("timestamp_seconds", status.timestamp_seconds).End('}');
  }
  text.End('}');
}

}  // namespace

ReplyStatus SampleAnswerer::Answer(const Inquiry& inquiry, Pace&,
                                   JsonText& text) noexcept {
  const Sample& sample = inquiry.sample;
  text.Begin('{').Row("pid", int64_t{sample.identity.pid});
  text.Row("timestamp_seconds", sample.timestamp_seconds);
  Write(sample.process, text);
  Write(sample.pymalloc, text);
  if (sample.status(CollectorId::kLedger).timestamp_seconds > 0) {
    Write(sample.ledger, text);
  }
  WriteCollectors(sample, text);
  text.End('}');
  return ReplyStatus::kDone;
}

}  // namespace pymalloc_exporter
