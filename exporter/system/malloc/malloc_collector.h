// The collector of the C heap.
//
// glibc's heaps are walked from outside malloc's lock; other allocators are asked for
// their statistics; an allocator that is not known is down (`unknown_allocator`).
//
// Thread safety: Install under the GIL, once; AddVisitor before the sampler runs; Collect
// and Read one at a time, by whoever sees to that.

#pragma once

#include <span>

#include "exporter/sample/collector.h"
#include "exporter/system/arena_finder.h"
#include "exporter/system/malloc/allocator.h"
#include "exporter/system/malloc/chunk_visitor.h"
#include "exporter/system/malloc/glibc_layout.h"
#include "exporter/system/malloc/statistics.h"

namespace pymalloc_exporter {

class MallocCollector final : public SlowCollector {
 public:
  static constexpr int kMostVisitors = 4;

  // `pymalloc` tells memory in which no block of malloc's is; null where nobody knows.
  explicit MallocCollector(const ArenaFinder* pymalloc) : pymalloc_(pymalloc) {}

  CollectorId id() const override { return CollectorId::kMalloc; }
  Reason Collect(Sample& sample, Pace& pace) noexcept override;

  // Finds out which allocator it is, and proves on the running library what is known of
  // it. Allocates.
  void Install();

  // The visitor lives for ever, and sees every walk from now on.
  void AddVisitor(ChunkVisitor* visitor);

  // A walk on the calling thread, of any thread, that `visitor` alone sees. kNotPresent
  // where nothing can be walked: another allocator than glibc.
  Reason WalkFor(ChunkVisitor& visitor, Pace& pace) const noexcept;

  // One reading on the calling thread. Allocates nothing.
  Reason Read(MallocSample* sample, Pace& pace) noexcept;

  const AllocatorFound& allocator() const { return found_; }
  const GlibcLayout& layout() const { return layout_; }
  Reason state() const { return state_; }

 private:
  Reason Prove();
  Reason CompareWithOracle();
  Reason Walk(std::span<ChunkVisitor* const> visitors, MallocSample* sample,
              Pace& pace) const noexcept;

  const ArenaFinder* const pymalloc_;
  AllocatorFound found_;
  Reason state_ = Reason::kStarting;
  GlibcLayout layout_;
  MallocStatistics statistics_;
  ChunkVisitor* visitors_[kMostVisitors] = {};
  int visitor_count_ = 0;
};

}  // namespace pymalloc_exporter
