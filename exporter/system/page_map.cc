#include "exporter/system/page_map.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

namespace pymalloc_exporter {
namespace {

constexpr uint64_t kFileOrShared = uint64_t{1} << 61;

}  // namespace

PageMap::~PageMap() {
  if (fd_ >= 0) close(fd_);
}

bool PageMap::Open() {
  fd_ = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  return fd_ >= 0;
}

bool PageMap::AnySwapped(uintptr_t address, uint64_t bytes) const {
  uint64_t entries[kWindowPages];
  uint64_t end = (address + bytes + kPageBytes - 1) / kPageBytes;
  for (uint64_t page = address / kPageBytes; page < end;) {
    int count = static_cast<int>(std::min<uint64_t>(kWindowPages, end - page));
    if (!Read(page, count, entries)) return true;
    for (int i = 0; i < count; ++i) {
      if (IsSwapped(entries[i])) return true;
    }
    page += static_cast<uint64_t>(count);
  }
  return false;
}

void PageMap::FindWritten(uintptr_t address, int count, bool* written) const {
  uint64_t entries[kWindowPages];
  bool known = Read(address / kPageBytes, count, entries);
  for (int i = 0; i < count; ++i) {
    bool there = (entries[i] & kEntryIsPresent) != 0 || IsSwapped(entries[i]);
    written[i] = !known || (there && (entries[i] & kFileOrShared) == 0);
  }
}

bool PageMap::Read(uint64_t page, int count, uint64_t* entries) const {
  size_t bytes = static_cast<size_t>(count) * sizeof *entries;
  off_t offset = static_cast<off_t>(page * sizeof *entries);
  return pread(fd_, entries, bytes, offset) == static_cast<ssize_t>(bytes);
}

}  // namespace pymalloc_exporter
