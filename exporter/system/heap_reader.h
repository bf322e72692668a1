// Reading a heap beside the application that changes it: memory may vanish at any moment,
// and none of it may become resident by being looked at.
//
// Residency first, then only what is in memory is copied, by the kernel: pwrite into a
// memory file of our own that is mapped, which pins no page and un-shares none
// (process_vm_readv does) and fails where the memory is gone. Where there can be no such
// file or its size is limited, through a pipe; then through /proc/self/mem. After every
// kWindowBytes or so the reader rests, so that the application's mmap and munmap, which
// wait for the same lock of the kernel's, get their turn.
//
// Thread safety: one thread. No GIL, no malloc.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "exporter/sample/collector.h"
#include "exporter/system/address_range.h"
#include "exporter/system/moved_pages.h"
#include "exporter/system/page_map.h"
#include "exporter/system/residency.h"
#include "exporter/system/safe_read.h"

namespace pymalloc_exporter {

// How much of a range of addresses is in memory.
struct Residence {
  uint64_t bytes = 0;
  uint64_t whole_page_bytes = 0;  // pages that lie in a part of the range, see Measure()
};

class HeapReader {
 public:
  static constexpr int kWindowPages = 16;
  static constexpr size_t kWindowBytes = kWindowPages * kPageBytes;
  static constexpr int kMostGathered = 256;
  static constexpr int kMostHugeRanges = 256;

  explicit HeapReader(Pace& pace) : pace_(pace) {}
  ~HeapReader();
  HeapReader(const HeapReader&) = delete;
  HeapReader& operator=(const HeapReader&) = delete;

  // False where nothing can be copied.
  bool Open();

  // Finds reserved huge pages, which are no part of RSS: Measure() leaves them out.
  void FindHugePages();

  // Once true, the walk has to end: everything answers as if nothing were there.
  bool stopped() const { return stopped_; }

  // Copies the window that begins with the page of `address`, no further than `end`.
  // The state of that page; kAbsent, too, if it vanished meanwhile.
  PageState Load(uintptr_t address, uintptr_t end);

  // Whether the window has these bytes, and where.
  bool Holds(uintptr_t address, size_t bytes) const;
  const void* At(uintptr_t address) const { return buffer_ + (address - start_); }

  // Where its copies lie.
  AddressRange buffer() const {
    auto start = reinterpret_cast<uintptr_t>(buffer_);
    return {start, start + kBufferBytes};
  }

  // Forgets the window.
  void Invalidate() { pages_ = 0; }

  // A few bytes from anywhere, at most a page; false if they are not in memory.
  bool Peek(uintptr_t address, void* into, size_t bytes);

  // How much of [start, end) is in memory, and how much of that in whole pages of
  // [inner, end).
  Residence Measure(uintptr_t start, uintptr_t end, uintptr_t inner);

  // The states of at most kPagesOfWindow pages.
  const PageState* States(uintptr_t address, int pages);

  // Copies `bytes` (at most 64) from each of `count` addresses, as described at the top.
  // readable[i] tells which were there.
  void Gather(const uintptr_t* addresses, int count, size_t bytes, bool* readable);
  const void* Gathered(int index, size_t bytes) const {
    return buffer_ + static_cast<size_t>(index) * bytes;
  }

  // Notes work that is worth this many copied pages, and rests when it is due.
  void Worked(int pages);

 private:
  // The window, and a page for Peek() behind it.
  static constexpr size_t kBufferBytes = kWindowBytes + kPageBytes;

  enum class Way { kFile, kPipe, kProcessMemory, kNone };

  void Look(uintptr_t address, int pages, PageState* states);
  bool InHugePages(uintptr_t address) const;
  bool Copy(uintptr_t address, size_t offset, size_t bytes);
  bool CopyOnce(uintptr_t address, size_t offset, size_t bytes);
  void NextWay();

  Pace& pace_;
  bool stopped_ = false;
  Way way_ = Way::kFile;
  int file_ = -1;
  int process_memory_ = -1;
  char* buffer_ = nullptr;
  std::optional<SafeReader> pipe_;  // once it is the way
  Residency residency_;

  uintptr_t start_ = 0;
  int pages_ = 0;
  PageState states_[kWindowPages];
  PageState spill_[kPagesOfWindow];
  int work_ = 0;
  MovedPages moved_;

  AddressRange huge_[kMostHugeRanges];
  int huge_count_ = 0;
};

}  // namespace pymalloc_exporter
