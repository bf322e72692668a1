// A descriptor table of our own, and a way to wake a thread that has one.
//
// A thread of ours shares no descriptor with the application: no child of any kind
// inherits a socket of ours, no daemoniser can close one, no number can be confused.

#pragma once

#include <sys/types.h>

namespace pymalloc_exporter {

// How far the calling thread's descriptors are apart from the application's.
enum class DescriptorTable {
  kOwn,     // a table of its own, empty
  kShared,  // both system calls were refused: the application's table
};

// Gives the calling thread an empty descriptor table (close_range with
// CLOSE_RANGE_UNSHARE, Linux 5.9; else unshare(CLONE_FILES) and close each).
DescriptorTable OwnDescriptors();

// Gives what is left of the numbers 0 to 2 in the calling thread's own table to copies of
// `harmless`, or of /dev/null if that is -1: what the C library or a sanitizer has to say
// on a thread of ours would be written into whatever had the number of standard error.
void TakeStandardNumbers(int harmless);

// Makes room for `count` descriptors in the calling thread's table, or for as many of
// them as the limit allows. A table that grows while several threads have it waits for
// them in the kernel (an RCU grace period, 10 to 40 ms): call before they are started.
// `fd`: any open descriptor.
void MakeRoomForDescriptors(int fd, int count);

// A descriptor that polls readable once WakeThread() was called for the calling thread;
// -1 where signalfd(2) is refused. It is never read: what wakes is a thread-directed,
// blocked signal, which runs no handler, is seen by no other thread and ends with the
// thread. REQUIRES: all signals are blocked in the calling thread.
int OpenWakeDescriptor();
void WakeThread(pid_t thread);

}  // namespace pymalloc_exporter
