// Which arenas exist: a registry of our own, fed by the arena allocator hook.
//
// A radix tree over addresses, so that inserting, removing and finding take a few loads
// and no lock. Its nodes come from mmap, one for each 256 MiB of addresses in use, and
// are never given back. Two arenas never share a cell: the smallest are 256 KiB long.
//
// Reading an arena and unmapping it are kept apart by a hand-over: the reader publishes
// the one arena it reads (BeginRead); a free of that very arena leaves the unmapping to
// the reader (Remove says so), every other free goes ahead at once. Nobody waits.
//
// Thread safety: Insert and Remove on any thread. One reader at a time. No GIL, no
// malloc.

#pragma once

#include <atomic>
#include <cstdint>

#include "exporter/cpython/pool_walk.h"

namespace pymalloc_exporter {

class ArenaRegistry {
 public:
  // The state of a registered arena, kept in the low bits of its address.
  static constexpr uintptr_t kVerified = 1;  // it holds pools
  static constexpr uintptr_t kForeign = 2;   // of an arena's size, but no arena
  static constexpr uintptr_t kSubinterpreter =
      4;  // allocated by another than the main one
  static constexpr uintptr_t kStateMask = 0xfff;

  using Cell = std::atomic<uintptr_t>;

  static uintptr_t Base(uintptr_t entry) { return entry & ~kStateMask; }

  // Registers the arena at `base` (page-aligned) with `state`; false if memory for a node
  // was refused: from then on the registry is not complete.
  bool Insert(uintptr_t base, uintptr_t state);

  // The entry of `base`, 0 if there is none.
  uintptr_t Find(uintptr_t base) const;

  // The first entry of [from, limit), which spans a few MiB at most; 0 if there is none.
  uintptr_t Next(uintptr_t from, uintptr_t limit) const;

  // Forgets `base`; returns its last entry, 0 if it was not registered.
  uintptr_t Remove(uintptr_t base);

  // Forgets all. REQUIRES: no reader.
  void Clear();

  // After Remove: true if the reader reads that arena right now and will unmap it.
  bool HandOver(uintptr_t base);

  // The reader's side. BeginRead returns the entry to read, or 0 if it is gone. EndRead
  // returns true if the arena was handed over meanwhile: then the caller unmaps it.
  uintptr_t BeginRead(const Cell& cell, uintptr_t base);
  bool EndRead();

  // Calls visit(cell, entry) for each entry, in the order of addresses, until it returns
  // false. Entries that come and go meanwhile may be missed.
  template <typename Visit>
  void ForEach(Visit visit) {
    for (auto& middle : root_) {
      Middle* nodes = middle.load(std::memory_order_acquire);
      for (int i = 0; nodes != nullptr && i < kFanout; ++i) {
        Leaf* leaf = nodes->leaves[i].load(std::memory_order_acquire);
        for (int j = 0; leaf != nullptr && j < kFanout; ++j) {
          uintptr_t entry = leaf->cells[j].load(std::memory_order_acquire);
          if (entry != 0 && !visit(leaf->cells[j], entry)) return;
        }
      }
    }
  }

 private:
  static constexpr int kFanout = 1024;
  struct Leaf {
    Cell cells[kFanout];
  };
  struct Middle {
    std::atomic<Leaf*> leaves[kFanout];
  };

  Cell* CellOf(uintptr_t base, bool create);

  std::atomic<Middle*> root_[kFanout] = {};
  std::atomic<uintptr_t> reading_{0};  // base, or base | 1 once it was handed over
};

}  // namespace pymalloc_exporter
