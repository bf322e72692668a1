#include "exporter/system/page_window.h"

#include <sys/mman.h>

#include <algorithm>

#include "exporter/system/filters.h"
#include "exporter/system/page_map_scan.h"

namespace pymalloc_exporter {
namespace {

constexpr uint64_t kMapExclusive = uint64_t{1} << 56;

uint8_t StateOf(uint64_t entry) {
  if (IsSwapped(entry)) return kPageSwapped;
  if (!(entry & kEntryIsPresent)) return 0;
  if (entry & kEntryIsOfFile) return kPageOfFile;
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
  uintptr_t end = address + static_cast<uintptr_t>(count) * kPageBytes;
  scan_works_ = ScanPageMap(page_map_.descriptor(), address, end, kScanZero | kScanHuge,
                            [&](uintptr_t from, uintptr_t to, uint64_t categories) {
                              uint8_t state = StateOfCategories(categories);
                              for (; from < to && from < end; from += kPageBytes)
                                states[(from - address) / kPageBytes] |= state;
                            });
}

}  // namespace pymalloc_exporter
