// One heap of glibc's, chunk by chunk, from outside malloc's lock.
//
// The application changes the heap meanwhile. A walk that finds something that cannot be
// goes back one checkpoint, then two, four, ..., and goes on from there with the totals
// of that checkpoint, so that nothing is counted twice; it counts only if it ends where
// the heap does. The work is bounded, whatever the memory says.
//
// Thread safety: one thread. No GIL, no malloc.

#pragma once

#include <cstdint>
#include <span>

#include "exporter/sample/malloc.h"
#include "exporter/system/heap_reader.h"
#include "exporter/system/malloc/chunk.h"
#include "exporter/system/malloc/chunk_visitor.h"

namespace pymalloc_exporter {

struct HeapTotals {
  HeapFigure in_use, free, top, cached;
  uint64_t overhead_bytes = 0;
  uint64_t overhead_resident_bytes = 0;
  uint64_t largest_free_chunk_bytes = 0;
  uint64_t trim_bytes = 0;
  uint64_t free_since_used_bytes = 0;  // resident, since the last used chunk
  std::array<uint64_t, kFreeChunkBands> free_bytes_by_size{};
};

enum class HeapKind {
  kMain,        // grown by brk: foreign memory may lie in it
  kMainPiece,   // of the main heap, where brk could not grow: ends with two fences
  kThreadHeap,  // of a thread arena
};

// Where a heap ends, read anew whenever more of it is read.
struct HeapBounds {
  uintptr_t top = 0;  // the top chunk; 0: the heap ends with a fence instead
  uintptr_t end = 0;  // no chunk reaches beyond
};
class HeapEnd {
 public:
  virtual ~HeapEnd() = default;
  virtual HeapBounds Read() noexcept = 0;
};

// A used chunk near the top, and what its end would give back.
struct TopChunk {
  uintptr_t memory;
  uint64_t bytes;  // with its header
  uint64_t resident_bytes;
  uint64_t free_bytes_below;
  uint64_t words[kFirstWords];
  int word_count;
  bool cached;
};

class HeapWalk {
 public:
  static constexpr int kCheckpoints = 1024;
  static constexpr int kTopChunks = 64;

  // `cached_key`: the word that marks a chunk in a thread's cache; 0: not known.
  HeapWalk(HeapReader& reader, std::span<ChunkVisitor* const> visitors,
           uint64_t cached_key)
      : reader_(reader), visitors_(visitors), cached_key_(cached_key) {}

  // Walks the heap that begins at `start`, and adds it to totals(), which is unchanged
  // unless it returns kNone. Else kSwapped (a header is swapped out), kIncomplete (it did
  // not come to the end), kInconsistent (stopped).
  Reason Walk(uintptr_t start, HeapEnd& end, HeapKind kind);

  HeapTotals& totals() { return totals_; }
  // Where the last walk that returned kNone ended.
  uintptr_t end() const { return at_; }

  // The used chunks nearest the top of the last kMain heap: index 0 is the topmost.
  int top_chunks() const {
    return static_cast<int>(std::min<int64_t>(tops_, kTopChunks));
  }
  const TopChunk& top_chunk(int index) const {
    return top_chunks_[(tops_ - 1 - index) % kTopChunks];
  }

  // Whether visitors see the chunks of the walks that follow.
  void SetDelivering(bool delivering) { delivering_ = delivering; }
  // Heaps that follow lie elsewhere: chunks below those delivered are no repetition.
  void BeginDelivery() { delivered_ = 0; }

  // Whether a chain of chunks seems to begin at `address`.
  bool ChainBegins(uintptr_t address, uintptr_t end, uintptr_t top);

 private:
  enum class Step { kOn, kEnd, kMiss, kSwapped, kStopped };
  struct Checkpoint {
    uintptr_t at;
    HeapTotals totals;
  };
  // Not initialised: small heaps need few of them, and each page costs something.
  union CheckpointRoom {
    CheckpointRoom() {}
    Checkpoint checkpoint;
  };

  Step Next();
  Step TakeChunk(const ChunkHeader& header);
  Step TakeTop(const ChunkHeader& header);
  Step TakeFence(const ChunkHeader& header);
  Step SkipForeign();
  void CountUsed(uint64_t bytes, uint64_t resident);
  void CountFree(uint64_t bytes, const Residence& residence);
  void NoteTopChunk(uint64_t bytes, uint64_t resident, bool cached);
  void ForgetTopChunksFrom(uintptr_t address);
  void CopyWords(uint64_t bytes);
  Step ReadHeader(uintptr_t address, ChunkHeader* header);
  bool PeekHeader(uintptr_t address, ChunkHeader* header);
  void Save();
  bool GoBack();

  HeapReader& reader_;
  std::span<ChunkVisitor* const> visitors_;
  const uint64_t cached_key_;
  HeapKind kind_ = HeapKind::kMain;
  HeapEnd* end_ = nullptr;
  HeapBounds bounds_;
  uintptr_t at_ = 0;
  HeapTotals totals_;
  int fences_ = 0;  // passed directly before at_

  uint64_t words_[kFirstWords];
  int word_count_ = 0;
  uintptr_t delivered_ = 0;  // visitors have seen what lies below
  bool delivering_ = true;

  Checkpoint first_;
  CheckpointRoom checkpoints_[kCheckpoints];
  int64_t saved_ = 0;   // checkpoints that stand; the last kCheckpoints of them are kept
  int64_t oldest_ = 0;  // the first that is kept
  int loads_since_saved_ = 0;
  int64_t loads_left_ = 0;
  uintptr_t furthest_miss_ = 0;
  int64_t back_ = 1;
  int stuck_ = 0;

  TopChunk top_chunks_[kTopChunks];
  int64_t tops_ = 0;  // noted in all
};

}  // namespace pymalloc_exporter
