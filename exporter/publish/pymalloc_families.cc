// pymalloc_*: arenas, pools and blocks.

#include "exporter/publish/families.h"

namespace pymalloc_exporter {
namespace {

void AddArenas(const PymallocSample& pymalloc, FamilyBuilder& builder) {
  builder.Add(Metric::kArenas, Number(pymalloc.arenas));
  builder.Add(Metric::kArenasHighwater, Number(pymalloc.arenas_highwater));
  builder.Add(Metric::kArenasAllocated, Number(pymalloc.arenas_allocated));
  builder.Add(Metric::kArenasFreed, Number(pymalloc.arenas_freed));
  builder.Add(Metric::kArenaSize, Number(pymalloc.arena_size_bytes));
  builder.Add(Metric::kPoolSize, Number(pymalloc.pool_size_bytes));
}

void AddBytes(const PymallocSample& pymalloc, FamilyBuilder& builder) {
  auto bytes = [&](const char* state, uint64_t value) {
    builder.Add(Metric::kPymallocBytes, Number(value), {{"state", state}});
  };
  bytes("live", pymalloc.live_bytes);
  bytes("free_block", pymalloc.free_block_bytes);
  bytes("free_pool", pymalloc.free_pool_bytes);
  bytes("uncarved", pymalloc.uncarved_bytes);
  bytes("overhead", pymalloc.overhead_bytes);
  uint64_t carved = pymalloc.arenas * pymalloc.arena_size_bytes - pymalloc.uncarved_bytes;
  if (pymalloc.live_bytes > 0) {
    builder.Add(Metric::kFragmentation, Number(carved) / Number(pymalloc.live_bytes));
  }
}

void AddPools(const PymallocSample& pymalloc, FamilyBuilder& builder) {
  builder.Add(Metric::kPools, Number(pymalloc.used_pools), {{"state", "used"}});
  builder.Add(Metric::kPools, Number(pymalloc.free_pools), {{"state", "free"}});
  builder.Add(Metric::kPools, Number(pymalloc.uncarved_pools), {{"state", "uncarved"}});
}

void AddOccupancy(const PymallocSample& pymalloc, FamilyBuilder& builder) {
  for (int band = 0; band < kOccupancyBands; ++band) {
    uint64_t arenas = pymalloc.arenas_by_occupancy[band];
    std::string name = OccupancyBandName(band);
    builder.Add(Metric::kArenasByOccupancy, Number(arenas), {{"occupancy", name}});
    builder.Add(Metric::kArenaBytesByOccupancy,
                Number(arenas * pymalloc.arena_size_bytes), {{"occupancy", name}});
  }
}

void AddClasses(const PymallocSample& pymalloc, FamilyBuilder& builder) {
  for (int i = 0; i < kSizeClasses; ++i) {
    std::string size = std::to_string((i + 1) * kSizeClassStepBytes);
    builder.Add(Metric::kClassBlocks, Number(pymalloc.class_live_blocks[i]),
                {{"size", size}, {"state", "live"}});
    builder.Add(Metric::kClassBlocks, Number(pymalloc.class_free_blocks[i]),
                {{"size", size}, {"state", "free"}});
    builder.Add(Metric::kClassPools, Number(pymalloc.class_pools[i]), {{"size", size}});
  }
}

}  // namespace

std::string OccupancyBandName(int band) {
  if (band == kOccupancyBands - 1) return "100";
  std::string from = band == 0 ? "00" : std::to_string(band * 10);
  return from + "-" + std::to_string((band + 1) * 10);
}

void AddPymalloc(const LiveSample& live, FamilyBuilder& builder) {
  if (!HasFigures(live.sample, CollectorId::kPymalloc)) return;
  const PymallocSample& pymalloc = live.sample.pymalloc;
  AddArenas(pymalloc, builder);
  AddBytes(pymalloc, builder);
  AddPools(pymalloc, builder);
  AddOccupancy(pymalloc, builder);
  if (builder.Shows(Metric::kClassBlocks)) AddClasses(pymalloc, builder);
}

}  // namespace pymalloc_exporter
