// Which arenas are sparse, in the census's sense: less than half of what is usable lives.
//
// Thread safety: one thread at a time. Takes memory from malloc, 24 bytes a sparse arena.
// No GIL of its own.

#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "exporter/cpython/arena_reader.h"
#include "exporter/cpython/pool_blocks.h"

namespace pymalloc_exporter {

class SparseArenas final : public ArenaReader {
 public:
  static constexpr size_t kNone = SIZE_MAX;

  explicit SparseArenas(const PoolGeometry& geometry) : geometry_(geometry) {}

  // In the order of addresses.
  bool Read(uintptr_t arena, uint32_t piece) override;

  // After the last arena.
  void Rank();
  // The place of the arena that `address` lies in, 0 for the sparsest; kNone: in no
  // sparse one.
  size_t RankOf(uintptr_t address) const;

 private:
  struct Arena {
    uintptr_t base;
    double live_share;
    size_t rank;
  };

  PoolGeometry geometry_;
  ArenaBytes bytes_;
  std::vector<Arena> arenas_;
};

}  // namespace pymalloc_exporter
