// Seccomp filters that kill: which of the system calls that they like to forbid may be
// made at all.
//
// A call that a filter refuses is an error, and each caller has another way; one for
// which it kills would take the application along. So where a filter is in force, each of
// these calls is first made by a child process that shares nothing and tells nobody of
// its end (no SIGCHLD). It has memory of its own: before Linux 5.16 the core dump of a
// process kills all that share its memory.
//
// Thread safety: any thread. No GIL, no malloc. Costs a system call where there is no
// filter; the first time with one, and when another is added, as much as a fork.

#pragma once

#include <cstdint>

namespace pymalloc_exporter {

enum class UnusualCall {
  kCloseRange,
  kUnshare,
  kMemfdCreate,
  kSeals,
  kFallocate,
  kSignalfd,
  kPidfdOpen,
  kPidfdGetfd,
  kMincore,
  kRobustList,
  kPageMapScan,
  kCount
};

// Whether the call does not kill the calling thread. It may still fail.
bool Survives(UnusualCall call);

}  // namespace pymalloc_exporter
