// The one thread, started and stopped by the application's threads around forks.
//
// REQUIRES: calls are serialised by the caller. No GIL.

#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>

#include "exporter/sampler.h"

namespace pymalloc_exporter {

class SamplerThread {
 public:
  // A pointer: the sampler may be made later.
  explicit SamplerThread(Sampler* sampler) : sampler_(*sampler) {}

  // False if no thread can be had now. All signals are blocked in the thread.
  bool Start();

  // Returns when the thread has vanished from the process, or after a second: then it is
  // stuck in the kernel, ends by itself, and the next Start() takes it up again.
  void Stop();

  // In a forked child: the thread stayed behind in the parent.
  void Forget();

 private:
  enum class Phase : uint32_t { kRunning, kStopping, kLeft };

  static void* Main(void* self);
  bool Create();
  bool Join();

  Sampler& sampler_;
  pthread_t handle_{};
  bool exists_ = false;
  std::atomic<Phase> phase_{Phase::kLeft};
  std::atomic<pid_t> id_{0};
  void* stack_ = nullptr;
  // What the last thread's body wrote to, in stack_; 0: none ran. After a fork a page is
  // copied when it is first written to: better before the thread exists, when no other
  // processor has to be told.
  std::atomic<uintptr_t> written_{0};
};

}  // namespace pymalloc_exporter
