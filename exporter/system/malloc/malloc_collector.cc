#include "exporter/system/malloc/malloc_collector.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <new>
#include <span>

#include "exporter/system/malloc/arenas.h"
#include "exporter/system/malloc/heap_walk.h"
#include "exporter/system/malloc/mapped_blocks.h"
#include "exporter/system/pass_memory.h"

namespace pymalloc_exporter {
namespace {

// A larger heap is not walked at install: it would cost the start more than that.
constexpr uint64_t kMostAtInstall = uint64_t{64} << 20;

// All that a walk needs, in memory of its own for as long as it takes.
struct WalkState {
  WalkState(const GlibcLayout& layout, Pace& pace,
            std::span<ChunkVisitor* const> visitors, const ArenaFinder* pymalloc)
      : reader(pace),
        walk(reader, visitors, layout.cached_key),
        arenas(layout, reader, walk),
        mapped(layout, reader, walk, arenas, pymalloc) {}

  HeapReader reader;
  HeapWalk walk;
  Arenas arenas;
  MappedBlocks mapped;
};

class WalkMemory {
 public:
  explicit WalkMemory(const Pace& pace)
      : pace_(pace),
        memory_(mmap(nullptr, sizeof(WalkState), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) {}
  ~WalkMemory() {
    if (!usable()) return;
    if (state_ != nullptr) state_->~WalkState();
    GiveBack(memory_, sizeof(WalkState), pace_.stop());
  }
  WalkMemory(const WalkMemory&) = delete;
  WalkMemory& operator=(const WalkMemory&) = delete;

  bool usable() const { return memory_ != MAP_FAILED; }
  WalkState& Make(const GlibcLayout& layout, Pace& pace,
                  std::span<ChunkVisitor* const> visitors, const ArenaFinder* pymalloc) {
    state_ = new (memory_) WalkState(layout, pace, visitors, pymalloc);
    return *state_;
  }

 private:
  const Pace& pace_;
  void* memory_;
  WalkState* state_ = nullptr;
};

void Fill(WalkState& state, MallocSample* sample) {
  const HeapTotals& totals = state.walk.totals();
  sample->in_use = totals.in_use;
  sample->free = totals.free;
  sample->top = totals.top;
  sample->cached = totals.cached;
  sample->mmapped = state.mapped.figure();
  sample->overhead_bytes = totals.overhead_bytes;
  sample->overhead_resident_bytes = totals.overhead_resident_bytes;
  sample->arenas = state.arenas.count();
  sample->largest_free_chunk_bytes = totals.largest_free_chunk_bytes;
  sample->free_bytes_by_size = totals.free_bytes_by_size;
  sample->trim_bytes = totals.trim_bytes;
}

void DeliverEnd(WalkState& state, std::span<ChunkVisitor* const> visitors) {
  state.mapped.Deliver(visitors);
  for (ChunkVisitor* visitor : visitors) {
    for (int i = 0; i < state.walk.top_chunks(); ++i) {
      const TopChunk& top = state.walk.top_chunk(i);
      UsedChunk chunk{top.memory,
                      top.bytes - sizeof(uint64_t),
                      top.bytes,
                      top.resident_bytes,
                      false,
                      top.cached,
                      {top.words, static_cast<size_t>(top.word_count)}};
      visitor->OnTopChunk(chunk, top.free_bytes_below);
    }
    for (int i = 0; i < state.arenas.heaps(); ++i) visitor->OnRange(state.arenas.heap(i));
    for (int i = 0; i < state.mapped.blocks(); ++i) {
      const MappedBlock& block = state.mapped.block(i);
      visitor->OnRange({block.start, block.start + block.bytes, true});
    }
  }
}

}  // namespace

void MallocCollector::Install() {
  found_ = FindAllocator();
  state_ = Prove();
}

Reason MallocCollector::Prove() {
  switch (found_.allocator) {
    case Allocator::kGlibc: {
      Reason reason = ProveGlibc(found_.malloc_code, &layout_);
      const char* tunables = getenv("GLIBC_TUNABLES");
      layout_.huge_pages = tunables != nullptr && strstr(tunables, "hugetlb") != nullptr;
      return reason == Reason::kNone ? CompareWithOracle() : reason;
    }
    case Allocator::kJemalloc:
    case Allocator::kTcmalloc:
    case Allocator::kMimalloc:
      return statistics_.Begin(found_.allocator);
    default:
      return Reason::kUnknownAllocator;
  }
}

// Nothing allocates between the two readings, unless another thread does.
Reason MallocCollector::CompareWithOracle() {
  NoRest pace;
  for (int i = 0; i < 3; ++i) {
    MallocOracle oracle;
    if (!AskMalloc(&oracle)) return Reason::kNoOracle;
    if (oracle.heap_bytes + oracle.mapped_bytes > kMostAtInstall) return Reason::kNone;
    MallocSample sample;
    Reason reason = Walk({}, &sample, pace);
    // Room for it may be lacking for the moment; the walks to come prove themselves.
    if (reason == Reason::kSwapped || reason == Reason::kOutOfMemory)
      return Reason::kNone;
    uint64_t free = sample.free.bytes + sample.top.bytes + oracle.fast_free_bytes;
    uint64_t in_use =
        sample.in_use.bytes + sample.overhead_bytes - oracle.fast_free_bytes;
    bool agrees =
        reason == Reason::kNone && free == oracle.free_bytes &&
        in_use == oracle.in_use_bytes && sample.mmapped.chunks == oracle.mapped_blocks &&
        (layout_.mapped_bytes_exact() ? sample.mmapped.bytes == oracle.mapped_bytes
                                      : sample.mmapped.bytes <= oracle.mapped_bytes);
    if (agrees) return Reason::kNone;
  }
  return Reason::kOracleMismatch;
}

void MallocCollector::AddVisitor(ChunkVisitor* visitor) {
  if (visitor_count_ < kMostVisitors) visitors_[visitor_count_++] = visitor;
}

Reason MallocCollector::Read(MallocSample* sample, Pace& pace) noexcept {
  if (state_ != Reason::kNone) return state_;
  sample->allocator = found_.allocator;
  memcpy(sample->version, found_.version, sizeof sample->version);
  std::span<ChunkVisitor* const> visitors(visitors_, static_cast<size_t>(visitor_count_));
  return found_.allocator == Allocator::kGlibc ? Walk(visitors, sample, pace)
                                               : statistics_.Read(sample);
}

Reason MallocCollector::WalkFor(ChunkVisitor& visitor, Pace& pace) const noexcept {
  if (state_ != Reason::kNone) return state_;
  if (found_.allocator != Allocator::kGlibc) return Reason::kNotPresent;
  MallocSample sample;
  ChunkVisitor* visitors[] = {&visitor};
  return Walk(visitors, &sample, pace);
}

Reason MallocCollector::Walk(std::span<ChunkVisitor* const> visitors,
                             MallocSample* sample, Pace& pace) const noexcept {
  WalkMemory memory(pace);
  if (!memory.usable()) return Reason::kOutOfMemory;
  WalkState& state = memory.Make(layout_, pace, visitors, pymalloc_);
  if (!state.reader.Open()) return Reason::kUnreadable;
  if (layout_.huge_pages) state.reader.FindHugePages();
  for (ChunkVisitor* visitor : visitors) visitor->Begin();
  Reason reason = state.arenas.Walk();
  if (reason == Reason::kNone) reason = state.mapped.Find();
  if (reason == Reason::kNone && !visitors.empty()) DeliverEnd(state, visitors);
  if (reason == Reason::kNone && state.reader.stopped()) reason = Reason::kInconsistent;
  for (ChunkVisitor* visitor : visitors) visitor->Commit(reason == Reason::kNone);
  if (reason == Reason::kNone) Fill(state, sample);
  return reason;
}

Reason MallocCollector::Collect(Sample& sample, Pace& pace) noexcept {
  // What it is, even where nothing more can be told.
  sample.malloc.allocator = found_.allocator;
  memcpy(sample.malloc.version, found_.version, sizeof sample.malloc.version);
  MallocSample found;
  Reason reason = Read(&found, pace);
  if (reason == Reason::kNone) sample.malloc = found;
  return reason;
}

}  // namespace pymalloc_exporter
