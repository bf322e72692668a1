#include "exporter/system/moved_pages.h"

#include <sys/sysinfo.h>

#include <algorithm>

#include "exporter/system/filters.h"

namespace pymalloc_exporter {
namespace {

constexpr Nanoseconds kLongestPause = 2 * kMillisecond;

}  // namespace

bool SwapSpaceExists() {
  struct sysinfo machine{};
  bool asked = Survives(UnusualCall::kSysinfo) && sysinfo(&machine) == 0;
  return !asked || machine.totalswap > 0;
}

bool MovedPages::MayLookAgain(Pace& pace, bool* ended) {
  if (patience_ == 0)
    patience_ = pace.patience() * (SwapSpaceExists() ? 1 : kMorePatience);
  if (*ended || waited_ >= patience_) return false;
  waited_ += pause_;
  *ended = !pace.RestUntil(Now() + pause_);
  pause_ = std::min(2 * pause_, kLongestPause);
  return !*ended;
}

}  // namespace pymalloc_exporter
