#include "exporter/cpython/free_list_collector.h"

#include <algorithm>

#include "exporter/system/clock.h"

namespace pymalloc_exporter {
namespace {

void Add(const FreeListPlace& place, uint64_t objects, FreeListFigure* figure) {
  figure->objects += objects;
  figure->bytes += objects * place.object_bytes;
  figure->capacity += place.capacity;
}

}  // namespace

int64_t EntriesOf(const FreeListPlace& place) {
  if (place.form == kFreeListSingle) {
    return *reinterpret_cast<const volatile uintptr_t*>(place.head) != 0;
  }
  return place.count_bytes == sizeof(int64_t)
             ? *reinterpret_cast<const volatile int64_t*>(place.count)
             : *reinterpret_cast<const volatile int32_t*>(place.count);
}

void FreeListCollector::Begin(const std::vector<FreeListPlace>& places) {
  count_ = static_cast<int>(std::min<size_t>(places.size(), kMostPlaces));
  std::copy_n(places.begin(), count_, places_);
}

bool FreeListCollector::Read(FreeListSample* out) const {
  FreeListSample sample;
  for (int i = 0; i < count_; ++i) {
    const FreeListPlace& place = places_[i];
    int64_t entries = EntriesOf(place);
    if (entries > place.capacity) return false;
    auto objects = static_cast<uint64_t>(std::max<int64_t>(entries, 0));
    Add(place, objects, &sample.kinds[place.kind]);
    if (place.length > 0) Add(place, objects, &sample.tuples[place.length - 1]);
  }
  *out = sample;
  return true;
}

Reason FreeListCollector::Collect(Sample& sample, const StopFlag&) noexcept {
  // Published before the state is looked at: either End() sees it and waits, or it has
  // set the state already.
  ++reading_;
  Reason state = state_;
  if (state == Reason::kNone && !Read(&sample.free_lists)) state = Reason::kInconsistent;
  --reading_;
  return state;
}

int FreeListCollector::ReadEntries(FreeListKind kind, const SafeReader& memory,
                                   uintptr_t* entries, int most) {
  int count = 0;
  ++reading_;
  for (int i = 0; i < count_ && state_ == Reason::kNone; ++i) {
    const FreeListPlace& place = places_[i];
    if (place.kind != kind || place.form != kFreeListLinked) continue;
    uintptr_t entry = *reinterpret_cast<const volatile uintptr_t*>(place.head);
    while (entry != 0 && count < most) {
      entries[count++] = entry;
      if (!memory.Read(entry + place.link_offset, &entry, sizeof entry)) break;
    }
  }
  --reading_;
  std::sort(entries, entries + count);
  return count;
}

void FreeListCollector::End() {
  state_ = Reason::kInterpreterGone;
  while (reading_ > 0) Sleep(10 * kMicrosecond);
}

}  // namespace pymalloc_exporter
