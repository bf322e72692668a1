// A page that the kernel moves (compaction) looks swapped out in the page map, for some
// microseconds or until the mover has a core again. Whoever minds looks again, a bounded
// number of times in a walk: for 0.2 seconds at most.

#pragma once

#include <algorithm>

#include "exporter/sample/collector.h"
#include "exporter/system/clock.h"

namespace pymalloc_exporter {

class MovedPages {
 public:
  // Whether to look again at what seems to be swapped out; rests first. Sets `ended` when
  // the walk has to end.
  bool LookAgain(Pace& pace, bool* ended) {
    if (looks_left_ == 0 || *ended) return false;
    --looks_left_;
    *ended = !pace.RestUntil(Now() + pause_);
    pause_ = std::min(2 * pause_, kLongestPause);
    return !*ended;
  }

 private:
  static constexpr Nanoseconds kLongestPause = 2 * kMillisecond;

  // The kernel moves a page in less, mostly.
  Nanoseconds pause_ = 100 * kMicrosecond;
  int looks_left_ = 100;
};

}  // namespace pymalloc_exporter
