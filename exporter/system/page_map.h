// The kernel's page map of the own process.
//
// Source: admin-guide/mm/pagemap.rst: 8 bytes a page; bit 62 swapped, bit 63 present.
// Thread safety: one thread. No GIL, no malloc. Reads windows of 2 MiB of addresses at most.

#pragma once

#include <cstdint>

namespace pymalloc_exporter {

class PageMap {
 public:
  PageMap() = default;
  ~PageMap();
  PageMap(const PageMap&) = delete;
  PageMap& operator=(const PageMap&) = delete;

  // False where it may not be read (a process that dropped its user id).
  bool Open();

  // Whether a page of [address, address + bytes) is swapped out; true if it can't be told.
  bool AnySwapped(uintptr_t address, uint64_t bytes) const;

 private:
  int fd_ = -1;
};

}  // namespace pymalloc_exporter
