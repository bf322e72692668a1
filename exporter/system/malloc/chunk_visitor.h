// Who wants to see each used chunk of the C heap while it is walked.
//
// The walk is made once, by the `malloc` collector; visitors take part in it. All calls
// come on the thread that walks, without the GIL; a visitor must not call malloc, not
// read what the chunk points to by plain loads, and be done with a chunk in far less than
// a microsecond.

#pragma once

#include <cstdint>
#include <span>

namespace pymalloc_exporter {

struct UsedChunk {
  uintptr_t memory;         // what malloc() returned
  uint64_t bytes;           // usable from `memory` on
  uint64_t chunk_bytes;     // with its header: what it adds to MallocSample
  uint64_t resident_bytes;  // of chunk_bytes
  bool mapped;              // a block of its own mapping, else part of a heap
  bool cached;              // freed, and kept in a thread's cache: no object any more
  // The first words of the memory, copied: at most kFirstWords, fewer in small chunks.
  std::span<const uint64_t> words;
};

// Two layers of debugging, what comes before an object, and its first words.
inline constexpr int kFirstWords = 10;

// What a range of addresses holds for malloc.
struct HeapRange {
  uintptr_t start, end;
  bool mapped;  // a block of its own mapping, else a heap
};

class ChunkVisitor {
 public:
  virtual ~ChunkVisitor() = default;

  // A walk begins: forget what was found in one that was not committed.
  virtual void Begin() noexcept = 0;

  // A chunk in use, in the order of addresses within a heap; blocks of their own mapping
  // after the heaps. No chunk comes twice: where the application changes the heap beneath
  // the walk, which then goes back, chunks that were delivered already are passed over.
  virtual void OnUsedChunk(const UsedChunk& chunk) noexcept = 0;

  // One of the chunks nearest the top of the main heap, from the topmost down, and the
  // free bytes directly below it: giving it back lets the heap shrink by these and its
  // own, once those above it are gone. Comes before Commit(), if the walk was complete.
  virtual void OnTopChunk(const UsedChunk& chunk, uint64_t free_bytes_below) noexcept {
    (void)chunk, (void)free_bytes_below;
  }

  // The memory that is malloc's, whole pages. Comes before Commit(), if the walk was
  // complete.
  virtual void OnRange(const HeapRange& range) noexcept { (void)range; }

  // The end of the walk. Not `complete`: what was delivered is not all there is, and the
  // last complete walk stands.
  virtual void Commit(bool complete) noexcept = 0;
};

}  // namespace pymalloc_exporter
