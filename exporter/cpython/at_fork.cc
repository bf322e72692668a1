#include "exporter/cpython/at_fork.h"

#include <Python.h>
#include <unistd.h>

#include "exporter/cpython/layout.h"
#include "exporter/exporter.h"
#include "exporter/system/clock.h"

namespace pymalloc_exporter {
namespace {

// Hooks of the application may run for this long between ours and the count.
constexpr Nanoseconds kPatience = 50 * kMillisecond;

const void* forking_frame;
Nanoseconds forked_at;

// Runs in the main thread between two bytecodes: as soon as the frame that called
// os.fork() executes again, the call has returned and the threads were counted.
int ReleaseOnceReturned(void*) {
  const void* frame = pymalloc_exporter_current_frame();
  bool returned = frame == nullptr || frame == forking_frame;
  bool waited = Now() - forked_at > kPatience;
  if (returned || waited || Py_AddPendingCall(ReleaseOnceReturned, nullptr) != 0) {
    Exporter::Instance().Release();
  }
  return 0;
}

void ReleaseLater() {
  forking_frame = pymalloc_exporter_current_frame();
  forked_at = Now();
  // Only the main thread runs pending calls; where another one forks there are two
  // threads, with us or without.
  bool main_thread = gettid() == getpid();
  if (!main_thread || Py_AddPendingCall(ReleaseOnceReturned, nullptr) != 0) {
    Exporter::Instance().Release();
  }
}

PyObject* BeforeFork(PyObject*, PyObject*) {
  Exporter::Instance().Hold();
  Py_RETURN_NONE;
}

PyObject* AfterForkInParent(PyObject*, PyObject*) {
  if (pymalloc_exporter_layout.fork_count == kCountedAfterHooks) {
    ReleaseLater();
  } else {
    Exporter::Instance().Release();
  }
  Py_RETURN_NONE;
}

PyMethodDef before_fork = {"before_fork", BeforeFork, METH_NOARGS, nullptr};
PyMethodDef after_fork = {"after_fork", AfterForkInParent, METH_NOARGS, nullptr};

bool Register(PyObject* posix, PyObject* before, PyObject* after) {
  PyObject* function = PyObject_GetAttrString(posix, "register_at_fork");
  PyObject* names = Py_BuildValue("{sOsO}", "before", before, "after_in_parent", after);
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

bool RegisterForkHooks() {
  if (pymalloc_exporter_layout.fork_count == kForkIsNotCounted) return true;
  PyObject* posix = PyImport_ImportModule("posix");
  PyObject* before = PyCFunction_New(&before_fork, nullptr);
  PyObject* after = PyCFunction_New(&after_fork, nullptr);
  bool registered = posix != nullptr && before != nullptr && after != nullptr &&
                    Register(posix, before, after);
  Py_XDECREF(posix);
  Py_XDECREF(before);
  Py_XDECREF(after);
  return registered;
}

}  // namespace pymalloc_exporter
