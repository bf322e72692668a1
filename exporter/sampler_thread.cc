#include "exporter/sampler_thread.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "exporter/system/clock.h"
#include "exporter/system/descriptors.h"
#include "exporter/system/own_memory.h"

namespace pymalloc_exporter {
namespace {

// Of our own, so that neither a large default nor a small one of the application's
// matters.
constexpr size_t kStackBytes = 512 * 1024;
constexpr size_t kGuardBytes = 4096;

constexpr Nanoseconds kStopPatience = kSecond;
constexpr Nanoseconds kVanishPatience = 100 * kMillisecond;
constexpr int kYields = 100;

void* MakeStack() {
  void* stack = mmap(nullptr, kGuardBytes + kStackBytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
  if (stack == MAP_FAILED) return nullptr;
  mprotect(stack, kGuardBytes, PROT_NONE);
  NoteOwnMemory(static_cast<char*>(stack) + kGuardBytes, kStackBytes);
  return stack;
}

class AllSignalsBlocked {
 public:
  AllSignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~AllSignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

// A joined thread may still be listed, and counted, for a moment.
void WaitUntilVanished(pid_t thread) {
  Nanoseconds deadline = Now() + kVanishPatience;
  for (int i = 0; syscall(SYS_tgkill, getpid(), thread, 0) == 0 && Now() < deadline;
       ++i) {
    // It is all but gone; a timer would wait for longer than it takes.
    i < kYields ? static_cast<void>(sched_yield()) : Sleep(50 * kMicrosecond);
  }
}

// Until `word` is no longer `value`, it is woken, or the time is over.
template <typename Word>
void FutexWait(const std::atomic<Word>& word, Word value, Nanoseconds time) {
  static_assert(sizeof word == sizeof(uint32_t) &&
                std::atomic<Word>::is_always_lock_free);
  if (time <= 0) return;
  timespec timeout = ToTimespec(time);
  syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, static_cast<uint32_t>(value), &timeout);
}

// Whether somebody waited.
template <typename Word>
bool FutexWake(const std::atomic<Word>& word) {
  return syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1) > 0;
}

}  // namespace

void* SamplerThread::Main(void* self) {
  auto& thread = *static_cast<SamplerThread*>(self);
  thread.written_ = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  thread.id_ = static_cast<pid_t>(syscall(SYS_gettid));
  FutexWait(thread.phase_, Phase::kRunning, thread.sampler_.SettleTime());
  Phase stopping;
  do {
    if (!thread.sampler_.stop()) thread.sampler_.Run();
    stopping = Phase::kStopping;
  } while (!thread.sampler_.off() &&
           !thread.phase_.compare_exchange_strong(stopping, Phase::kLeft));
  return nullptr;
}

bool SamplerThread::Create() {
  if (stack_ == nullptr) stack_ = MakeStack();
  id_ = 0;
  sampler_.stop() = false;
  phase_ = Phase::kRunning;
  uintptr_t offset = written_ - reinterpret_cast<uintptr_t>(stack_);
  if (offset >= kGuardBytes && offset < kGuardBytes + kStackBytes) {
    auto* stack = static_cast<volatile char*>(stack_);
    stack[offset] = stack[offset];
  }
  AllSignalsBlocked blocked;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  if (stack_ != nullptr) {
    pthread_attr_setstack(&attributes, static_cast<char*>(stack_) + kGuardBytes,
                          kStackBytes);
  }
  int failed = pthread_create(&handle_, &attributes, Main, this);
  // A library with very large thread-local data: the system's default stack holds it.
  if (failed == EINVAL) failed = pthread_create(&handle_, nullptr, Main, this);
  pthread_attr_destroy(&attributes);
  return failed == 0;
}

bool SamplerThread::Start() {
  if (sampler_.off()) return true;
  if (exists_) {
    sampler_.stop() = false;
    Phase stopping = Phase::kStopping;
    if (phase_ == Phase::kRunning) return true;
    if (phase_.compare_exchange_strong(stopping, Phase::kRunning)) return true;
    if (!Join()) return false;
  }
  exists_ = Create();
  return exists_;
}

bool SamplerThread::Join() {
  timespec deadline = ToTimespec(Now() + kStopPatience);
  if (pthread_clockjoin_np(handle_, nullptr, CLOCK_MONOTONIC, &deadline) != 0)
    return false;
  WaitUntilVanished(id_);
  exists_ = false;
  return true;
}

void SamplerThread::Stop() {
  if (!exists_) return;
  // In this order: one that is woken by the phase looks at the flag.
  sampler_.stop() = true;
  phase_ = Phase::kStopping;
  bool woken = FutexWake(phase_);
  // One that has no id yet looks at the flag before it sleeps.
  if (!woken && id_ != 0 && !sampler_.off()) WakeThread(id_);
  Join();
}

void SamplerThread::Forget() {
  exists_ = false;
  phase_ = Phase::kLeft;
}

}  // namespace pymalloc_exporter
