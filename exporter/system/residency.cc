#include "exporter/system/residency.h"

#include <sys/mman.h>

#include <algorithm>

#include "exporter/system/filters.h"
#include "exporter/system/page_map_scan.h"

namespace pymalloc_exporter {
namespace {

void AskKernel(uintptr_t address, int pages, PageState* states) {
  unsigned char resident[kPagesOfWindow];
  size_t bytes = static_cast<size_t>(pages) * kPageBytes;
  if (mincore(reinterpret_cast<void*>(address), bytes, resident) == 0) {
    for (int i = 0; i < pages; ++i) {
      states[i] = (resident[i] & 1) ? PageState::kResident : PageState::kAbsent;
    }
  } else if (pages > 1) {
    // A part of it is not mapped; the kernel does not say which.
    AskKernel(address, pages / 2, states);
    AskKernel(address + static_cast<size_t>(pages / 2) * kPageBytes, pages - pages / 2,
              states + pages / 2);
  } else {
    states[0] = PageState::kAbsent;
  }
}

}  // namespace

Residency::Residency()
    : scan_works_(page_map_.Open() && Survives(UnusualCall::kPageMapScan)) {}

void Residency::Read(uintptr_t address, int pages, PageState* states) {
  address &= ~(kPageBytes - 1);
  if (scan_works_ && Scan(address, pages, states)) return;
  if (ReadPageMap(address, pages, states)) return;
  if (Survives(UnusualCall::kMincore)) {
    AskKernel(address, pages, states);
  } else {
    std::fill_n(states, pages, PageState::kAbsent);
  }
}

// False, too, where something is swapped out: that may be a guard, which it does not
// tell.
bool Residency::Scan(uintptr_t address, int pages, PageState* states) {
  std::fill_n(states, pages, PageState::kAbsent);
  uintptr_t end = address + static_cast<uintptr_t>(pages) * kPageBytes;
  bool swapped = false;
  scan_works_ =
      ScanPageMap(page_map_.descriptor(), address, end, kScanPresent | kScanSwapped,
                  [&](uintptr_t from, uintptr_t to, uint64_t categories) {
                    swapped = swapped || (categories & kScanSwapped) != 0;
                    std::fill(states + (from - address) / kPageBytes,
                              states + (std::min(to, end) - address) / kPageBytes,
                              PageState::kResident);
                  });
  return scan_works_ && !swapped;
}

bool Residency::ReadPageMap(uintptr_t address, int pages, PageState* states) const {
  uint64_t entries[kPagesOfWindow];
  if (!page_map_.Read(address, pages, entries)) return false;
  for (int i = 0; i < pages; ++i) {
    states[i] = (entries[i] & kEntryIsPresent) ? PageState::kResident
                : IsSwapped(entries[i])        ? PageState::kSwapped
                                               : PageState::kAbsent;
  }
  return true;
}

}  // namespace pymalloc_exporter
