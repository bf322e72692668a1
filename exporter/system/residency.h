// Which pages of the own process are in memory.
//
// Source: the page map, or a scan of it (page_map_scan.h); mincore(2) where that may not
// be read (a process that dropped its user id), which cannot tell a page that is swapped
// out from one that was never there.
//
// Thread safety: one thread. No GIL, no malloc. Nothing is touched by looking.

#pragma once

#include <cstdint>

#include "exporter/system/page_map.h"

namespace pymalloc_exporter {

enum class PageState : uint8_t { kAbsent, kResident, kSwapped };

class Residency {
 public:
  Residency();

  // The states of `pages` pages (at most kPagesOfWindow) from the one at `address` on.
  // What is not mapped is absent.
  void Read(uintptr_t address, int pages, PageState* states);

 private:
  bool Scan(uintptr_t address, int pages, PageState* states);
  bool ReadPageMap(uintptr_t address, int pages, PageState* states) const;

  PageMap page_map_;
  bool scan_works_;
};

}  // namespace pymalloc_exporter
