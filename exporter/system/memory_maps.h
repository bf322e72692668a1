// The mappings of the own process, one after the other, from /proc/self/maps.
//
// Source: proc(5): "start-end perms offset device inode  name". The kernel holds the
// address space's lock while it writes a piece, so pieces are small: some 40 lines.
// Thread safety: one thread. No GIL, no malloc. The parser is pure.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "exporter/system/files.h"

namespace pymalloc_exporter {

struct Mapping {
  enum class Name : uint8_t {
    kNone,
    kHeap,
    kStack,
    kKernel,     // vdso and the like
    kHugePages,  // anonymous memory in reserved huge pages, no part of RSS
  };

  uintptr_t start = 0;
  uintptr_t end = 0;
  bool readable = false;
  bool writable = false;
  bool executable = false;
  bool shared = false;
  bool of_file = false;
  Name name = Name::kNone;

  uint64_t bytes() const { return end - start; }
};

// False on text that is no line of maps.
bool ParseMapping(std::string_view line, Mapping* out);

// The lowest at which anything is mapped now: an executable's, or a library's. 0 where
// that cannot be told.
uintptr_t LowestAddress();

class MapsReader {
 public:
  MapsReader() = default;
  ~MapsReader();
  MapsReader(const MapsReader&) = delete;
  MapsReader& operator=(const MapsReader&) = delete;

  bool Open(const KernelPaths& paths);

  // Whether Next() is going to ask the kernel for another piece.
  bool NeedsPiece() const;

  // The next mapping; false at the end, or where the text made no sense (`failed()`).
  bool Next(Mapping* out);
  bool failed() const { return failed_; }

 private:
  static constexpr size_t kPieceBytes = 4096;

  bool ReadPiece();
  std::string_view Line() const;

  int fd_ = -1;
  bool ended_ = false;
  bool failed_ = false;
  size_t at_ = 0;
  size_t filled_ = 0;
  char text_[3 * kPieceBytes];  // a line holds a path of 4096 bytes at most
};

}  // namespace pymalloc_exporter
