// The state of the pages of the own process, a window of addresses at a time.
//
// Sources: admin-guide/mm/pagemap.rst (8 bytes a page: bit 56 mapped by this process
// alone, 61 a file's or shared, 62 swapped, 63 present; the ioctl PAGEMAP_SCAN, Linux
// 6.7: zero page, huge page); where that is forbidden (a process that dropped its user
// id) mincore(2), which tells present pages of anonymous memory only.
// Thread safety: one thread. No GIL, no malloc. Rest after each window, as page_map.h
// says.

#pragma once

#include <cstdint>

#include "exporter/system/page_map.h"

namespace pymalloc_exporter {

// A huge page.
inline constexpr uint64_t kWindowBytes = kPagesOfWindow * kPageBytes;

// Bits of a page's state.
inline constexpr uint8_t kPageAnonymous = 1;  // present, and no file's
inline constexpr uint8_t kPageOfFile = 2;     // present, a file's or shared
inline constexpr uint8_t kPageSwapped = 4;
inline constexpr uint8_t kPageExclusive = 8;
inline constexpr uint8_t kPageZero = 16;  // the kernel's page of zeros: not in RSS
inline constexpr uint8_t kPageHuge = 32;

class PageWindows {
 public:
  // Opens the page map, if the process may.
  void Open(const char* path = "/proc/self/pagemap");

  // Whether swapped and exclusive pages can be told; if not, mincore answers.
  bool has_page_map() const { return page_map_.is_open(); }
  // Whether zero and huge pages can be told.
  bool has_scan() const { return has_page_map() && scan_works_; }

  // Fills states[0 .. count) for the pages from `address` on (a page's start). False if
  // the kernel refuses: the memory is gone, say.
  bool Read(uintptr_t address, int count, uint8_t* states);

 private:
  bool ReadPageMap(uintptr_t address, int count, uint8_t* states) const;
  void Scan(uintptr_t address, int count, uint8_t* states);

  PageMap page_map_;
  bool scan_works_ = true;
};

}  // namespace pymalloc_exporter
