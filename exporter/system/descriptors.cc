#include "exporter/system/descriptors.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "exporter/system/filters.h"

namespace pymalloc_exporter {
namespace {

// Any signal would do: it stays blocked. Its default is to be ignored, in case one is
// left.
constexpr int kWakeSignal = SIGURG;

constexpr unsigned kCloseRangeUnshare = 1u << 1;  // linux/close_range.h
constexpr unsigned kMostDescriptors = 1u << 20;

bool CloseRange(unsigned flags) {
  return Survives(UnusualCall::kCloseRange) &&
         syscall(SYS_close_range, 0u, ~0u, flags) == 0;
}

void CloseEach() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  unsigned end = limit.rlim_max < kMostDescriptors ? limit.rlim_max : kMostDescriptors;
  for (unsigned fd = 0; fd < end; ++fd) close(static_cast<int>(fd));
}

}  // namespace

DescriptorTable OwnDescriptors() {
  if (CloseRange(kCloseRangeUnshare)) return DescriptorTable::kOwn;
  if (!Survives(UnusualCall::kUnshare) || unshare(CLONE_FILES) != 0)
    return DescriptorTable::kShared;
  if (!CloseRange(0)) CloseEach();
  return DescriptorTable::kOwn;
}

void TakeStandardNumbers(int harmless) {
  int fd = harmless >= 0 ? harmless : open("/dev/null", O_RDWR | O_CLOEXEC);
  while (fd >= 0 && fd < STDERR_FILENO) fd = fcntl(fd, F_DUPFD_CLOEXEC, fd + 1);
}

void MakeRoomForDescriptors(int fd, int count) {
  for (int last = count - 1; last > fd; last /= 2) {
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, last);
    if (copy < 0) continue;
    close(copy);
    return;
  }
}

int OpenWakeDescriptor() {
  if (!Survives(UnusualCall::kSignalfd)) return -1;
  sigset_t wake;
  sigemptyset(&wake);
  sigaddset(&wake, kWakeSignal);
  return signalfd(-1, &wake, SFD_CLOEXEC | SFD_NONBLOCK);
}

void WakeThread(pid_t thread) { syscall(SYS_tgkill, getpid(), thread, kWakeSignal); }

}  // namespace pymalloc_exporter
