#include "exporter/cpython/gc_collector.h"

#include "exporter/system/clock.h"

namespace pymalloc_exporter {

void GcCollector::Begin(const PymallocExporterGcStats& layout, uintptr_t stats) {
  layout_ = layout;
  stats_ = stats;
}

GcGeneration GcCollector::ReadGeneration(int generation) const {
  const auto& place = layout_.generations[generation];
  uint32_t latest = 0;
  if (place.entries > 1) {
    latest = *reinterpret_cast<const volatile uint8_t*>(stats_ + place.index_offset);
    if (latest >= place.entries) latest = 0;
  }
  auto* counters = reinterpret_cast<const volatile uint64_t*>(
      stats_ + place.items_offset + latest * layout_.entry_bytes +
      layout_.counters_offset);
  return {counters[0], counters[1], counters[2]};
}

GcSample GcCollector::Read() const {
  GcSample sample;
  for (int i = 0; i < kGcGenerations; ++i) sample.generations[i] = ReadGeneration(i);
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
