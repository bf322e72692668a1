#include "exporter/system/page_map.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

namespace pymalloc_exporter {

PageMap::~PageMap() {
  if (fd_ >= 0) close(fd_);
}

bool PageMap::Open(const char* path) {
  fd_ = open(path, O_RDONLY | O_CLOEXEC);
  return is_open();
}

bool PageMap::Read(uintptr_t address, int count, uint64_t* entries) const {
  size_t bytes = static_cast<size_t>(count) * sizeof *entries;
  auto offset = static_cast<off_t>(address / kPageBytes * sizeof *entries);
  return pread(fd_, entries, bytes, offset) == static_cast<ssize_t>(bytes);
}

bool PageMap::AnySwapped(uintptr_t address, uint64_t bytes) const {
  uint64_t entries[kPagesOfWindow];
  uint64_t end = (address + bytes + kPageBytes - 1) / kPageBytes;
  for (uint64_t page = address / kPageBytes; page < end;) {
    int count = static_cast<int>(std::min<uint64_t>(kPagesOfWindow, end - page));
    if (!Read(page * kPageBytes, count, entries)) return true;
    if (std::any_of(entries, entries + count, IsSwapped)) return true;
    page += static_cast<uint64_t>(count);
  }
  return false;
}

void PageMap::FindWritten(uintptr_t address, int count, bool* written) const {
  uint64_t entries[kPagesOfWindow];
  bool known = Read(address, count, entries);
  for (int i = 0; i < count; ++i) {
    bool there = (entries[i] & kEntryIsPresent) != 0 || IsSwapped(entries[i]);
    written[i] = !known || (there && (entries[i] & kEntryIsOfFile) == 0);
  }
}

}  // namespace pymalloc_exporter
