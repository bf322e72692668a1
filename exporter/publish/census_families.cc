// python_live_*, python_pinned_bytes: what lives, by type, and what it pins.

#include "exporter/publish/families.h"

namespace pymalloc_exporter {
namespace {

constexpr const char* kOther = "other";
constexpr const char* kFreeList = "(free list)";
constexpr const char* kUntyped = "(untyped)";

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

}  // namespace

void AddCensus(const LiveSample& live, FamilyBuilder& builder) {
  if (!HasFigures(live.sample, CollectorId::kCensus)) return;
  AddLive(live.sample.census, builder);
  AddPinned(live.sample.census, builder);
}

}  // namespace pymalloc_exporter
