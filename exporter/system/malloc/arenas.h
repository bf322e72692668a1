// All heaps of glibc's arenas, walked one after the other.
//
// Source of the thread heaps' layout: malloc/arena.c ("heap_info": arena, previous heap,
// bytes, ...). The first heap of an arena holds the arena itself behind its heap_info;
// further ones lie at multiples of the largest size of a heap, which depends on tunables
// and is found by looking for one that names its arena.
//
// Thread safety: one thread. No GIL, no malloc.

#pragma once

#include <cstdint>

#include "exporter/sample/collectors.h"
#include "exporter/system/malloc/glibc_layout.h"
#include "exporter/system/malloc/heap_walk.h"

namespace pymalloc_exporter {

class Arenas {
 public:
  static constexpr int kMostHeaps = 4096;

  Arenas(const GlibcLayout& layout, HeapReader& reader, HeapWalk& walk)
      : layout_(layout), reader_(reader), walk_(walk) {}

  // Walks the main heap as far as brk goes, and every thread arena.
  Reason Walk();

  uint64_t count() const { return arenas_; }

  // The heaps that were walked: whole pages, in no order. Room for pieces of the main
  // heap that are found elsewhere.
  int heaps() const { return heap_count_; }
  const HeapRange& heap(int index) const { return heaps_[index]; }
  bool AddHeap(uintptr_t start, uintptr_t end);

  // What was added since mark() is taken back.
  struct Mark {
    int heaps;
    uint64_t main_walked;
  };
  Mark mark() const { return {heap_count_, main_walked_}; }
  void GoBackTo(const Mark& mark) {
    heap_count_ = mark.heaps;
    main_walked_ = mark.main_walked;
  }

  // The end of the known heap that `address` lies in; 0 if it lies in none.
  uintptr_t EndOfHeapAt(uintptr_t address) const;

  // What the main arena has of the system beyond what was walked of it.
  uint64_t MissingOfMainArena() const;
  void AddToMainArena(uint64_t bytes) { main_walked_ += bytes; }

 private:
  Reason WalkMain();
  Reason WalkArena(uintptr_t arena);
  Reason WalkArenaOnce(uintptr_t arena);
  int FindHeaps(uintptr_t arena, uintptr_t top, uintptr_t* starts);
  uintptr_t FindHeapOf(uintptr_t arena, uintptr_t chunk);
  bool Word(uintptr_t address, uint64_t* word) {
    return reader_.Peek(address, word, sizeof *word);
  }

  const GlibcLayout& layout_;
  HeapReader& reader_;
  HeapWalk& walk_;
  HeapRange heaps_[kMostHeaps];
  int heap_count_ = 0;
  uint64_t arenas_ = 0;
  uint64_t main_walked_ = 0;
};

// The end of the main heap as far as brk goes.
class MainHeapEnd final : public HeapEnd {
 public:
  explicit MainHeapEnd(const GlibcLayout& layout) : layout_(layout) {}
  HeapBounds Read() noexcept override;

 private:
  const GlibcLayout& layout_;
};

}  // namespace pymalloc_exporter
