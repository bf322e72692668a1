// Ranges of pages by their state, from the page map: the ioctl PAGEMAP_SCAN (Linux 6.7).
//
// Looks at nothing but the page tables, where reading the page map looks up what the
// kernel knows of each page. Source: admin-guide/mm/pagemap.rst. Thread safety: any
// thread. No GIL, no malloc.

#pragma once

#include <sys/ioctl.h>

#include <cstdint>

namespace pymalloc_exporter {

// From linux/fs.h, which older headers lack.
struct PageMapScanRequest {
  uint64_t size, flags, start, end, walk_end, regions, region_count, max_pages;
  uint64_t inverted, all_of, any_of, returned;
};
inline constexpr unsigned long kPageMapScan = 0xc0606610;
static_assert(kPageMapScan == _IOWR('f', 16, PageMapScanRequest));

inline constexpr uint64_t kScanPresent = 1 << 3;
inline constexpr uint64_t kScanSwapped = 1 << 4;
inline constexpr uint64_t kScanZero = 1 << 5;
inline constexpr uint64_t kScanHuge = 1 << 6;

// Calls visit(start, end, categories) for each range within [start, end) that is of one
// of `categories`. False where the kernel refuses, or did not get to the end: it knows no
// such call, say.
template <typename Visit>
bool ScanPageMap(int page_map, uintptr_t start, uintptr_t end, uint64_t categories,
                 Visit visit) {
  struct Region {
    uint64_t start, end, categories;
  };
  constexpr int kRegions = 64;
  Region regions[kRegions]{};
  PageMapScanRequest request{};
  request.size = sizeof request;
  request.start = start;
  request.end = end;
  request.regions = reinterpret_cast<uint64_t>(regions);
  request.region_count = kRegions;
  request.any_of = request.returned = categories;
  while (request.start < request.end) {
    int found = ioctl(page_map, kPageMapScan, &request);
    if (found < 0) return false;
    for (int i = 0; i < found; ++i)
      visit(regions[i].start, regions[i].end, regions[i].categories);
    if (request.walk_end <= request.start) return false;
    request.start = request.walk_end;
  }
  return true;
}

}  // namespace pymalloc_exporter
