// The collector of residency: one pass over all mappings, a window of the page map at a
// time, each attributed to whose memory it is.
//
// Reads no memory of the application's but two words of each thread's record
// (thread_stacks.h). What is not anonymous is skipped (the kernel's own counters tell
// it), and so is memory without any rights: guards and reservations.
//
// Thread safety: one thread. No GIL, no malloc.

#pragma once

#include "exporter/sample/collector.h"
#include "exporter/system/arena_finder.h"
#include "exporter/system/memory_maps.h"
#include "exporter/system/page_window.h"
#include "exporter/system/thread_stacks.h"

namespace pymalloc_exporter {

class ResidencyCollector final : public SlowCollector {
 public:
  // `page_map` may be a file that is not there: then mincore(2) answers.
  explicit ResidencyCollector(const ArenaFinder& arenas, KernelPaths paths = {},
                              const char* page_map = "/proc/self/pagemap")
      : arenas_(arenas), paths_(paths), page_map_(page_map) {}

  CollectorId id() const override { return CollectorId::kResidency; }
  Reason Collect(Sample& sample, Pace& pace) noexcept override;

 private:
  class Pass;

  const ArenaFinder& arenas_;
  KernelPaths paths_;
  const char* page_map_;
  ThreadStacks stacks_;
};

}  // namespace pymalloc_exporter
