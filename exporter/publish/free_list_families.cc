// python_freelist_*: freed objects that the interpreter keeps for reuse.

#include "exporter/publish/families.h"

namespace pymalloc_exporter {
namespace {

void AddFigure(const FreeListFigure& figure, std::initializer_list<ExtraLabel> labels,
               FamilyBuilder& builder) {
  if (figure.capacity == 0) return;
  builder.Add(Metric::kFreeListObjects, Number(figure.objects), labels);
  builder.Add(Metric::kFreeListBytes, Number(figure.bytes), labels);
  if (builder.Shows(Metric::kFreeListCapacity)) {
    builder.Add(Metric::kFreeListCapacity, Number(figure.capacity), labels);
  }
}

// Instead of the one row for all of them, so that sums over a type stay right.
void AddTuples(const FreeListSample& lists, FamilyBuilder& builder) {
  for (size_t i = 0; i < lists.tuples.size(); ++i) {
    std::string length = std::to_string(i + 1);
    AddFigure(lists.tuples[i],
              {{"type", kFreeListTypes[kTupleFreeList]}, {"length", length}}, builder);
  }
}

}  // namespace

void AddFreeLists(const LiveSample& live, FamilyBuilder& builder) {
  if (!HasFigures(live.sample, CollectorId::kFreeLists)) return;
  const FreeListSample& lists = live.sample.free_lists;
  for (int kind = 0; kind < kFreeListKinds; ++kind) {
    if (kind == kTupleFreeList && builder.Shows(Metric::kFreeListCapacity)) {
      AddTuples(lists, builder);
    } else {
      AddFigure(lists.kinds[kind], {{"type", kFreeListTypes[kind]}}, builder);
    }
  }
}

}  // namespace pymalloc_exporter
