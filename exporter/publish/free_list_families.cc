// python_freelist_*: freed objects that the interpreter keeps for reuse.

#include "exporter/publish/families.h"

namespace pymalloc_exporter {
namespace {

// Lists that keep no more are one row by default: from 3.14 on there are a dozen of them,
// which together hold a few KB at most. So are those of async code, for that a worker has
// at most 200 series.
constexpr uint64_t kMostOfSmallLists = 20;

bool HasRowOfItsOwn(int kind, const FreeListFigure& figure) {
  bool of_async_code = kind == kAsyncGenValueFreeList || kind == kAsyncGenAsendFreeList ||
                       kind == kFutureIteratorFreeList;
  return figure.capacity > kMostOfSmallLists && !of_async_code;
}

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
void AddByLength(const FreeListSample& lists, FamilyBuilder& builder) {
  for (size_t i = 0; i < lists.tuples.size(); ++i) {
    std::string length = std::to_string(i + 1);
    AddFigure(lists.tuples[i],
              {{"type", kFreeListTypes[kTupleFreeList]}, {"length", length}}, builder);
  }
}

void AddEach(const FreeListSample& lists, FamilyBuilder& builder) {
  for (int kind = 0; kind < kFreeListKinds; ++kind) {
    if (kind == kTupleFreeList) {
      AddByLength(lists, builder);
    } else {
      AddFigure(lists.kinds[kind], {{"type", kFreeListTypes[kind]}}, builder);
    }
  }
}

void AddLarge(const FreeListSample& lists, FamilyBuilder& builder) {
  FreeListFigure other;
  for (int kind = 0; kind < kFreeListKinds; ++kind) {
    const FreeListFigure& figure = lists.kinds[kind];
    if (HasRowOfItsOwn(kind, figure)) {
      AddFigure(figure, {{"type", kFreeListTypes[kind]}}, builder);
      continue;
    }
    other.objects += figure.objects;
    other.bytes += figure.bytes;
    other.capacity += figure.capacity;
  }
  AddFigure(other, {{"type", "other"}}, builder);
}

}  // namespace

void AddFreeLists(const LiveSample& live, FamilyBuilder& builder) {
  if (!HasFigures(live.sample, CollectorId::kFreeLists)) return;
  const FreeListSample& lists = live.sample.free_lists;
  if (builder.Shows(Metric::kFreeListCapacity)) {
    AddEach(lists, builder);
  } else {
    AddLarge(lists, builder);
  }
}

}  // namespace pymalloc_exporter
