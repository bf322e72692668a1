#include "exporter/system/page_window.h"

#include <sys/ioctl.h>
#include <sys/mman.h>

#include <algorithm>

#include "exporter/system/filters.h"

namespace pymalloc_exporter {
namespace {

constexpr uint64_t kMapExclusive = uint64_t{1} << 56;
constexpr uint64_t kMapFile = uint64_t{1} << 61;

// From linux/fs.h of 6.7, which older headers lack.
struct ScanRequest {
  uint64_t size, flags, start, end, walk_end, regions, region_count, max_pages;
  uint64_t inverted, all_of, any_of, returned;
};
struct ScanRegion {
  uint64_t start, end, categories;
};
constexpr uint64_t kScanZero = 1 << 5;
constexpr uint64_t kScanHuge = 1 << 6;
constexpr int kScanRegions = 64;
static_assert(kPageMapScan == _IOWR('f', 16, ScanRequest));

uint8_t StateOf(uint64_t entry) {
  if (IsSwapped(entry)) return kPageSwapped;
  if (!(entry & kEntryIsPresent)) return 0;
  if (entry & kMapFile) return kPageOfFile;
  return entry & kMapExclusive ? kPageAnonymous | kPageExclusive : kPageAnonymous;
}

bool ReadCore(uintptr_t address, int count, uint8_t* states) {
  auto bytes = static_cast<size_t>(count) * kPageBytes;
  if (!Survives(UnusualCall::kMincore)) return false;
  if (mincore(reinterpret_cast<void*>(address), bytes, states) != 0) return false;
  for (int i = 0; i < count; ++i) states[i] = states[i] & 1 ? kPageAnonymous : 0;
  return true;
}

// A window is worth a scan if it can hold the zero page, which is nobody's own, or be a
// huge page.
bool WorthScan(const uint8_t* states, int count) {
  int present = 0;
  for (int i = 0; i < count; ++i) {
    if (states[i] == kPageAnonymous) return true;
    if (states[i] & kPageAnonymous) ++present;
  }
  return present == kPagesOfWindow;
}

uint8_t StateOfCategories(uint64_t categories) {
  uint8_t state = 0;
  if (categories & kScanZero) state |= kPageZero;
  if (categories & kScanHuge) state |= kPageHuge;
  return state;
}

}  // namespace

void PageWindows::Open(const char* path) {
  page_map_.Open(path);
  scan_works_ = Survives(UnusualCall::kPageMapScan);
}

bool PageWindows::Read(uintptr_t address, int count, uint8_t* states) {
  if (!has_page_map()) return ReadCore(address, count, states);
  if (!ReadPageMap(address, count, states)) return false;
  if (scan_works_ && WorthScan(states, count)) Scan(address, count, states);
  return true;
}

bool PageWindows::ReadPageMap(uintptr_t address, int count, uint8_t* states) const {
  uint64_t entries[kPagesOfWindow];
  if (!page_map_.Read(address, count, entries)) return false;
  std::transform(entries, entries + count, states, StateOf);
  return true;
}

void PageWindows::Scan(uintptr_t address, int count, uint8_t* states) {
  ScanRegion regions[kScanRegions]{};
  ScanRequest request{};
  request.size = sizeof request;
  request.start = address;
  request.end = address + static_cast<uint64_t>(count) * kPageBytes;
  request.regions = reinterpret_cast<uint64_t>(regions);
  request.region_count = kScanRegions;
  request.any_of = request.returned = kScanZero | kScanHuge;
  while (request.start < request.end) {
    int found = ioctl(page_map_.descriptor(), kPageMapScan, &request);
    if (found < 0) {
      scan_works_ = false;
      return;
    }
    for (int i = 0; i < found; ++i) {
      uint64_t first = (regions[i].start - address) / kPageBytes;
      uint64_t end = (regions[i].end - address) / kPageBytes;
      for (uint64_t page = first; page < end && page < static_cast<uint64_t>(count);
           ++page) {
        states[page] |= StateOfCategories(regions[i].categories);
      }
    }
    if (request.walk_end <= request.start) return;
    request.start = request.walk_end;
  }
}

}  // namespace pymalloc_exporter
