// The kernel's page map of the own process.
//
// Source: admin-guide/mm/pagemap.rst: 8 bytes a page; bit 58 a guard (Linux 6.15), bit 61
// file-backed or shared, bit 62 swapped, bit 63 present. Thread safety: one thread. No
// GIL, no malloc. Reads windows of 2 MiB of addresses at most, for each of which it has
// the address space's lock for some 20 microseconds: rest after each.

#pragma once

#include <cstdint>

namespace pymalloc_exporter {

inline constexpr uint64_t kPageBytes = 4096;
inline constexpr int kPagesOfWindow = 512;

inline constexpr uint64_t kEntryIsGuard = uint64_t{1} << 58;
inline constexpr uint64_t kEntryIsOfFile = uint64_t{1} << 61;
inline constexpr uint64_t kEntryIsSwapped = uint64_t{1} << 62;
inline constexpr uint64_t kEntryIsPresent = uint64_t{1} << 63;

// A guard (MADV_GUARD_INSTALL: glibc 2.43 has them below its thread stacks) is shown as
// swapped, too, but there is nothing.
constexpr bool IsSwapped(uint64_t entry) {
  return (entry & (kEntryIsSwapped | kEntryIsGuard)) == kEntryIsSwapped;
}

class PageMap {
 public:
  PageMap() = default;
  ~PageMap();
  PageMap(const PageMap&) = delete;
  PageMap& operator=(const PageMap&) = delete;

  // False where it may not be read (a process that dropped its user id).
  bool Open(const char* path = "/proc/self/pagemap");
  bool is_open() const { return fd_ >= 0; }
  // For ioctl.
  int descriptor() const { return fd_; }

  // The entries of `count` pages (at most kPagesOfWindow) from the one at `address` on.
  // False if they cannot be read.
  bool Read(uintptr_t address, int count, uint64_t* entries) const;

  // Whether a page of [address, address + bytes) is swapped out; true if it can't be
  // told.
  bool AnySwapped(uintptr_t address, uint64_t bytes) const;

  // Which of `count` pages (at most kPagesOfWindow) from `address` on this process has
  // written: present or swapped, and no longer a file's. All, if it can't be told.
  void FindWritten(uintptr_t address, int count, bool* written) const;

 private:
  int fd_ = -1;
};

}  // namespace pymalloc_exporter
