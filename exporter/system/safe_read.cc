#include "exporter/system/safe_read.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

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
  iovec vectors[kMostAddresses];
  for (int i = 0; i < count; ++i)
    vectors[i] = {reinterpret_cast<void*>(addresses[i]), size};
  ssize_t total = static_cast<ssize_t>(static_cast<size_t>(count) * size);
  ssize_t written = WriteFrom(pipe_[1], vectors, count);
  if (written == total && read(pipe_[0], into, static_cast<size_t>(total)) == total) {
    for (int i = 0; i < count; ++i) readable[i] = true;
    return;
  }
  // One of them is not there; the kernel does not say which.
  if (written > 0) Drain(static_cast<size_t>(written));
  for (int i = 0; i < count; ++i) {
    readable[i] = Read(addresses[i],
                       static_cast<char*>(into) + static_cast<size_t>(i) * size, size);
  }
}

}  // namespace pymalloc_exporter
