#include "exporter/cpython/pymalloc_collector.h"

#include "exporter/system/clock.h"
#include "exporter/system/moved_pages.h"
#include "exporter/system/page_map.h"

namespace pymalloc_exporter {
namespace {

// A walk may find this share of headers in the middle of a change, three times over.
constexpr uint64_t kUnreadablePerMille = 1;

// How long others are kept waiting between two rests.
constexpr Nanoseconds kReadTime = 100 * kMicrosecond;

constexpr uintptr_t kClassified = ArenaRegistry::kVerified | ArenaRegistry::kForeign;

void Raise(std::atomic<uint64_t>& highest, uint64_t value) {
  uint64_t seen = highest.load();
  while (seen < value && !highest.compare_exchange_weak(seen, value)) {
  }
}

}  // namespace

// One walk at a time: the sampler's, or a test's.
class PymallocCollector::Turn {
 public:
  explicit Turn(std::atomic<bool>& walking) : walking_(walking) {
    while (walking_.exchange(true)) Sleep(50 * kMicrosecond);
  }
  ~Turn() { walking_ = false; }

 private:
  std::atomic<bool>& walking_;
};

void* PymallocCollector::OnAllocate(size_t bytes, bool main_interpreter) {
  void* memory = source_.allocate(source_.context, bytes);
  if (memory == nullptr || bytes != geometry_->arena_bytes) return memory;
  uintptr_t state = main_interpreter ? 0 : ArenaRegistry::kSubinterpreter;
  if (!registry_.Insert(reinterpret_cast<uintptr_t>(memory), state)) complete_ = false;
  Raise(highwater_, ++present_);
  return memory;
}

// Counts what was just classified; returns the state bits that say so.
uintptr_t PymallocCollector::Count(ArenaKind kind) {
  if (kind == ArenaKind::kArena) {
    ++allocated_;
    return ArenaRegistry::kVerified;
  }
  --present_;
  return ArenaRegistry::kForeign;
}

void PymallocCollector::OnFree(void* memory, size_t bytes) {
  auto base = reinterpret_cast<uintptr_t>(memory);
  bool may_be_arena = memory != nullptr && geometry_ && bytes == geometry_->arena_bytes;
  uintptr_t entry = may_be_arena ? registry_.Remove(base) : 0;
  if (entry != 0) {
    // Not looked at since it was allocated: it is still mapped, and this thread's own.
    if ((entry & kClassified) == 0) entry |= Count(ClassifyArena(base, *geometry_));
    if (entry & ArenaRegistry::kVerified) {
      ++freed_;
      --present_;
    }
    if (registry_.HandOver(base)) return;
  }
  source_.release(source_.context, memory, bytes);
}

void PymallocCollector::Begin(const PoolGeometry& geometry, const ArenaSource& source) {
  // After an interpreter that ended: what a walk finds from here on is of the new one.
  state_ = Reason::kStarting;
  registry_.Clear();
  geometry_ = geometry;
  source_ = source;
  present_ = 0;
  complete_ = true;
}

void PymallocCollector::Adopt(uintptr_t base) {
  if (!registry_.Insert(base, ArenaRegistry::kVerified)) complete_ = false;
  ++present_;
}

void PymallocCollector::SetHistory(const ArenaHistory& history) {
  allocated_ = history.allocated;
  freed_ = history.freed;
  highwater_ = history.highwater;
}

void PymallocCollector::End() {
  state_ = Reason::kInterpreterGone;
  Turn turn(walking_);
  registry_.Clear();
}

AddressRange PymallocCollector::FindArena(uintptr_t address,
                                          uintptr_t limit) const noexcept {
  if (state_ == Reason::kInterpreterGone || !geometry_) return {0, 0};
  uintptr_t bytes = geometry_->arena_bytes;
  for (uintptr_t from = address - bytes + 1; from < limit;) {
    uintptr_t entry = registry_.Next(from, limit);
    if (entry == 0) break;
    uintptr_t base = ArenaRegistry::Base(entry);
    if ((entry & ArenaRegistry::kForeign) == 0) return {base, base + bytes};
    from = base + 1;
  }
  return {0, 0};
}

// Whether the arena that is being read is one; looks where nobody has looked yet.
bool PymallocCollector::Verify(ArenaRegistry::Cell& cell, uintptr_t entry) {
  if ((entry & kClassified) != 0) return (entry & ArenaRegistry::kVerified) != 0;
  ArenaKind kind = ClassifyArena(ArenaRegistry::Base(entry), *geometry_);
  if (kind == ArenaKind::kUncarved) return false;
  uintptr_t state =
      kind == ArenaKind::kArena ? ArenaRegistry::kVerified : ArenaRegistry::kForeign;
  // If it was freed meanwhile, the thread that freed it has counted it.
  if (cell.compare_exchange_strong(entry, entry | state)) Count(kind);
  return kind == ArenaKind::kArena;
}

bool PymallocCollector::InScope(Scope scope, uintptr_t entry) const {
  return scope == Scope::kProcess || (entry & ArenaRegistry::kSubinterpreter) == 0;
}

bool PymallocCollector::Walk(Scope scope, const StopFlag& stop, PymallocSample& out) {
  if (!geometry_) return false;
  Turn turn(walking_);
  PoolTally tally;
  bool whole = true;
  registry_.ForEach([&](ArenaRegistry::Cell& cell, uintptr_t entry) {
    whole = !stop && state_ != Reason::kInterpreterGone;
    if (!whole) return false;
    if (!InScope(scope, entry)) return true;
    uintptr_t base = ArenaRegistry::Base(entry);
    entry = registry_.BeginRead(cell, base);
    if (entry != 0 && Verify(cell, entry)) TallyArena(base, *geometry_, tally);
    if (registry_.EndRead()) {
      source_.release(source_.context, reinterpret_cast<void*>(base),
                      geometry_->arena_bytes);
    }
    return true;
  });
  FillPymalloc(tally, *geometry_, out);
  out.arenas_allocated = allocated_;
  out.arenas_freed = freed_;
  out.arenas_highwater = highwater_;
  uint64_t pools = tally.used_pools + tally.free_pools + tally.unreadable_pools;
  return whole && tally.unreadable_pools * 1000 <= pools * kUnreadablePerMille;
}

// A header on a swapped page is not touched: that would swap it in.
bool PymallocCollector::AnyArenaSwapped(const StopFlag& stop) {
  PageMap pages;
  if (!pages.Open()) return true;
  bool swapped = false;
  registry_.ForEach([&](ArenaRegistry::Cell&, uintptr_t entry) {
    swapped =
        stop || pages.AnySwapped(ArenaRegistry::Base(entry), geometry_->arena_bytes);
    return !swapped;
  });
  return swapped;
}

// Reads one piece of the arena at `base`; true if that was the last one, or it is gone.
bool PymallocCollector::ReadPiece(ArenaRegistry::Cell& cell, uintptr_t base,
                                  uint32_t piece, ArenaReader& reader) {
  Turn turn(walking_);
  uintptr_t entry = registry_.BeginRead(cell, base);
  bool last = true;
  bool wanted = entry != 0 && Verify(cell, entry) && (piece > 0 || reader.Wants());
  if (wanted) last = reader.Read(base, piece);
  if (registry_.EndRead()) {
    source_.release(source_.context, reinterpret_cast<void*>(base),
                    geometry_->arena_bytes);
    last = true;
  }
  return last;
}

Reason PymallocCollector::ReadArenas(Scope scope, bool swap, ArenaReader& reader,
                                     Pace& pace) {
  PageMap pages;
  MovedPages moved;
  bool ended = false;
  if (swap && !pages.Open()) return Reason::kSwapped;
  Reason reason = MayRead();
  Nanoseconds rested = Now();
  auto rest = [&] {
    if (Now() - rested < kReadTime) return true;
    if (!pace.Rest()) reason = Reason::kInconsistent;
    rested = Now();
    return reason == Reason::kNone;
  };
  if (reason != Reason::kNone) return reason;
  registry_.ForEach([&](ArenaRegistry::Cell& cell, uintptr_t entry) {
    if (!InScope(scope, entry)) return true;
    uintptr_t base = ArenaRegistry::Base(entry);
    auto looks_swapped = [&] { return pages.AnySwapped(base, geometry_->arena_bytes); };
    if (swap && moved.StaysSwapped(pace, &ended, looks_swapped)) {
      reason = ended ? Reason::kInconsistent : Reason::kSwapped;
    }
    bool last = false;
    for (uint32_t piece = 0; !last && reason == Reason::kNone; ++piece) {
      reason = MayRead();
      if (reason != Reason::kNone) break;
      last = ReadPiece(cell, base, piece, reader);
      rest();
    }
    return reason == Reason::kNone;
  });
  return reason;
}

size_t PymallocCollector::ListArenas(Scope scope, uintptr_t* bases, size_t most) {
  size_t count = 0;
  registry_.ForEach([&](ArenaRegistry::Cell&, uintptr_t entry) {
    if (!InScope(scope, entry) || (entry & ArenaRegistry::kForeign)) return true;
    if (count < most) bases[count] = ArenaRegistry::Base(entry);
    ++count;
    return true;
  });
  return count;
}

Reason PymallocCollector::MayRead() const {
  Reason state = state_;
  if (state != Reason::kNone) return state;
  if (!source_.hook_in_place()) return Reason::kForeignArenaAllocator;
  return complete_ ? Reason::kNone : Reason::kOutOfMemory;
}

Reason PymallocCollector::Collect(Sample& sample, const StopFlag& stop) noexcept {
  Reason state = MayRead();
  if (state != Reason::kNone) return state;
  if (sample.process.swap_bytes > 0 && AnyArenaSwapped(stop)) return Reason::kSwapped;
  PymallocSample found;
  bool whole = Walk(Scope::kProcess, stop, found);
  // An interpreter that ended meanwhile took its arenas out of the walk.
  state = state_;
  if (state != Reason::kNone) return state;
  if (!whole) return Reason::kInconsistent;
  sample.pymalloc = found;
  return Reason::kNone;
}

}  // namespace pymalloc_exporter
