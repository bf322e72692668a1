// What the compiled benchmarks share: medians.

#pragma once

#include <algorithm>
#include <vector>

#include "exporter/system/clock.h"

namespace pymalloc_exporter {

inline double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

// Nanoseconds of this thread's CPU time: the median of so many times.
template <typename Work>
double MedianCpuTime(int times, Work work) {
  std::vector<double> taken;
  for (int i = 0; i < times; ++i) {
    Nanoseconds start = Now(CLOCK_THREAD_CPUTIME_ID);
    work();
    taken.push_back(static_cast<double>(Now(CLOCK_THREAD_CPUTIME_ID) - start));
  }
  return Median(taken);
}

}  // namespace pymalloc_exporter
