#include "exporter/system/moved_pages.h"

#include <sys/sysinfo.h>

#include <algorithm>

namespace pymalloc_exporter {
namespace {

constexpr Nanoseconds kLongestPause = 2 * kMillisecond;

// So many times a pace's patience where there is no swap space.
constexpr int kMorePatience = 10;

}  // namespace

bool SwapSpaceExists() {
  struct sysinfo machine{};
  return sysinfo(&machine) != 0 || machine.totalswap > 0;
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
