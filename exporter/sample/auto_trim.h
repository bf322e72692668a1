// When a process trims its C heap by itself: above a threshold, and not often.
//
// Plain data: no thread, no GIL, no allocation.

#pragma once

#include <cstdint>

#include "exporter/system/clock.h"

namespace pymalloc_exporter {

// A trim costs whoever allocates meanwhile a wait, and what is given back is mostly
// wanted again.
inline constexpr Nanoseconds kAutoTrimPause = 600 * kSecond;

class AutoTrim {
 public:
  // 0: never.
  void SetThreshold(uint64_t bytes) { threshold_bytes_ = bytes; }

  // Whether to trim now, given what a trim would give back; counts it as done.
  bool Due(uint64_t reclaimable_bytes, Nanoseconds now) {
    bool wanted = threshold_bytes_ != 0 && reclaimable_bytes >= threshold_bytes_;
    if (!wanted || (last_ != 0 && now - last_ < kAutoTrimPause)) return false;
    last_ = now;
    return true;
  }

 private:
  uint64_t threshold_bytes_ = 0;
  Nanoseconds last_ = 0;
};

}  // namespace pymalloc_exporter
