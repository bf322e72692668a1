#include "exporter/system/pass_memory.h"

#include <sys/mman.h>

#include <atomic>

#include "exporter/system/page_map.h"

namespace pymalloc_exporter {
namespace {

struct Left {
  std::atomic<char*> start{nullptr};  // set last, and taken first
  std::atomic<size_t> bytes{0};
};
Left left[kMostLeft];

}  // namespace

void GiveBack(void* memory, size_t bytes, bool in_hurry) {
  if (in_hurry) {
    for (Left& one : left) {
      if (one.start != nullptr) continue;
      one.bytes = bytes;
      one.start = static_cast<char*>(memory);
      return;
    }
  }
  munmap(memory, bytes);
}

void GiveBackWhatIsLeft() {
  for (Left& one : left) {
    if (char* start = one.start.exchange(nullptr); start != nullptr)
      munmap(start, one.bytes);
  }
}

AddressRange LeftMemory(int index) {
  const Left& one = left[index];
  auto start = reinterpret_cast<uintptr_t>(one.start.load());
  if (start == 0) return {0, 0};
  uintptr_t pages = (one.bytes + kPageBytes - 1) / kPageBytes;
  return {start, start + pages * kPageBytes};
}

}  // namespace pymalloc_exporter
