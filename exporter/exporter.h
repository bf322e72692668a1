// The exporter of this process: its settings, its one thread, and what forks do to it.
//
// No thread of ours exists while the process forks: a lock held by one would stay locked
// in the child for ever, and later versions of CPython warn of forks with threads. So
// every fork() stops the sampler (and with it the server), and parent and child start it
// again.
//
// Thread safety: any thread. The GIL is neither needed nor taken.

#pragma once

#include <pthread.h>

#include <atomic>
#include <span>

#include "exporter/sampler.h"
#include "exporter/sampler_thread.h"
#include "exporter/system/page_map.h"

namespace pymalloc_exporter {

// What the parent of a fork writes to before its thread works again lies at the
// beginning, in one page: the kernel copies each page that is written to after a fork.
class alignas(kPageBytes) Exporter {
 public:
  // The one of this process. Never destroyed.
  static Exporter& Instance();

  // Begins to sample with this crew. Once a process: later calls do nothing. False with
  // one line in `error` (at most 200 bytes) if there can be no thread.
  bool Start(const Settings& settings, const Crew& crew, char* error);
  bool started() const { return started_; }

  // Between these two no thread of ours exists, in addition to the time of the fork
  // itself.
  void Hold();
  void Release();
  bool held();
  // When this process last forked; 0: never.
  Nanoseconds forked_at() const { return sampler_.forked_at(); }

  // The interpreter was finalized, which mostly precedes the end of the process (or,
  // false, there is one again). Lets the leader tell an announced end from a sudden one.
  void SetGoodbye(bool goodbye) { sampler_.SetGoodbye(goodbye); }

 private:
  Exporter() : thread_(&sampler_) {}

  void Resume();
  void BeforeFork();
  void AfterForkInParent();
  void AfterForkInChild();

  std::atomic<bool> started_{false};
  bool reported_ = false;  // that no thread could be started
  pthread_mutex_t lifecycle_ = PTHREAD_MUTEX_INITIALIZER;  // held across a fork
  int holds_ = 0;
  SamplerThread thread_;
  Sampler sampler_;
};

}  // namespace pymalloc_exporter
