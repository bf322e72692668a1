#include "exporter/sample/sample.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "exporter/sample/json_text.h"

namespace pymalloc_exporter {
namespace {

template <size_t Size>
bool ValidText(const char (&text)[Size]) {
  size_t length = strnlen(text, Size);
  if (length == Size) return false;
  for (size_t at = 0; at < length;) {
    size_t step = SequenceBytes({text + at, length - at});
    if (step == 0) return false;
    at += step;
  }
  return true;
}

bool ValidTime(double seconds) { return std::isfinite(seconds) && seconds >= 0; }

// A bool that another process wrote may be any byte.
bool ValidBool(const bool& value) {
  return *reinterpret_cast<const unsigned char*>(&value) <= 1;
}

bool ValidIdentity(const Identity& identity) {
  return identity.nonce != 0 && ValidText(identity.app) &&
         ValidText(identity.implementation) && ValidText(identity.version) &&
         ValidText(identity.version_patchlevel) &&
         static_cast<unsigned>(identity.detail) <= static_cast<unsigned>(Detail::kFull) &&
         identity.origin < Origin::kCount && ValidBool(identity.serving);
}

bool ValidStatus(const CollectorStatus& status) {
  return static_cast<int>(status.reason) < kReasonCount &&
         ValidTime(status.duration_seconds) && ValidTime(status.timestamp_seconds);
}

bool ValidMalloc(const MallocSample& malloc) {
  return static_cast<int>(malloc.allocator) < kAllocatorCount &&
         ValidText(malloc.version);
}

bool ValidJudgement(const Judgement& judgement) {
  return static_cast<int>(judgement.verdict) < kVerdicts &&
         std::isfinite(judgement.ratio) && std::isfinite(judgement.threshold_ratio) &&
         ValidTime(judgement.window_seconds);
}

bool AddsUp(const PymallocSample& s) {
  return s.live_bytes + s.free_block_bytes + s.free_pool_bytes + s.uncarved_bytes +
             s.overhead_bytes ==
         s.arenas * s.arena_size_bytes;
}

void Move(double& timestamp, double by) {
  if (timestamp > 0) timestamp = std::max(timestamp + by, 0.0);
}

template <size_t Size>
bool ValidRows(const std::array<CensusRow, Size>& rows, uint32_t count) {
  return count <= Size &&
         std::all_of(rows.begin(), rows.begin() + count,
                     [](const CensusRow& row) { return ValidText(row.type); });
}

bool ValidCensus(const CensusSample& census) {
  return ValidRows(census.live, census.live_rows) &&
         ValidRows(census.pinned, census.pinned_rows) &&
         ValidRows(census.tops, census.top_rows);
}

}  // namespace

void FollowClock(Sample& sample, double offset) {
  double step = offset - sample.clock_offset_seconds;
  sample.clock_offset_seconds = offset;
  Move(sample.timestamp_seconds, step);
  for (CollectorStatus& status : sample.collectors) Move(status.timestamp_seconds, step);
}

bool Valid(const Sample& sample) {
  return ValidIdentity(sample.identity) && ValidTime(sample.timestamp_seconds) &&
         ValidTime(sample.exporter_cpu_seconds) &&
         std::isfinite(sample.clock_offset_seconds) &&
         std::all_of(sample.collectors.begin(), sample.collectors.end(), ValidStatus) &&
         ValidTime(sample.process.cpu_seconds) &&
         ValidTime(sample.process.start_time_seconds) &&
         ValidBool(sample.residency.page_map) && ValidBool(sample.residency.huge_known) &&
         AddsUp(sample.ledger.ledger) && ValidJudgement(sample.ledger.judgement) &&
         std::isfinite(sample.cgroup.pressure_stalled_seconds) &&
         AddsUp(sample.pymalloc) && ValidMalloc(sample.malloc) &&
         ValidCensus(sample.census);
}

}  // namespace pymalloc_exporter
