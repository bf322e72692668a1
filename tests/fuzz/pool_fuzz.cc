// Arenas with any words in their pool headers, between pages that may not be touched.

#include "tests/fuzz/fuzz.h"
#include "tests/unit/synthetic_arena.h"

using namespace pymalloc_exporter;

namespace {

constexpr int kPools = 63;  // of a misaligned arena

void CheckTally(const PoolTally& tally, const PoolGeometry& geometry, uint64_t pools) {
  Check(tally.arenas == 1);
  Check(tally.used_pools + tally.free_pools + tally.uncarved_pools +
            tally.unreadable_pools ==
        pools);
  PymallocSample sample;
  FillPymalloc(tally, geometry, sample);
  for (int i = 0; i < kSizeClasses; ++i) {
    Check(sample.class_live_blocks[i] + sample.class_free_blocks[i] ==
          sample.class_pools[i] * geometry.capacity[i]);
  }
  Check(sample.live_bytes + sample.free_block_bytes + sample.free_pool_bytes +
            sample.uncarved_bytes <=
        geometry.arena_bytes);
  Check(sample.overhead_bytes <= geometry.arena_bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const PoolGeometry geometry(1 << 20, 1 << 14);
  static SyntheticArena aligned(geometry), misaligned(geometry, 4096);
  FuzzedDataProvider input(data, size);
  bool straight = input.ConsumeBool();
  SyntheticArena& arena = straight ? aligned : misaligned;
  for (int pool = 0; pool < kPools; ++pool) {
    auto size_class = input.ConsumeIntegral<uint8_t>();
    uint32_t words[3];
    if (input.ConsumeBool() || size_class >= kSizeClasses) {
      for (uint32_t& word : words) word = input.ConsumeIntegral<uint32_t>();
    } else {
      words[0] = input.ConsumeIntegralInRange<uint32_t>(0, geometry.capacity[size_class]);
      words[1] = words[2] = geometry.last_offset[size_class];
    }
    arena.Write(pool, {words[0], size_class, words[1], words[2]});
  }
  ClassifyArena(arena.base(), geometry);
  CheckTally(arena.Tally(), geometry, straight ? kPools + 1 : kPools);
  return 0;
}
