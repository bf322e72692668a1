#include "exporter/cpython/at_fork.h"

#include <Python.h>
#include <unistd.h>

#include "exporter/cpython/layout.h"
#include "exporter/exporter.h"
#include "exporter/system/clock.h"

namespace pymalloc_exporter {
namespace {

// Hooks of the application may run for this long between the fork and the count.
constexpr Nanoseconds kPatience = 50 * kMillisecond;

const void* forking_frame;
Nanoseconds forked_at;

// Runs in the main thread between two bytecodes: as soon as the frame that called
// os.fork() executes again, the call has returned and the threads were counted.
int ReleaseOnceReturned(void*) {
  bool returned = pymalloc_exporter_forking_frame() == forking_frame;
  bool waited = Now() - forked_at > kPatience;
  if (returned || waited || Py_AddPendingCall(ReleaseOnceReturned, nullptr) != 0) {
    Exporter::Instance().Release();
  }
  return 0;
}

}  // namespace

bool ReleaseOnceCounted() {
  // Only the main thread runs pending calls; where another one forks there are two
  // threads, with us or without. A fork of native code's is not counted, but its caller
  // returns to the frame as well; where there is none it may never run Python again.
  const void* frame = pymalloc_exporter_forking_frame();
  if (frame == nullptr || gettid() != getpid()) return false;
  forking_frame = frame;
  forked_at = Now();
  return Py_AddPendingCall(ReleaseOnceReturned, nullptr) == 0;
}

}  // namespace pymalloc_exporter
