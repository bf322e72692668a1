#include "exporter/cpython/gc_collector.h"

#include "exporter/system/clock.h"

namespace pymalloc_exporter {

GcSample GcCollector::Read() const {
  GcSample sample;
  const volatile uint64_t* word = stats_.load();
  for (GcGeneration& generation : sample.generations) {
    generation.collections = *word++;
    generation.collected = *word++;
    generation.uncollectable = *word++;
  }
  return sample;
}

Reason GcCollector::Collect(Sample& sample, const StopFlag&) noexcept {
  // Published before the state is looked at: either End() sees it and waits, or it has
  // set the state already.
  reading_ = true;
  Reason state = state_;
  if (state == Reason::kNone) sample.gc = Read();
  reading_ = false;
  return state;
}

void GcCollector::End() {
  state_ = Reason::kInterpreterGone;
  while (reading_) Sleep(10 * kMicrosecond);
}

}  // namespace pymalloc_exporter
