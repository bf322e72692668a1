// One census: every live block of every pool, by the type of what it holds.
//
// A pass goes through the arenas piece by piece, as ArenaReader; then Finish() adds up
// and picks what is worth a row. What a pass finds of a process that runs meanwhile is of
// no single moment, but each block was seen live.
//
// Pins: an arena goes back to the system only when nothing lives in it. Of each sparse
// arena (less than half of its usable bytes live) the free bytes, pools and blocks, are
// shared out to what lives there, in proportion to its bytes. Blocks that were told by
// their owner (items of a list) are nobody's here: it is not known where the owner is.
//
// Thread safety: one thread at a time. No GIL, no malloc, no lock.

#pragma once

#include <cstdint>

#include "exporter/cpython/arena_reader.h"
#include "exporter/cpython/object_typing.h"
#include "exporter/cpython/pool_blocks.h"
#include "exporter/sample/census.h"

namespace pymalloc_exporter {

// What a pass adds up beside the types' own totals.
struct CensusTotals {
  uint64_t blocks = 0;  // live, by the headers
  uint64_t block_bytes = 0;
  uint64_t objects = 0;
  uint64_t object_bytes = 0;  // of their own blocks
  uint64_t kept_objects = 0;
  uint64_t kept_bytes = 0;
  uint64_t keys_bytes = 0;         // tables of dicts, in pools
  uint64_t owned_pool_bytes = 0;   // told by owners, in pools
  uint64_t blocks_in_motion = 0;   // known by count only
  uint64_t sparse_free_bytes = 0;  // in sparse arenas
  double kept_pinned = 0;
  double untyped_pinned = 0;
};

class Census final : public ArenaReader {
 public:
  // False if memory was refused.
  bool Open(const ObjectFacts& facts, const PoolGeometry& geometry);

  // `reader` and `floats` have to stay until Finish().
  void Begin(const TypeReader& reader, const KeptFloats& floats);
  bool Read(uintptr_t arena, uint32_t piece) override;
  // At most `top` types a table.
  void Finish(int top, CensusSample* out);

  const CensusTotals& totals() const { return totals_; }
  TypeTable& types() { return types_; }

 private:
  // Of the arena that is being read.
  struct ArenaTally {
    uint64_t live_bytes;
    uint64_t free_bytes;  // blocks and pools
    uint64_t usable_bytes;
    uint64_t kept_bytes;
    uint64_t untyped_bytes;
  };

  void BeginArena();
  bool ReadPool(uintptr_t pool, ObjectTyper& typer);
  void Count(const Finding& found, uint32_t bytes, ObjectTyper& typer);
  void Note(TypeEntry& type, uint32_t bytes);
  void EndArena();

  const ObjectFacts* facts_ = nullptr;
  PoolGeometry geometry_{1 << 20, 1 << 14};
  const KeptFloats* floats_ = nullptr;
  TypeTable types_;
  TypeEntry* dict_ = nullptr;
  CensusTotals totals_;
  ArenaTally arena_{};
  uint16_t touched_[TypeTable::kMostTypes];  // types in this arena
  int touched_count_ = 0;
};

}  // namespace pymalloc_exporter
