// Reading small kernel files, without malloc and without a FILE.
//
// Thread safety: no state. No GIL. Errors are values.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pymalloc_exporter {

// Where kernel files are found. Tests point it at captured ones.
struct KernelPaths {
  const char* proc = "/proc";
  const char* cgroup = "/sys/fs/cgroup";
};

// Reads at most `capacity` bytes of `directory`/`name` into `buffer`; the text read,
// empty if it cannot be opened or read (errno tells). A longer file is cut.
std::string_view ReadFile(const char* directory, const char* name, char* buffer,
                          size_t capacity);

// The entries of a directory, without "." and ".."; -1 if it cannot be read.
int64_t CountEntries(const char* directory, const char* name);

// The unsigned number at the start of `text`, blanks skipped; false if there is none.
bool ParseNumber(std::string_view text, uint64_t* value);

// The number behind `key` where a line of `text` starts with it: "VmRSS:\t  123 kB".
bool FindNumber(std::string_view text, std::string_view key, uint64_t* value);

}  // namespace pymalloc_exporter
