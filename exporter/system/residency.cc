#include "exporter/system/residency.h"

#include <sys/mman.h>

#include <algorithm>

#include "exporter/system/filters.h"

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

void Residency::Read(uintptr_t address, int pages, PageState* states) {
  address &= ~(kPageBytes - 1);
  if (ReadPageMap(address, pages, states)) return;
  if (Survives(UnusualCall::kMincore)) {
    AskKernel(address, pages, states);
  } else {
    std::fill_n(states, pages, PageState::kAbsent);
  }
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
