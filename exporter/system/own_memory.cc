#include "exporter/system/own_memory.h"

#include <algorithm>
#include <atomic>

namespace pymalloc_exporter {
namespace {

constexpr int kMostRanges = 512;

struct Entry {
  std::atomic<uintptr_t> start{0};
  std::atomic<uintptr_t> end{0};
};

Entry entries[kMostRanges];
std::atomic<int> taken{0};

}  // namespace

void NoteOwnMemory(const void* address, size_t bytes) {
  if (taken.load() >= kMostRanges) return;
  int index = taken.fetch_add(1);
  if (index >= kMostRanges) return;
  auto start = reinterpret_cast<uintptr_t>(address);
  entries[index].start = start;
  entries[index].end = start + bytes;
}

int OwnMemoryCount() { return std::min(taken.load(), kMostRanges); }

AddressRange OwnMemory(int index) {
  uintptr_t end = entries[index].end;
  return {entries[index].start, end};
}

AddressRange FindOwnMemory(uintptr_t address) {
  AddressRange gap{0, UINTPTR_MAX};
  for (int i = 0; i < OwnMemoryCount(); ++i) {
    AddressRange range = OwnMemory(i);
    if (range.Holds(address)) return range;
    if (range.start > address) gap.end = std::min(gap.end, range.start);
  }
  return gap;
}

}  // namespace pymalloc_exporter
