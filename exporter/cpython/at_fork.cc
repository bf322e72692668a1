#include "exporter/cpython/at_fork.h"

#include <Python.h>

#include "exporter/cpython/layout.h"
#include "exporter/exporter.h"
#include "exporter/system/clock.h"

namespace pymalloc_exporter {
namespace {

// Hooks of the application may run for so long between ours and the fork, and between the
// fork and the count.
constexpr Nanoseconds kPatienceBefore = kSecond;
constexpr Nanoseconds kPatienceAfter = 50 * kMillisecond;

Nanoseconds held_at;  // the main thread's

bool Waited(Nanoseconds forked_at) {
  bool forked = forked_at >= held_at;
  return Now() - (forked ? forked_at : held_at) >
         (forked ? kPatienceAfter : kPatienceBefore);
}

// Runs in the main thread between two bytecodes: as soon as the frame that called
// os.fork() executes again, the call has returned and the threads were counted. Another
// frame may have its address only once it is gone. A child inherits the call without the
// hold.
int ReleaseOnceReturned(void* forking_frame) {
  Exporter& exporter = Exporter::Instance();
  if (!exporter.held()) return 0;
  const void* frame = PyEval_GetFrame();
  bool returned = frame == nullptr || frame == forking_frame;
  if (returned || Waited(exporter.forked_at()) ||
      Py_AddPendingCall(ReleaseOnceReturned, forking_frame) != 0)
    exporter.Release();
  return 0;
}

// The release is arranged before the fork: what is written to after it costs the copy of
// a page. Nothing is held where it cannot be: in another thread (there are two then, with
// us or without), in a subinterpreter, called by no Python code, or when there are too
// many pending calls already.
PyObject* BeforeFork(PyObject*, PyObject*) {
  void* forking_frame = PyEval_GetFrame();
  if (forking_frame != nullptr && pymalloc_exporter_runs_pending_calls() &&
      Py_AddPendingCall(ReleaseOnceReturned, forking_frame) == 0) {
    Exporter::Instance().Hold();
    held_at = Now();
  }
  Py_RETURN_NONE;
}

PyMethodDef before_fork = {"before_fork", BeforeFork, METH_NOARGS, nullptr};

bool Register(PyObject* posix, PyObject* before) {
  PyObject* function = PyObject_GetAttrString(posix, "register_at_fork");
  PyObject* names = Py_BuildValue("{sO}", "before", before);
  PyObject* nothing = PyTuple_New(0);
  PyObject* result = nullptr;
  if (function != nullptr && names != nullptr && nothing != nullptr) {
    result = PyObject_Call(function, nothing, names);
  }
  Py_XDECREF(function);
  Py_XDECREF(names);
  Py_XDECREF(nothing);
  Py_XDECREF(result);
  return result != nullptr;
}

}  // namespace

bool RegisterForkHook() {
  if (!pymalloc_exporter_layout.counts_threads) return true;
  PyObject* posix = PyImport_ImportModule("posix");
  PyObject* before = PyCFunction_New(&before_fork, nullptr);
  bool registered = posix != nullptr && before != nullptr && Register(posix, before);
  Py_XDECREF(posix);
  Py_XDECREF(before);
  return registered;
}

}  // namespace pymalloc_exporter
