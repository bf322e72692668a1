// References to Python objects that are owned. Under the GIL.

#pragma once

#include <Python.h>

#include <memory>

namespace pymalloc_exporter {

struct ReleaseObject {
  void operator()(PyObject* object) const { Py_DECREF(object); }
};
using Object = std::unique_ptr<PyObject, ReleaseObject>;

// A new reference, or null after an error, which is cleared.
inline Object WithoutError(PyObject* object) {
  if (object == nullptr) PyErr_Clear();
  return Object(object);
}

// The list that gc.get_objects() makes; null with an exception set.
inline Object GcObjects() {
  Object gc(PyImport_ImportModule("gc"));
  Object all(gc == nullptr ? nullptr
                           : PyObject_CallMethod(gc.get(), "get_objects", nullptr));
  if (all == nullptr || PyList_Check(all.get())) return all;
  PyErr_SetString(PyExc_RuntimeError, "gc.get_objects() gives no list");
  return nullptr;
}

}  // namespace pymalloc_exporter
