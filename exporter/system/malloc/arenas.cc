#include "exporter/system/malloc/arenas.h"

#include <unistd.h>

#include <algorithm>

namespace pymalloc_exporter {
namespace {

constexpr int kMostArenas = 4096;
constexpr int kMostHeapsOfArena = 1024;
// The application changes an arena's heaps while they are walked.
constexpr int kTries = 8;

// Of a heap_info: the arena, the previous heap, bytes in use by the heap.
constexpr uint32_t kPreviousHeap = 8;
constexpr uint32_t kHeapBytes = 16;

// The largest size of a heap: the usual one, one with huge pages, then what else there
// could be.
constexpr int kHeapShifts[] = {26, 23, 27, 28, 29, 30, 31, 32, 25, 24, 22, 21, 20};

class ThreadHeapEnd final : public HeapEnd {
 public:
  ThreadHeapEnd(HeapReader& reader, uintptr_t heap, uintptr_t top_at)
      : reader_(reader), heap_(heap), top_at_(top_at) {}

  HeapBounds Read() noexcept override {
    uint64_t bytes = 0, top = 0;
    if (!reader_.Peek(heap_ + kHeapBytes, &bytes, sizeof bytes)) return {};
    if (bytes > uint64_t{1} << 32) return {};
    if (!reader_.Peek(top_at_, &top, sizeof top)) return {};
    bool last = top > heap_ && top < heap_ + bytes;
    return {last ? top : 0, heap_ + bytes};
  }

 private:
  HeapReader& reader_;
  const uintptr_t heap_, top_at_;
};

}  // namespace

HeapBounds MainHeapEnd::Read() noexcept {
  uintptr_t top = layout_.MainWord(layout_.top_offset);
  uintptr_t end = layout_.main_heap + layout_.MainWord(layout_.system_offset);
  auto brk = reinterpret_cast<uintptr_t>(sbrk(0));
  if (top >= layout_.main_heap && top < end && end <= brk) return {top, end};
  // It goes on elsewhere: here it ends with two fences.
  return {0, brk};
}

Reason Arenas::Walk() {
  heap_count_ = 0;
  arenas_ = 0;
  main_walked_ = 0;
  Reason reason = WalkMain();
  uintptr_t arena = layout_.MainWord(layout_.next_offset);
  for (arenas_ = 1; reason == Reason::kNone && arena != layout_.main_arena; ++arenas_) {
    if (arenas_ == kMostArenas) return Reason::kIncomplete;
    reason = WalkArena(arena);
    if (!Word(arena + layout_.next_offset, &arena)) return Reason::kIncomplete;
  }
  return reason;
}

Reason Arenas::WalkMain() {
  if (layout_.main_heap == 0) return Reason::kNone;
  MainHeapEnd end(layout_);
  walk_.BeginDelivery();
  Reason reason = walk_.Walk(layout_.main_heap, end, HeapKind::kMain);
  if (reason != Reason::kNone) return reason;
  AddToMainArena(walk_.end() - layout_.main_heap);
  return AddHeap(layout_.main_heap, walk_.end()) ? Reason::kNone : Reason::kIncomplete;
}

Reason Arenas::WalkArena(uintptr_t arena) {
  int heaps = heap_count_;
  HeapTotals before = walk_.totals();
  walk_.BeginDelivery();
  for (int i = 0; i < kTries; ++i) {
    Reason reason = WalkArenaOnce(arena);
    if (reason != Reason::kIncomplete) return reason;
    heap_count_ = heaps;
    walk_.totals() = before;
  }
  return Reason::kIncomplete;
}

// Its heaps in the order of addresses, so that visitors see each chunk once.
Reason Arenas::WalkArenaOnce(uintptr_t arena) {
  uint64_t top, system_before, system_after;
  if (!Word(arena + layout_.top_offset, &top) ||
      !Word(arena + layout_.system_offset, &system_before)) {
    return Reason::kIncomplete;
  }
  uintptr_t starts[kMostHeapsOfArena];
  int count = FindHeaps(arena, top, starts);
  if (count == 0) return Reason::kIncomplete;
  uintptr_t first = AlignDown(arena, kPageBytes);
  uintptr_t info_bytes = arena - first;
  uint64_t walked = 0;
  for (int i = 0; i < count; ++i) {
    uintptr_t heap = starts[i];
    uintptr_t chunks = heap == first ? arena + layout_.arena_bytes : heap + info_bytes;
    chunks = AlignUp(chunks, kChunkAlignment);
    ThreadHeapEnd end(reader_, heap, arena + layout_.top_offset);
    Reason reason = walk_.Walk(chunks, end, HeapKind::kThreadHeap);
    if (reason != Reason::kNone) return reason;
    walk_.totals().overhead_bytes += chunks - heap;
    walk_.totals().overhead_resident_bytes += chunks - heap;
    if (!AddHeap(heap, walk_.end())) return Reason::kIncomplete;
    walked += walk_.end() - heap;
  }
  if (!Word(arena + layout_.system_offset, &system_after)) return Reason::kIncomplete;
  auto [least, most] = std::minmax(system_before, system_after);
  return walked >= least && walked <= most ? Reason::kNone : Reason::kIncomplete;
}

// From the one that holds the top back to the first, then sorted. 0 if it does not end.
int Arenas::FindHeaps(uintptr_t arena, uintptr_t top, uintptr_t* starts) {
  uintptr_t first = AlignDown(arena, kPageBytes);
  uintptr_t heap = FindHeapOf(arena, top);
  for (int count = 0; heap != 0 && count < kMostHeapsOfArena;) {
    starts[count++] = heap;
    if (heap == first) {
      std::sort(starts, starts + count);
      return count;
    }
    uint64_t named;
    if (!Word(heap, &named) || named != arena || !Word(heap + kPreviousHeap, &heap))
      return 0;
  }
  return 0;
}

uintptr_t Arenas::FindHeapOf(uintptr_t arena, uintptr_t chunk) {
  for (int shift : kHeapShifts) {
    uintptr_t heap = AlignDown(chunk, uintptr_t{1} << shift);
    uint64_t named, bytes;
    if (!Word(heap, &named) || named != arena) continue;
    if (Word(heap + kHeapBytes, &bytes) && chunk - heap < bytes) return heap;
  }
  return 0;
}

bool Arenas::AddHeap(uintptr_t start, uintptr_t end) {
  if (heap_count_ == kMostHeaps) return false;
  heaps_[heap_count_++] = {AlignDown(start, kPageBytes), AlignUp(end, kPageBytes), false};
  return true;
}

uintptr_t Arenas::EndOfHeapAt(uintptr_t address) const {
  for (int i = 0; i < heap_count_; ++i) {
    if (heaps_[i].start <= address && address < heaps_[i].end) return heaps_[i].end;
  }
  return 0;
}

uint64_t Arenas::MissingOfMainArena() const {
  uint64_t system = layout_.MainWord(layout_.system_offset);
  return system > main_walked_ ? system - main_walked_ : 0;
}

}  // namespace pymalloc_exporter
