// A page that the kernel moves (compaction) looks swapped out for some microseconds, to
// the page map. Whoever minds looks again, a bounded number of times in a walk.

#pragma once

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
    *ended = !pace.RestUntil(Now() + kPause);
    return !*ended;
  }

 private:
  // The kernel moves a page in less, mostly.
  static constexpr Nanoseconds kPause = 100 * kMicrosecond;

  int looks_left_ = 100;
};

}  // namespace pymalloc_exporter
