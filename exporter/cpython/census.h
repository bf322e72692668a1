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
// A pass may read a sample of the arenas (arena_sample.h). Then all that it found in them
// is scaled to all arenas in Finish(), and has an error.
//
// What lives in the C heap comes from a walk through that (large_objects.h), but for
// buffers: these are their owners' to tell.
//
// Thread safety: one thread at a time. No GIL, no malloc, no lock.

#pragma once

#include <cstdint>

#include "exporter/cpython/arena_reader.h"
#include "exporter/cpython/arena_sample.h"
#include "exporter/cpython/large_objects.h"
#include "exporter/cpython/object_typing.h"
#include "exporter/cpython/pool_blocks.h"
#include "exporter/sample/census.h"
#include "exporter/sample/census_snapshot.h"

namespace pymalloc_exporter {

// What a pass adds up beside the types' own totals.
struct CensusTotals {
  uint64_t blocks = 0;  // live, by the headers
  uint64_t block_bytes = 0;
  uint64_t objects = 0;
  uint64_t object_bytes = 0;  // of their own blocks
  uint64_t kept_objects = 0;
  uint64_t kept_bytes = 0;
  uint64_t keys_bytes = 0;          // tables of dicts, in pools
  uint64_t owned_pool_bytes = 0;    // told by owners, in pools
  uint64_t owned_heap_bytes = 0;    // the same, in the C heap
  uint64_t owned_mapped_bytes = 0;  // of these, in mappings of their own
  uint64_t large_objects = 0;       // in the C heap
  uint64_t blocks_in_motion = 0;    // known by count only
  uint64_t sparse_free_bytes = 0;   // in sparse arenas
  double kept_pinned = 0;
  double untyped_pinned = 0;
  double typed_squares = 0;  // of the bytes that types have of each arena, added up
};

// One of the blocks nearest the top of the C heap, from the topmost down.
struct TopPin {
  static constexpr int kNobodys = -1;  // native code's, or nobody knows whose

  int name;  // of the type that it belongs to, in TypeTable
  uint64_t bytes;
  uint64_t free_bytes_below;
};

class Census final : public ArenaReader {
 public:
  Census();

  // False if memory was refused.
  bool Open(const ObjectFacts& facts, const PoolGeometry& geometry);

  // `reader`, `floats` and `large` (null: nothing is known of the C heap) have to stay
  // until Finish(). `read_heap`: headers in the C heap may be looked at, of which none is
  // swapped out.
  void Begin(const TypeReader& reader, const KeptFloats& floats, const LargeTally* large,
             bool read_heap);
  // The share of the arenas that the passes from now on read; 1, all, until then.
  void SetShare(double share) { share_ = share; }
  bool Wants() override { return sample_.Draw(); }
  bool Read(uintptr_t arena, uint32_t piece) override;
  // At most `top` types a table.
  void Finish(int top, CensusSample* out);
  // After Finish(), what it found, `sample` included.
  void Keep(const CensusSample& sample, CensusSnapshot* out);

  const CensusTotals& totals() const { return totals_; }
  const ArenaSample& sample() const { return sample_; }
  TypeTable& types() { return types_; }
  int top_pins() const { return large_ == nullptr ? 0 : large_->top_count; }
  const TopPin& top_pin(int index) const { return top_pins_[index]; }

 private:
  // Of the arena that is being read.
  struct ArenaTally {
    ArenaBytes bytes;
    uint64_t kept_bytes;
    uint64_t untyped_bytes;
  };

  void BeginTops();
  void BeginArena();
  bool ReadPool(uintptr_t pool, ObjectTyper typer);
  void CountOther(BlockKind kind, uint32_t bytes);
  void Meet(TypeEntry& type, uint32_t bytes);
  void AddMet(uint32_t bytes);
  void Touch(TypeEntry& type);
  void CountBuffer(TypeEntry& type, const OwnedBuffer& buffer);
  void LookAtChunk(OwnedBuffer* buffer);
  void NoteTopOwner(const TypeEntry& type, uintptr_t buffer);
  void EndArena();
  double Scale();
  void AddLarge(CensusSample* out);
  int NameOf(const TopBlock& block);

  const ObjectFacts* facts_ = nullptr;
  PoolGeometry geometry_{1 << 20, 1 << 14};
  const KeptFloats* floats_ = nullptr;
  const LargeTally* large_ = nullptr;
  TypeTable types_;
  double share_ = 1;
  ArenaSample sample_;
  TypeEntry* dict_ = nullptr;
  CensusTotals totals_;
  ArenaTally arena_{};
  uint16_t touched_[TypeTable::kMostTypes];  // types in this arena
  int touched_count_ = 0;
  // Types in this pool, whose objects there are not added up yet; there are few.
  static constexpr int kMostMet = 16;
  TypeEntry* met_[kMostMet];
  int met_count_ = 0;
  int heap_reads_left_ = 0;  // in this piece
  bool read_heap_ = false;
  uintptr_t lowest_top_ = 0, highest_top_ = 0;
  TopPin top_pins_[LargeTally::kMostTops];
};

}  // namespace pymalloc_exporter
