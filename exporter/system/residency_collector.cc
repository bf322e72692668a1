#include "exporter/system/residency_collector.h"

#include <algorithm>

#include "exporter/system/moved_pages.h"

namespace pymalloc_exporter {
namespace {

// A larger mapping is a reservation of addresses, of which next to nothing is in use.
constexpr uint64_t kLargestMapping = uint64_t{64} << 30;

// Zeroed data right behind a library's own; a mapping that is larger is something else.
constexpr uint64_t kLargestZeroedData = 1 << 20;

// The range that holds `address`, of those in order; else {0, start of the next}.
AddressRange FindIn(std::span<const AddressRange> ranges, uintptr_t address) {
  auto next = std::upper_bound(
      ranges.begin(), ranges.end(), address,
      [](uintptr_t value, const AddressRange& range) { return value < range.end; });
  if (next == ranges.end()) return {0, UINTPTR_MAX};
  if (next->start <= address) return *next;
  return {0, next->start};
}

bool CanHoldAnonymous(const Mapping& mapping) {
  bool plain =
      mapping.readable && !mapping.shared && mapping.name != Mapping::Name::kKernel &&
      mapping.name != Mapping::Name::kHugePages && mapping.bytes() <= kLargestMapping;
  return plain && !(mapping.of_file && mapping.executable && !mapping.writable);
}

}  // namespace

class ResidencyCollector::Pass {
 public:
  Pass(const ResidencyCollector& collector, Pace& pace)
      : collector_(collector), pace_(pace) {
    windows_.Open(collector.page_map_);
  }

  bool Add(const Mapping& mapping) {
    MemoryOwner owner = OwnerOf(mapping);
    data_end_ = owner == MemoryOwner::kData ? mapping.end : 0;
    // mincore tells of a file's page whether it is cached, not whether it is ours.
    bool by_core = !windows_.has_page_map() && mapping.of_file && !mapping.writable;
    if (!CanHoldAnonymous(mapping) || by_core) return true;
    for (uintptr_t at = mapping.start; at < mapping.end;) {
      uintptr_t end =
          std::min(mapping.end, at / kWindowBytes * kWindowBytes + kWindowBytes);
      AddWindow(at, end, owner);
      if (ended_ || !pace_.Rest()) return false;
      at = end;
    }
    return true;
  }

  const ResidencySample& found() {
    found_.page_map = windows_.has_page_map();
    found_.huge_known = windows_.has_scan();
    return found_;
  }

 private:
  MemoryOwner OwnerOf(const Mapping& mapping) const {
    if (mapping.name == Mapping::Name::kHeap) return MemoryOwner::kHeap;
    if (mapping.name == Mapping::Name::kStack) return MemoryOwner::kStacks;
    bool zeroed = mapping.start == data_end_ && mapping.bytes() <= kLargestZeroedData;
    return mapping.of_file || zeroed ? MemoryOwner::kData : MemoryOwner::kOther;
  }

  void AddWindow(uintptr_t start, uintptr_t end, MemoryOwner owner) {
    int count = static_cast<int>((end - start) / kPageBytes);
    bool there = true;
    moved_.StaysSwapped(pace_, &ended_, [&] {
      there = windows_.Read(start, count, states_);
      return there && std::any_of(states_, states_ + count, [](uint8_t state) {
               return (state & kPageSwapped) != 0;
             });
    });
    // Gone since the line was read: nothing of it is resident.
    if (!there) return;
    if (std::all_of(states_, states_ + count, [](uint8_t state) { return state == 0; })) {
      return;
    }
    for (uintptr_t at = start; at < end;) {
      uintptr_t stop = end;
      MemoryOwner part = owner == MemoryOwner::kOther || owner == MemoryOwner::kData
                             ? OwnerOfPart(at, &stop, owner)
                             : owner;
      Count(states_ + (at - start) / kPageBytes, states_ + (stop - start) / kPageBytes,
            part);
      at = stop;
    }
  }

  // Whose `at` is, and up to where that holds: neighbours are merged into one mapping.
  MemoryOwner OwnerOfPart(uintptr_t at, uintptr_t* stop, MemoryOwner otherwise) const {
    AddressRange arena = collector_.arenas_.FindArena(at, *stop);
    if (arena.end != 0 && arena.start <= at) {
      *stop = std::min(*stop, arena.end);
      return MemoryOwner::kArenas;
    }
    if (arena.end != 0) *stop = arena.start;
    AddressRange stack = FindIn(collector_.stacks_.ranges(), at);
    *stop = std::min(*stop, stack.end);
    if (stack.start != 0) return MemoryOwner::kStacks;
    AddressRange own = FindOwnMemory(at);
    *stop = std::min(*stop, own.end);
    return own.start != 0 ? MemoryOwner::kExporter : otherwise;
  }

  void Count(const uint8_t* state, const uint8_t* end, MemoryOwner owner) {
    ResidencyFigure& figure = found_.owners[static_cast<int>(owner)];
    for (; state < end; ++state) {
      if (*state & kPageSwapped) figure.swapped_bytes += kPageBytes;
      if (!(*state & kPageAnonymous) || (*state & kPageZero)) continue;
      figure.resident_bytes += kPageBytes;
      if (*state & kPageExclusive) figure.exclusive_bytes += kPageBytes;
      if (*state & kPageHuge) found_.huge_bytes += kPageBytes;
    }
  }

  const ResidencyCollector& collector_;
  Pace& pace_;
  PageWindows windows_;
  MovedPages moved_;
  bool ended_ = false;
  ResidencySample found_;
  uintptr_t data_end_ = 0;
  uint8_t states_[kPagesOfWindow];
};

Reason ResidencyCollector::Collect(Sample& sample, Pace& pace) noexcept {
  MapsReader maps;
  if (!maps.Open(paths_)) return Reason::kUnreadable;
  SafeReader reader;
  if (reader.usable()) stacks_.Find(paths_, reader);
  if (!pace.Rest()) return Reason::kInconsistent;
  Pass pass(*this, pace);
  Mapping mapping;
  while (maps.Next(&mapping)) {
    if (!pass.Add(mapping)) return Reason::kInconsistent;
    if (maps.NeedsPiece() && !pace.Rest()) return Reason::kInconsistent;
  }
  if (maps.failed()) return Reason::kUnreadable;
  sample.residency = pass.found();
  return Reason::kNone;
}

}  // namespace pymalloc_exporter
