// Copying memory that may not be there: an error instead of a crash.
//
// The kernel copies: the bytes are written into a pipe and read back, which pins no page
// and un-shares none (process_vm_readv does). A window that is not wholly readable is
// refused.

#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>

namespace pymalloc_exporter {

class SafeReader {
 public:
  static constexpr int kMostAddresses = 512;

  SafeReader();
  ~SafeReader();
  SafeReader(const SafeReader&) = delete;
  SafeReader& operator=(const SafeReader&) = delete;

  // False where the process may open no more descriptors.
  bool usable() const { return pipe_[0] >= 0; }

  // Copies `bytes` (at most 4096) from `address`.
  bool Read(uintptr_t address, void* into, size_t bytes) const;

  // Copies `size` bytes from each of `count` addresses (1 to kMostAddresses) into `into`;
  // readable[i] tells which were there.
  void ReadEach(const uintptr_t* addresses, int count, size_t size, void* into,
                bool* readable) const;

 private:
  void Drain(size_t bytes) const;
  void ReadPieces(const iovec* pieces, int count, char* into, bool* readable) const;

  int pipe_[2];
};

}  // namespace pymalloc_exporter
