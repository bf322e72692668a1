#include "exporter/system/heap_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "exporter/system/filters.h"
#include "exporter/system/memory_maps.h"
#include "exporter/system/pass_memory.h"

namespace pymalloc_exporter {
namespace {

constexpr int kRestAfterPages = 64;
// Of looking up a page's state, in terms of copying it.
constexpr int kLooksPerCopy = 8;

constexpr uintptr_t PageOf(uintptr_t address) { return address & ~(kPageBytes - 1); }

}  // namespace

HeapReader::~HeapReader() {
  if (buffer_ != nullptr) GiveBack(buffer_, kBufferBytes, pace_.stop());
  if (file_ >= 0) close(file_);
  if (process_memory_ >= 0) close(process_memory_);
}

bool HeapReader::Open() {
  // Beyond the limit a write would be a signal, too.
  rlimit limit{};
  bool allowed = getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur >= kBufferBytes;
  allowed = allowed && Survives(UnusualCall::kMemfdCreate);
  if (allowed) file_ = memfd_create("pymalloc_exporter", MFD_CLOEXEC);
  if (file_ >= 0 && ftruncate(file_, kBufferBytes) == 0) {
    void* mapped =
        mmap(nullptr, kBufferBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0);
    if (mapped != MAP_FAILED) buffer_ = static_cast<char*>(mapped);
  }
  if (buffer_ == nullptr) NextWay();
  return way_ != Way::kNone;
}

// The file cannot be used (or no longer): the same buffer, filled in another way.
void HeapReader::NextWay() {
  if (buffer_ == nullptr) {
    void* mapped = mmap(nullptr, kBufferBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped != MAP_FAILED) buffer_ = static_cast<char*>(mapped);
  }
  way_ = static_cast<Way>(static_cast<int>(way_) + 1);
  if (way_ == Way::kPipe && !pipe_.emplace().usable()) way_ = Way::kProcessMemory;
  if (way_ == Way::kProcessMemory) {
    process_memory_ = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
  }
  bool usable = buffer_ != nullptr && (way_ == Way::kPipe || process_memory_ >= 0);
  if (!usable) way_ = Way::kNone;
}

bool HeapReader::CopyOnce(uintptr_t address, size_t offset, size_t bytes) {
  auto* from = reinterpret_cast<void*>(address);
  switch (way_) {
    case Way::kFile:
      return pwrite(file_, from, bytes, static_cast<off_t>(offset)) ==
             static_cast<ssize_t>(bytes);
    case Way::kPipe:
      for (size_t done = 0; done < bytes;) {
        size_t step = std::min<size_t>(bytes - done, kPageBytes);
        if (!pipe_->Read(address + done, buffer_ + offset + done, step)) return false;
        done += step;
      }
      return true;
    case Way::kProcessMemory:
      return pread(process_memory_, buffer_ + offset, bytes,
                   static_cast<off_t>(address)) == static_cast<ssize_t>(bytes);
    case Way::kNone:
      return false;
  }
  return false;
}

bool HeapReader::Copy(uintptr_t address, size_t offset, size_t bytes) {
  for (;;) {
    if (way_ == Way::kNone) return false;
    errno = 0;
    if (CopyOnce(address, offset, bytes)) return true;
    // Memory that is gone, or half of it; everything else is the way's own trouble.
    if (errno == EFAULT || errno == 0 || errno == EIO) return false;
    NextWay();
  }
}

void HeapReader::Worked(int pages) {
  if (pace_.stop()) stopped_ = true;  // a fork waits: sooner than the next rest
  work_ += pages;
  if (work_ < kRestAfterPages) return;
  work_ = 0;
  if (!pace_.Rest()) stopped_ = true;
}

void HeapReader::FindHugePages() {
  MapsReader mappings;
  if (!mappings.Open({})) return;
  for (Mapping mapping; !stopped_ && mappings.Next(&mapping); Worked(1)) {
    if (mapping.name != Mapping::Name::kHugePages) continue;
    if (huge_count_ > 0 && huge_[huge_count_ - 1].end == mapping.start) {
      huge_[huge_count_ - 1].end = mapping.end;
    } else if (huge_count_ < kMostHugeRanges) {
      huge_[huge_count_++] = {mapping.start, mapping.end};
    }
  }
}

bool HeapReader::InHugePages(uintptr_t address) const {
  return std::any_of(huge_, huge_ + huge_count_,
                     [&](const AddressRange& range) { return range.Holds(address); });
}

void HeapReader::Look(uintptr_t address, int pages, PageState* states) {
  moved_.StaysSwapped(pace_, &stopped_, [&] {
    residency_.Read(address, pages, states);
    return std::find(states, states + pages, PageState::kSwapped) != states + pages;
  });
}

PageState HeapReader::Load(uintptr_t address, uintptr_t end) {
  start_ = PageOf(address);
  pages_ = 0;
  Worked(kWindowPages);
  if (stopped_ || address >= end) return PageState::kAbsent;
  uintptr_t pages = (end - start_ + kPageBytes - 1) / kPageBytes;
  int count = static_cast<int>(std::min<uintptr_t>(pages, kWindowPages));
  Look(start_, count, states_);
  if (states_[0] != PageState::kResident) return states_[0];
  for (int i = 0; i < count;) {
    int run = i;
    while (run < count && states_[run] == PageState::kResident) ++run;
    size_t offset = static_cast<size_t>(i) * kPageBytes;
    size_t bytes = static_cast<size_t>(run - i) * kPageBytes;
    if (run > i && !Copy(start_ + offset, offset, bytes)) {
      if (i == 0) return PageState::kAbsent;
      std::fill(states_ + i, states_ + run, PageState::kAbsent);
    }
    i = std::max(run, i + 1);
  }
  pages_ = count;
  return PageState::kResident;
}

bool HeapReader::Holds(uintptr_t address, size_t bytes) const {
  uintptr_t window = static_cast<uintptr_t>(pages_) * kPageBytes;
  uintptr_t offset = address - start_;
  if (address < start_ || offset >= window || window - offset < bytes) return false;
  return states_[offset / kPageBytes] == PageState::kResident &&
         states_[(offset + bytes - 1) / kPageBytes] == PageState::kResident;
}

bool HeapReader::Peek(uintptr_t address, void* into, size_t bytes) {
  PageState states[2];
  int pages = PageOf(address) == PageOf(address + bytes - 1) ? 1 : 2;
  Look(address, pages, states);
  if (states[0] != PageState::kResident || states[pages - 1] != PageState::kResident)
    return false;
  if (!Copy(address, kWindowBytes, bytes)) return false;
  memcpy(into, buffer_ + kWindowBytes, bytes);
  return true;
}

const PageState* HeapReader::States(uintptr_t address, int pages) {
  Worked(pages / kLooksPerCopy);
  Look(address, pages, spill_);
  return spill_;
}

Residence HeapReader::Measure(uintptr_t start, uintptr_t end, uintptr_t inner) {
  Residence found;
  if (InHugePages(start)) return found;
  uintptr_t window_end = start_ + static_cast<uintptr_t>(pages_) * kPageBytes;
  for (uintptr_t page = PageOf(start); page < end && !stopped_;) {
    uintptr_t left = (end - page + kPageBytes - 1) / kPageBytes;
    const PageState* states;
    int count;
    if (page >= start_ && page < window_end) {
      count = static_cast<int>(std::min(left, (window_end - page) / kPageBytes));
      states = states_ + (page - start_) / kPageBytes;
    } else {
      count = static_cast<int>(std::min<uintptr_t>(left, kPagesOfWindow));
      states = States(page, count);
    }
    for (int i = 0; i < count; ++i, page += kPageBytes) {
      if (states[i] != PageState::kResident) continue;
      found.bytes += std::min(end, page + kPageBytes) - std::max(start, page);
      if (page >= inner && page + kPageBytes <= end) found.whole_page_bytes += kPageBytes;
    }
  }
  return found;
}

void HeapReader::Gather(const uintptr_t* addresses, int count, size_t bytes,
                        bool* readable) {
  iovec pieces[kMostGathered];
  for (int i = 0; i < count; ++i)
    pieces[i] = {reinterpret_cast<void*>(addresses[i]), bytes};
  Worked(count / kLooksPerCopy);
  pages_ = 0;
  size_t total = static_cast<size_t>(count) * bytes;
  bool whole = way_ == Way::kFile &&
               pwritev(file_, pieces, count, 0) == static_cast<ssize_t>(total);
  for (int i = 0; i < count; ++i) {
    readable[i] = whole || Copy(addresses[i], static_cast<size_t>(i) * bytes, bytes);
  }
}

}  // namespace pymalloc_exporter
