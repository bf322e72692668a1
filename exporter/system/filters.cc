#include "exporter/system/filters.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>

#include "exporter/system/files.h"
#include "exporter/system/page_map_scan.h"

namespace pymalloc_exporter {
namespace {

constexpr int kCalls = static_cast<int>(UnusualCall::kCount);
constexpr uint32_t kUnknownFilters = 0;

// What was found out under so many filters; a bit a call that kills.
std::atomic<uint64_t> verdict{kUnknownFilters};

uint64_t Verdict(uint32_t filters, uint32_t deadly) {
  return uint64_t{filters} << 32 | deadly;
}

// 0 where there is none. Linux before 5.9 does not say how many.
uint32_t Filters() {
  if (prctl(PR_GET_SECCOMP) != SECCOMP_MODE_FILTER) return 0;
  char buffer[4096];
  uint64_t filters = 0;
  FindNumber(ReadFile("/proc", "thread-self/status", buffer, sizeof buffer),
             "Seccomp_filters:", &filters);
  return filters == 0 ? 1 : static_cast<uint32_t>(filters);
}

// In the child, whose descriptors are copies: as harmless as it is useless.
void Make(UnusualCall call) {
  switch (call) {
    case UnusualCall::kCloseRange:
      syscall(SYS_close_range, 0u, ~0u, 1u << 1);  // CLOSE_RANGE_UNSHARE
      break;
    case UnusualCall::kUnshare:
      syscall(SYS_unshare, CLONE_FILES);
      break;
    case UnusualCall::kMemfdCreate:
      syscall(SYS_memfd_create, "pymalloc_exporter", MFD_CLOEXEC | MFD_ALLOW_SEALING);
      break;
    case UnusualCall::kSeals:
      syscall(SYS_fcntl, -1, F_ADD_SEALS, F_SEAL_SHRINK);
      syscall(SYS_fcntl, -1, F_GET_SEALS);
      break;
    case UnusualCall::kFallocate:
      syscall(SYS_fallocate, -1, 0, 0L, 4096L);
      break;
    case UnusualCall::kSignalfd:
      syscall(SYS_signalfd4, -1, nullptr, 0L, O_CLOEXEC | O_NONBLOCK);
      break;
    case UnusualCall::kPidfdOpen:
      syscall(SYS_pidfd_open, static_cast<int>(syscall(SYS_getpid)), 0);
      break;
    case UnusualCall::kPidfdGetfd:
      syscall(SYS_pidfd_getfd, -1, 2, 0);
      break;
    case UnusualCall::kMincore:
      syscall(SYS_mincore, nullptr, 0L, nullptr);
      break;
    case UnusualCall::kRobustList:
      syscall(SYS_get_robust_list, 0, nullptr, nullptr);
      break;
    case UnusualCall::kPageMapScan:
      syscall(SYS_ioctl, -1, kPageMapScan, nullptr);
      break;
    case UnusualCall::kCount:
      break;
  }
}

// Runs in the child until it is killed or through. Nothing but system calls.
[[noreturn]] void MakeAll(std::atomic<int>& reached) {
  prctl(PR_SET_DUMPABLE, 0);  // its own: no core is left behind
  for (int call = reached; call < kCalls; ++call) {
    reached = call;
    Make(static_cast<UnusualCall>(call));
  }
  reached = kCalls;
  for (;;) syscall(SYS_exit_group, 0);
}

// The calls from `reached` on in one child; false if there can be none.
bool TryFrom(std::atomic<int>& reached) {
  long child = syscall(SYS_clone, CLONE_VFORK, nullptr, nullptr, nullptr, nullptr);
  if (child == 0) MakeAll(reached);
  return child > 0 && waitpid(static_cast<pid_t>(child), nullptr, __WALL) == child;
}

uint32_t TryEach() {
  void* memory =
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return ~0u;
  auto& reached = *static_cast<std::atomic<int>*>(memory);
  uint32_t deadly = 0;
  while (reached < kCalls) {
    if (!TryFrom(reached)) {
      deadly = ~0u;
      break;
    }
    if (reached >= kCalls) break;
    deadly |= 1u << reached;
    ++reached;
  }
  munmap(memory, 4096);
  return deadly;
}

// A signal to the process group must not run the application's handlers in the child.
uint32_t TryEachUndisturbed() {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  uint32_t deadly = TryEach();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return deadly;
}

}  // namespace

bool Survives(UnusualCall call) {
  uint32_t filters = Filters();
  if (filters == 0) return true;
  uint64_t known = verdict;
  if (known >> 32 != filters) verdict = known = Verdict(filters, TryEachUndisturbed());
  return (known >> static_cast<int>(call) & 1) == 0;
}

}  // namespace pymalloc_exporter
