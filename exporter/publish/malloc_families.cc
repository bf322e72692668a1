// malloc_* and what trimming the C heap would give back.

#include "exporter/publish/families.h"

namespace pymalloc_exporter {
namespace {

// The upper bound of a band, as the label says it; the last has none.
std::string BandName(int band) {
  static constexpr const char* kNames[kFreeChunkBands] = {"64",   "256", "1Ki",  "4Ki",
                                                          "64Ki", "1Mi", "16Mi", "Inf"};
  return kNames[band];
}

void AddBytes(const MallocSample& heap, FamilyBuilder& builder) {
  if (heap.allocator == Allocator::kMimalloc) {
    builder.Add(Metric::kMallocBytes, Number(heap.undivided_bytes),
                {{"state", "undivided"}});
    return;
  }
  builder.Add(Metric::kMallocBytes, Number(heap.in_use.bytes), {{"state", "in_use"}});
  builder.Add(Metric::kMallocBytes, Number(heap.free.bytes), {{"state", "free"}});
  if (heap.allocator == Allocator::kTcmalloc) return;
  builder.Add(Metric::kMallocBytes, Number(heap.overhead_bytes), {{"state", "overhead"}});
}

// What only a walk through glibc's chunks can tell.
void AddChunks(const MallocSample& heap, FamilyBuilder& builder) {
  builder.Add(Metric::kMallocBytes, Number(heap.top.bytes), {{"state", "top"}});
  builder.Add(Metric::kMallocBytes, Number(heap.mmapped.bytes), {{"state", "mmapped"}});
  builder.Add(Metric::kMallocChunks, Number(heap.in_use.chunks + heap.mmapped.chunks),
              {{"state", "in_use"}});
  builder.Add(Metric::kMallocChunks, Number(heap.free.chunks), {{"state", "free"}});
  builder.Add(Metric::kMallocLargestFree, Number(heap.largest_free_chunk_bytes));
  bool by_size = builder.Shows(Metric::kMallocFreeBySize);
  for (int band = 0; by_size && band < kFreeChunkBands; ++band) {
    builder.Add(Metric::kMallocFreeBySize, Number(heap.free_bytes_by_size[band]),
                {{"size", BandName(band)}});
  }
  builder.Add(Metric::kReclaimable, Number(heap.trim_bytes), {{"by", "trim"}});
}

}  // namespace

void AddMalloc(const LiveSample& live, FamilyBuilder& builder) {
  const Sample& sample = live.sample;
  const MallocSample& heap = sample.malloc;
  if (sample.status(CollectorId::kMalloc).reason == Reason::kStarting) return;
  builder.Add(Metric::kMallocInfo, 1,
              {{"allocator", kAllocatorNames[static_cast<int>(heap.allocator)]},
               {"version", heap.version}});
  if (!HasFigures(sample, CollectorId::kMalloc)) return;
  AddBytes(heap, builder);
  if (heap.arenas > 0) builder.Add(Metric::kMallocArenas, Number(heap.arenas));
  if (heap.allocator == Allocator::kGlibc) AddChunks(heap, builder);
}

}  // namespace pymalloc_exporter
