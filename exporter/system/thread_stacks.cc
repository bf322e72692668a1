#include "exporter/system/thread_stacks.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "exporter/system/filters.h"

namespace pymalloc_exporter {
namespace {

// How far the stack's place may lie from the robust list; struct pthread has 2304 bytes.
constexpr ptrdiff_t kFarthest = 2048;
constexpr uint64_t kLargestStack = uint64_t{1} << 36;
constexpr uint64_t kPageMask = 4095;

// An address inside the thread's record; 0 if the kernel tells none.
uintptr_t RobustList(int thread) {
  uintptr_t head = 0;
  size_t length = 0;
  if (!Survives(UnusualCall::kRobustList)) return 0;
  long failed = syscall(SYS_get_robust_list, thread, &head, &length);
  return failed == 0 ? head : 0;
}

bool IsOwnStack(uintptr_t start, uintptr_t bytes) {
  auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  if (here < start || here - start >= bytes) return false;
  for (int i = 0; i < OwnMemoryCount(); ++i) {
    AddressRange range = OwnMemory(i);
    if (range.start == start && range.end == start + bytes) return true;
  }
  return false;
}

struct DirectoryRecord {
  uint64_t inode;
  int64_t offset;
  uint16_t length;
  uint8_t type;
  char name[];
};

// Calls visit(number) for each entry of the folder that is a number.
template <typename Visit>
bool ForEachNumber(const char* path, Visit visit) {
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return false;
  alignas(8) char records[4096];
  long bytes;
  while ((bytes = syscall(SYS_getdents64, fd, records, sizeof records)) > 0) {
    for (long at = 0; at < bytes;) {
      const auto* record = reinterpret_cast<const DirectoryRecord*>(records + at);
      uint64_t number;
      if (ParseNumber(record->name, &number)) visit(static_cast<int>(number));
      at += record->length;
    }
  }
  close(fd);
  return bytes == 0;
}

}  // namespace

// The one pair of words in the own record that says where the own stack is.
bool ThreadStacks::Learn() {
  auto list = static_cast<intptr_t>(RobustList(0));
  if (list == 0) return false;
  int found = 0;
  for (ptrdiff_t at = -kFarthest; at < kFarthest; at += 8) {
    // The record lies at the upper end of a stack of this process' own making.
    uintptr_t place = static_cast<uintptr_t>(list + at);
    if ((place & ~kPageMask) != (static_cast<uintptr_t>(list) & ~kPageMask)) continue;
    const auto* words = reinterpret_cast<const uintptr_t*>(place);
    if ((place & kPageMask) > kPageMask - 16 || !IsOwnStack(words[0], words[1])) continue;
    offset_ = at;
    ++found;
  }
  if (found != 1) offset_ = 0;
  return found == 1;
}

void ThreadStacks::Add(int thread, const SafeReader& reader) {
  uintptr_t list = RobustList(thread);
  uintptr_t words[2];
  if (list == 0 || count_ == kMostThreads ||
      !reader.Read(list + static_cast<uintptr_t>(offset_), words, sizeof words)) {
    return;
  }
  bool plausible = words[0] != 0 && (words[1] & kPageMask) == 0 && words[1] != 0 &&
                   words[1] <= kLargestStack && list >= words[0] &&
                   list - words[0] < words[1];
  if (plausible && !IsOwnStack(words[0], words[1])) {
    ranges_[count_++] = {words[0], words[0] + words[1]};
  }
}

bool ThreadStacks::Find(const KernelPaths& paths, const SafeReader& reader) {
  count_ = 0;
  if (offset_ == 0 && !Learn()) return false;
  char path[512];
  snprintf(path, sizeof path, "%s/self/task", paths.proc);
  bool read = ForEachNumber(path, [&](int thread) { Add(thread, reader); });
  std::sort(ranges_, ranges_ + count_, [](const AddressRange& a, const AddressRange& b) {
    return a.start < b.start;
  });
  return read;
}

}  // namespace pymalloc_exporter
