// Which pages of the own process are in memory.
//
// Source: /proc/self/pagemap (admin-guide/mm/pagemap.rst: 8 bytes a page, bit 62 swapped,
// bit 63 present); mincore(2) where that may not be read (a process that dropped its user
// id), which cannot tell a page that is swapped out from one that was never there.
//
// Thread safety: one thread. No GIL, no malloc. Nothing is touched by looking.

#pragma once

#include <cstdint>

namespace pymalloc_exporter {

enum class PageState : uint8_t { kAbsent, kResident, kSwapped };

class Residency {
 public:
  // The most pages of one look: 2 MiB of addresses, some 20 to 60 microseconds.
  static constexpr int kMostPages = 512;

  Residency();
  ~Residency();
  Residency(const Residency&) = delete;
  Residency& operator=(const Residency&) = delete;

  // The states of `pages` pages from the one at `address` on. What is not mapped is
  // absent.
  void Read(uintptr_t address, int pages, PageState* states);

 private:
  bool ReadPageMap(uintptr_t address, int pages, PageState* states) const;

  int page_map_;
};

}  // namespace pymalloc_exporter
