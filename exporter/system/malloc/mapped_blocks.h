// Malloc's blocks of their own mapping, and pieces of the main heap that lie where brk
// could not grow.
//
// The kernel merges such mappings with their neighbours and nothing lists them: every
// resident page of every anonymous mapping is looked at, the few bytes where a block's
// header can stand. A header there names its size and its distance from the mapping's
// start, which have to fit in whole pages; number and sum have to be what malloc counts.
// Pymalloc's arenas hold none and are passed over at the first try; the exporter's own
// memory, where copies of headers may lie, at each.
//
// Source: malloc/malloc.c, sysmalloc_mmap(), _int_memalign(). In 2.43 the mapping has 16
// bytes more than that, and bit 0 of the first word is a flag.
//
// Thread safety: one thread. No GIL, no malloc.

#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "exporter/sample/collectors.h"
#include "exporter/system/arena_finder.h"
#include "exporter/system/malloc/arenas.h"
#include "exporter/system/malloc/chunk_visitor.h"
#include "exporter/system/malloc/glibc_layout.h"
#include "exporter/system/memory_maps.h"

namespace pymalloc_exporter {

struct MappedBlock {
  uintptr_t start;   // of the mapping
  uintptr_t header;  // the chunk; mostly at its start
  uint64_t bytes;    // of the mapping
  uint64_t usable_bytes() const { return start + bytes - header - kChunkHeaderBytes; }
};

// Whether a block's header with these words at this address makes sense in the mapping.
bool IsMappedBlock(uintptr_t header, const ChunkHeader& words, uint32_t extra_bytes,
                   const Mapping& mapping, MappedBlock* block);

class MappedBlocks {
 public:
  // M_MMAP_MAX's default.
  static constexpr int kMostBlocks = 65536;
  static constexpr int kMostPieces = 4096;

  MappedBlocks(const GlibcLayout& layout, HeapReader& reader, HeapWalk& walk,
               Arenas& arenas, const ArenaFinder* pymalloc)
      : layout_(layout),
        reader_(reader),
        walk_(walk),
        arenas_(arenas),
        pymalloc_(pymalloc) {}

  // Finds them all, and adds the pieces of the main heap to the walk's totals. kNone;
  // kSwapped; kIncomplete where what was found is not what malloc counts; kInconsistent
  // (stopped).
  Reason Find();

  // Shows what was found to visitors; pieces of the main heap are walked once more.
  void Deliver(std::span<ChunkVisitor* const> visitors);

  const HeapFigure& figure() const { return figure_; }
  int blocks() const { return block_count_; }
  const MappedBlock& block(int index) const { return blocks_[index]; }

 private:
  // Where in a page a header can stand is copied in pieces of this size.
  static constexpr size_t kPieceBytes = 64;

  Reason FindOnce();
  bool ScanAll();
  void ScanMapping(const Mapping& mapping);
  uintptr_t EndOfOwnMemoryAt(uintptr_t address, uintptr_t* limit) const;
  uintptr_t EndOfPymallocsArenaAt(uintptr_t address, uintptr_t* limit) const;
  void LookAt(const uintptr_t* pages, int count, const Mapping& mapping);
  bool TakeBlock(uintptr_t header, const ChunkHeader& words, const Mapping& mapping);
  bool TakePiece(uintptr_t page, const ChunkHeader& words, const Mapping& mapping);
  // What one of malloc's counters was meanwhile.
  struct Counter {
    uint64_t least = UINT64_MAX, most = 0;

    void Note(uint64_t value) {
      least = std::min(least, value);
      most = std::max(most, value);
    }
    bool Saw(uint64_t value) const { return least <= value && value <= most; }
  };
  void NoteCounters();
  bool AreAll() const;
  bool PiecesWanted() const { return arenas_.MissingOfMainArena() > 0; }

  const GlibcLayout& layout_;
  HeapReader& reader_;
  HeapWalk& walk_;
  Arenas& arenas_;
  const ArenaFinder* const pymalloc_;  // null: not known

  MappedBlock blocks_[kMostBlocks];
  int block_count_ = 0;
  bool all_kept_ = true;
  HeapRange pieces_[kMostPieces];
  int piece_count_ = 0;
  HeapFigure figure_;

  bool every_place_ = false;  // also where alignments of 128 to 2048 bytes put a header
  bool everywhere_ = false;   // in pymalloc's arenas, too: where they are may be wrong
  bool swapped_ = false;
  uintptr_t passed_ = 0;                  // looked at up to here
  Counter mapped_bytes_, mapped_blocks_;  // as seen during the search
  PageState states_[kPagesOfWindow];
  char copied_[HeapReader::kMostGathered * kPieceBytes];
};

}  // namespace pymalloc_exporter
