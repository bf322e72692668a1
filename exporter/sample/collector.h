// One way of reading memory. A collector a file; the sampler times and guards each.
//
// Two kinds: what is read at every beat in next to no time, and what walks the whole
// process on a beat of its own, piece by piece.

#pragma once

#include <algorithm>
#include <atomic>
#include <limits>

#include "exporter/sample/sample.h"
#include "exporter/system/clock.h"

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

// How a long walk gives way. The sampler's thread has a place among other processes to
// keep, and a reader that comes straight back starves the application's mmap and malloc.
class Pace {
 public:
  virtual ~Pace() = default;

  // Rests for some 50 microseconds, and does what has become due meanwhile: others are
  // heard, the fast collectors run, and a question may be answered, which takes longer.
  // False when the walk has to end now (a fork waits): return kInconsistent, which makes
  // the run count as not made.
  // REQUIRES: the caller reads no arena (ArenaRegistry::BeginRead) at that moment.
  virtual bool Rest() noexcept = 0;

  // What a fast collector's walk looks at, where a slow one has it made.
  virtual const StopFlag& stop() const noexcept {
    static const StopFlag never{false};
    return never;
  }
  // Until a time (CLOCK_MONOTONIC), for whoever waits for something. Questions wait, too.
  virtual bool RestUntil(Nanoseconds) noexcept { return Rest(); }

  // The most that a walk waits in all for what passes by itself.
  virtual Nanoseconds patience() const noexcept { return 200 * kMillisecond; }

  // CPU time of the calling thread that this slow beat may still take: who would need
  // more and can do with less reads a sample.
  virtual double CpuSecondsLeft() const noexcept {
    return std::numeric_limits<double>::infinity();
  }
};

// For whoever walks on a thread that has nothing else to do: at install, under the GIL.
class NoRest final : public Pace {
 public:
  bool Rest() noexcept override { return true; }
  bool RestUntil(Nanoseconds until) noexcept override {
    Sleep(std::max<Nanoseconds>(until - Now(), 0));
    return true;
  }
  // Others wait for the GIL.
  Nanoseconds patience() const noexcept override { return 20 * kMillisecond; }
};

class SlowCollector {
 public:
  virtual ~SlowCollector() = default;

  virtual CollectorId id() const = 0;

  // Fills its part of `sample`, at the very end, and returns kNone, or returns why it
  // could not; then its part of the last sample stands.
  // Runs on the sampler's thread under the same terms as Collector::Collect, with no more
  // than 0.2 ms between two calls of pace.Rest(). Slow collectors run one after the other
  // in the order in which they were registered. The slow beat is stretched by their CPU
  // time and by what the fast ones took since the last.
  virtual Reason Collect(Sample& sample, Pace& pace) noexcept = 0;

  // In the child of a fork, on the thread that forked, before the sampler's thread is
  // started there.
  virtual void BecomeChild() noexcept {}
};

}  // namespace pymalloc_exporter
