#include "exporter/system/page_map.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

namespace pymalloc_exporter {
namespace {

constexpr uint64_t kPageBytes = 4096;
constexpr uint64_t kSwapped = uint64_t{1} << 62;
constexpr uint64_t kWindowPages = 512;

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
    uint64_t count = std::min(kWindowPages, end - page);
    ssize_t wanted = static_cast<ssize_t>(count * sizeof *entries);
    off_t offset = static_cast<off_t>(page * sizeof *entries);
    if (pread(fd_, entries, count * sizeof *entries, offset) != wanted) return true;
    for (uint64_t i = 0; i < count; ++i) {
      if (entries[i] & kSwapped) return true;
    }
    page += count;
  }
  return false;
}

}  // namespace pymalloc_exporter
