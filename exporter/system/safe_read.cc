#include "exporter/system/safe_read.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>

namespace pymalloc_exporter {
namespace {

// The system calls themselves: under AddressSanitizer the library's functions look at
// what they are given first, and end an application whose memory is not there.
ssize_t WriteFrom(int fd, uintptr_t address, size_t bytes) {
  return syscall(SYS_write, fd, address, bytes);
}
ssize_t WriteFrom(int fd, const iovec* vectors, int count) {
  return syscall(SYS_writev, fd, vectors, count);
}

}  // namespace

SafeReader::SafeReader() {
  if (pipe2(pipe_, O_CLOEXEC | O_NONBLOCK) != 0) pipe_[0] = pipe_[1] = -1;
}

SafeReader::~SafeReader() {
  if (!usable()) return;
  close(pipe_[0]);
  close(pipe_[1]);
}

void SafeReader::Drain(size_t bytes) const {
  char discarded[4096];
  while (bytes > 0) {
    ssize_t taken =
        read(pipe_[0], discarded, bytes < sizeof discarded ? bytes : sizeof discarded);
    if (taken <= 0) return;
    bytes -= static_cast<size_t>(taken);
  }
}

bool SafeReader::Read(uintptr_t address, void* into, size_t bytes) const {
  ssize_t written = WriteFrom(pipe_[1], address, bytes);
  if (written == static_cast<ssize_t>(bytes)) {
    return read(pipe_[0], into, bytes) == static_cast<ssize_t>(bytes);
  }
  if (written > 0) Drain(static_cast<size_t>(written));
  return false;
}

void SafeReader::ReadEach(const uintptr_t* addresses, int count, size_t size, void* into,
                          bool* readable) const {
  iovec pieces[kMostAddresses];
  for (int i = 0; i < count; ++i)
    pieces[i] = {reinterpret_cast<void*>(addresses[i]), size};
  ReadPieces(pieces, count, static_cast<char*>(into), readable);
}

void SafeReader::ReadPieces(const iovec* pieces, int count, char* into,
                            bool* readable) const {
  size_t total = static_cast<size_t>(count) * pieces->iov_len;
  ssize_t written = WriteFrom(pipe_[1], pieces, count);
  bool whole = written == static_cast<ssize_t>(total);
  if (!whole && written > 0) Drain(static_cast<size_t>(written));
  whole = whole && read(pipe_[0], into, total) == written;
  if (whole || count == 1) {
    std::fill_n(readable, count, whole);
    return;
  }
  // One of them is not there, or the pipe is a short one; the kernel does not say which.
  int half = count / 2;
  ReadPieces(pieces, half, into, readable);
  ReadPieces(pieces + half, count - half,
             into + static_cast<size_t>(half) * pieces->iov_len, readable + half);
}

}  // namespace pymalloc_exporter
