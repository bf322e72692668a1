// The collector of pymalloc's arenas, and the arena allocator's hook that feeds it.
//
// The hook is called once an arena, not once an object: by any thread, with or without
// the GIL, by several interpreters at once, and also for memory that is no arena (data
// stack chunks from 3.11 on), which may have an arena's size. What holds pools is found
// by looking.
//
// Thread safety: OnAllocate and OnFree on any thread; Collect and Compare one at a time,
// which they see to themselves; the rest under the GIL. No malloc.

#pragma once

#include <atomic>
#include <cstddef>
#include <optional>

#include "exporter/cpython/arena_reader.h"
#include "exporter/cpython/arena_registry.h"
#include "exporter/cpython/pool_walk.h"
#include "exporter/sample/collector.h"
#include "exporter/system/arena_finder.h"

namespace pymalloc_exporter {

// The allocator behind the hook, as PyObjectArenaAllocator has it.
struct ArenaSource {
  void* context;
  void* (*allocate)(void* context, size_t bytes);
  void (*release)(void* context, void* memory, size_t bytes);
  // Whether the hook still stands before it. Called without the GIL.
  bool (*hook_in_place)();
};

// What happened before the hook was there, as the oracle tells it.
struct ArenaHistory {
  uint64_t allocated;
  uint64_t freed;
  uint64_t highwater;
};

class PymallocCollector final : public Collector, public ArenaFinder {
 public:
  enum class Scope { kProcess, kMainInterpreter };

  CollectorId id() const override { return CollectorId::kPymalloc; }
  Reason Collect(Sample& sample, const StopFlag& stop) noexcept override;

  AddressRange FindArena(uintptr_t address, uintptr_t limit) const noexcept override;

  // Behind the hook.
  void* OnAllocate(size_t bytes, bool main_interpreter);
  void OnFree(void* memory, size_t bytes);

  // At install: begin anew with this build's sizes and source; then the arenas that
  // exist.
  void Begin(const PoolGeometry& geometry, const ArenaSource& source);
  void Adopt(uintptr_t base);
  void SetHistory(const ArenaHistory& history);
  // Whether it may be used: kNone, or why not.
  void SetState(Reason state) { state_ = state; }

  // At finalization: reads no arena from now on; returns when none is being read.
  void End();

  // A walk made by the calling thread; false if parts of it could not be read.
  bool Walk(Scope scope, const StopFlag& stop, PymallocSample& out);

  // Roughly, while others come and go.
  uint64_t arenas() const { return present_; }

  // Lets `reader` read every arena that it wants, resting every 0.1 ms; `swap`: look for
  // swapped pages first, and end where there are any. Returns why it could not go on to
  // the end.
  Reason ReadArenas(Scope scope, bool swap, ArenaReader& reader, Pace& pace);

  // The arenas of a scope, in the order of their addresses: at most `most` of them are
  // written to `bases`, the count of all is returned. REQUIRES: the GIL.
  size_t ListArenas(Scope scope, uintptr_t* bases, size_t most);

 private:
  class Turn;

  uintptr_t Count(ArenaKind kind);
  bool Verify(ArenaRegistry::Cell& cell, uintptr_t entry);
  bool InScope(Scope scope, uintptr_t entry) const;
  bool ReadPiece(ArenaRegistry::Cell& cell, uintptr_t base, uint32_t piece,
                 ArenaReader& reader);
  Reason MayRead() const;
  bool AnyArenaSwapped(const StopFlag& stop);

  std::optional<PoolGeometry> geometry_;
  ArenaSource source_{};
  ArenaRegistry registry_;
  std::atomic<Reason> state_{Reason::kStarting};
  std::atomic<bool> complete_{true};  // every arena found its place in the registry
  std::atomic<bool> walking_{false};
  std::atomic<uint64_t> allocated_{0};
  std::atomic<uint64_t> freed_{0};
  std::atomic<uint64_t> present_{0};  // registered now, foreign ones not counted
  std::atomic<uint64_t> highwater_{0};
};

}  // namespace pymalloc_exporter
