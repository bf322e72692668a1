#include "exporter/cpython/at_fork.h"

#include <Python.h>

#include <algorithm>

#include "exporter/cpython/layout.h"
#include "exporter/exporter.h"
#include "exporter/system/clock.h"

namespace pymalloc_exporter {
namespace {

// Hooks of the application may run for this long between the fork and the count.
constexpr Nanoseconds kPatience = 50 * kMillisecond;

Nanoseconds held_at;

// Runs in the main thread between two bytecodes: as soon as the frame that called
// os.fork() executes again, the call has returned and the threads were counted.
int ReleaseOnceReturned(void* forking_frame) {
  Exporter& exporter = Exporter::Instance();
  const void* frame = PyEval_GetFrame();
  bool returned = frame == nullptr || frame == forking_frame;
  bool waited = Now() - std::max(held_at, exporter.forked_at()) > kPatience;
  if (returned || waited || Py_AddPendingCall(ReleaseOnceReturned, forking_frame) != 0)
    exporter.Release();
  return 0;
}

// The release is arranged before the fork: what is written to after it costs the copy of
// a page. Where it cannot be, there is another thread, or nobody who counts.
PyObject* BeforeFork(PyObject*, PyObject*) {
  void* forking_frame = PyEval_GetFrame();
  held_at = Now();
  if (forking_frame != nullptr && pymalloc_exporter_runs_pending_calls() &&
      Py_AddPendingCall(ReleaseOnceReturned, forking_frame) == 0)
    Exporter::Instance().Hold();
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
