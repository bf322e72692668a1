#include "exporter/cpython/sparse_arenas.h"

#include <algorithm>
#include <numeric>

namespace pymalloc_exporter {

bool SparseArenas::Read(uintptr_t arena, uint32_t piece) {
  if (piece == 0) bytes_ = ArenaBytes{};
  bool last = ForEachPool(arena, piece, geometry_, [&](uintptr_t pool) {
    PoolBlocks blocks;
    CountPoolBlocks(pool, geometry_, blocks);
    bytes_.Add(blocks, geometry_);
    return blocks.kind != PoolBlocks::Kind::kUncarved;
  });
  if (last && bytes_.sparse()) {
    double share = static_cast<double>(bytes_.live) / static_cast<double>(bytes_.usable);
    arenas_.push_back({arena, share, 0});
  }
  return last;
}

void SparseArenas::Rank() {
  std::vector<size_t> order(arenas_.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return arenas_[a].live_share < arenas_[b].live_share;
  });
  for (size_t rank = 0; rank < order.size(); ++rank) arenas_[order[rank]].rank = rank;
}

size_t SparseArenas::RankOf(uintptr_t address) const {
  auto next = std::upper_bound(
      arenas_.begin(), arenas_.end(), address,
      [](uintptr_t left, const Arena& right) { return left < right.base; });
  if (next == arenas_.begin()) return kNone;
  const Arena& arena = next[-1];
  return address - arena.base < geometry_.arena_bytes ? arena.rank : kNone;
}

}  // namespace pymalloc_exporter
