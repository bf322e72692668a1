// A page that the kernel moves (compaction) looks swapped out in the page map, for some
// microseconds or until the mover has a core again. A walk that may rest looks again, for
// as long as its pace has patience; what is read at every beat does not, and lets its
// last figures stand.

#pragma once

#include <algorithm>

#include "exporter/sample/collector.h"
#include "exporter/system/clock.h"

namespace pymalloc_exporter {

class MovedPages {
 public:
  // Whether what looks_swapped() sees stays so. Sets `ended` when the walk has to end.
  template <typename LooksSwapped>
  bool StaysSwapped(Pace& pace, bool* ended, LooksSwapped looks_swapped) {
    while (looks_swapped()) {
      if (!MayLookAgain(pace, ended)) return true;
    }
    return false;
  }

 private:
  bool MayLookAgain(Pace& pace, bool* ended) {
    if (*ended || waited_ >= pace.patience()) return false;
    waited_ += pause_;
    *ended = !pace.RestUntil(Now() + pause_);
    pause_ = std::min(2 * pause_, kLongestPause);
    return !*ended;
  }

  static constexpr Nanoseconds kLongestPause = 2 * kMillisecond;

  // The kernel moves a page in less, mostly.
  Nanoseconds pause_ = 100 * kMicrosecond;
  Nanoseconds waited_ = 0;
};

}  // namespace pymalloc_exporter
