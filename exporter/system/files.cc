#include "exporter/system/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstring>

namespace pymalloc_exporter {
namespace {

int OpenIn(const char* directory, const char* name, int flags) {
  char path[512];
  int length = snprintf(path, sizeof path, "%s/%s", directory, name);
  if (length < 0 || length >= static_cast<int>(sizeof path)) return -1;
  return open(path, O_RDONLY | O_CLOEXEC | flags);
}

// The kernel's record behind getdents64(2).
struct DirectoryRecord {
  uint64_t inode;
  int64_t offset;
  uint16_t length;
  uint8_t type;
  char name[];
};

bool IsDots(const char* name) {
  return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

int64_t CountRecords(int fd) {
  alignas(8) char records[8192];
  int64_t count = 0;
  for (;;) {
    long bytes = syscall(SYS_getdents64, fd, records, sizeof records);
    if (bytes < 0) return -1;
    if (bytes == 0) return count;
    for (long at = 0; at < bytes;) {
      const auto* record = reinterpret_cast<const DirectoryRecord*>(records + at);
      if (!IsDots(record->name)) ++count;
      at += record->length;
    }
  }
}

}  // namespace

std::string_view ReadFile(const char* directory, const char* name, char* buffer,
                          size_t capacity) {
  int fd = OpenIn(directory, name, 0);
  if (fd < 0) return {};
  size_t length = 0;
  while (length < capacity) {
    ssize_t bytes = read(fd, buffer + length, capacity - length);
    if (bytes <= 0) break;
    length += static_cast<size_t>(bytes);
  }
  close(fd);
  return {buffer, length};
}

int64_t CountEntries(const char* directory, const char* name) {
  int fd = OpenIn(directory, name, O_DIRECTORY);
  if (fd < 0) return -1;
  // From Linux 6.2 on the size of /proc/PID/fd is the number of descriptors.
  struct stat status;
  int64_t count =
      fstat(fd, &status) == 0 && status.st_size > 0 ? status.st_size : CountRecords(fd);
  close(fd);
  return count;
}

bool ParseNumber(std::string_view text, uint64_t* value) {
  size_t start = text.find_first_not_of(" \t");
  if (start == text.npos) return false;
  const char* end = text.data() + text.size();
  return std::from_chars(text.data() + start, end, *value).ec == std::errc();
}

bool FindNumber(std::string_view text, std::string_view key, uint64_t* value) {
  for (size_t at = 0; at < text.size();) {
    std::string_view line = text.substr(at, text.find('\n', at) - at);
    if (line.starts_with(key)) return ParseNumber(line.substr(key.size()), value);
    at += line.size() + 1;
  }
  return false;
}

}  // namespace pymalloc_exporter
