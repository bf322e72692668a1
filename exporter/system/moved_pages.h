// A page that the kernel moves (compaction) looks swapped out in the page map, for some
// microseconds or until the mover has a core again. A walk that may rest looks again, for
// as long as its pace has patience; what is read at every beat does not, and lets its
// last figures stand. Where the machine has no swap space nothing is swapped out, and the
// wait will mostly be worth it, however busy the cores: there is patience for more. (Not
// always: pages that a GPU has look swapped, too, and reading would take them from it.)
//
// Thread safety: one thread. No GIL, no malloc.

#pragma once

#include "exporter/sample/collector.h"
#include "exporter/system/clock.h"

namespace pymalloc_exporter {

// Source: sysinfo(2), of whose space a device that is being given up is part until it is
// empty. True, too, where that may not be asked; a filter that kills for it kills the
// interpreter as it starts.
bool SwapSpaceExists();

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
  bool MayLookAgain(Pace& pace, bool* ended);

  // The kernel moves a page in less, mostly.
  Nanoseconds pause_ = 100 * kMicrosecond;
  Nanoseconds waited_ = 0;
  Nanoseconds patience_ = 0;  // once it was looked for
};

}  // namespace pymalloc_exporter
