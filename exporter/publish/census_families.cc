// python_live_*, python_pinned_bytes, python_heap_top_pin_bytes: what lives, by type, and
// what it pins.

#include <algorithm>

#include "exporter/publish/families.h"

namespace pymalloc_exporter {
namespace {

constexpr const char* kOther = "other";
constexpr const char* kFreeList = "(free list)";
constexpr const char* kUntyped = "(untyped)";
constexpr const char* kNative = "(native)";

constexpr uint32_t kTopRows = 2;

void AddLive(const CensusSample& census, FamilyBuilder& builder) {
  auto row = [&](const char* type, uint64_t objects, uint64_t bytes) {
    builder.Add(Metric::kLiveObjects, Number(objects), {{"type", type}});
    builder.Add(Metric::kLiveObjectBytes, Number(bytes), {{"type", type}});
  };
  for (uint32_t i = 0; i < census.live_rows; ++i) {
    row(census.live[i].type, census.live[i].objects, census.live[i].bytes);
  }
  row(kOther, census.other_objects, census.other_bytes);
  row(kFreeList, census.kept_objects, census.kept_bytes);
  builder.Add(Metric::kLiveUntypedBytes, Number(census.untyped_bytes));
  if (!census.sampled() || !builder.Shows(Metric::kLiveErrorRatio)) return;
  uint64_t bytes = census.other_bytes;
  for (uint32_t i = 0; i < census.live_rows; ++i) bytes += census.live[i].bytes;
  builder.Add(Metric::kLiveErrorRatio, census.error_bytes / Number(bytes));
}

void AddPinned(const CensusSample& census, FamilyBuilder& builder) {
  auto row = [&](const char* type, uint64_t bytes) {
    builder.Add(Metric::kPinnedBytes, Number(bytes), {{"type", type}});
  };
  for (uint32_t i = 0; i < census.pinned_rows; ++i) {
    row(census.pinned[i].type, census.pinned[i].bytes);
  }
  row(kOther, census.other_pinned_bytes);
  row(kFreeList, census.kept_pinned_bytes);
  row(kUntyped, census.untyped_pinned_bytes);
}

// By default the first few: at most 200 series a worker.
void AddTops(const CensusSample& census, Detail detail, FamilyBuilder& builder) {
  auto row = [&](const char* type, uint64_t bytes) {
    builder.Add(Metric::kHeapTopPinBytes, Number(bytes), {{"type", type}});
  };
  uint32_t shown =
      detail == Detail::kFull ? census.top_rows : std::min(census.top_rows, kTopRows);
  uint64_t other_bytes = census.other_top_bytes;
  for (uint32_t i = 0; i < census.top_rows; ++i) {
    if (i < shown) {
      row(census.tops[i].type, census.tops[i].bytes);
    } else {
      other_bytes += census.tops[i].bytes;
    }
  }
  row(kOther, other_bytes);
  row(kNative, census.native_top_bytes);
}

}  // namespace

void AddCensus(const LiveSample& live, FamilyBuilder& builder) {
  if (!HasFigures(live.sample, CollectorId::kCensus)) return;
  AddLive(live.sample.census, builder);
  AddPinned(live.sample.census, builder);
  AddTops(live.sample.census, live.sample.identity.detail, builder);
}

}  // namespace pymalloc_exporter
