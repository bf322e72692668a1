// One way of reading memory. A collector a file; the sampler times and guards each.

#pragma once

#include <atomic>

#include "exporter/sample/sample.h"

namespace pymalloc_exporter {

// Set when the sampler has to end soon (a fork waits for it). Every walk looks at it at
// least every 0.2 ms and returns kInconsistent, which makes the run count as not made.
using StopFlag = std::atomic<bool>;

class Collector {
 public:
  virtual ~Collector() = default;

  virtual CollectorId id() const = 0;

  // Whether its figures can change though this process does nothing.
  virtual bool ChangesWhileIdle() const { return false; }

  // Fills its part of `sample` and returns kNone, or returns why it could not; then its
  // part of the last sample stands.
  // Runs on the sampler's thread: without the GIL, without malloc, with no system call or
  // walk longer than 0.2 ms, and without ever waiting for the application. Never throws.
  virtual Reason Collect(Sample& sample, const StopFlag& stop) noexcept = 0;
};

}  // namespace pymalloc_exporter
