#include "exporter/cpython/free_list_makers.h"

#if PY_VERSION_HEX < 0x030b0000
#include <frameobject.h>
#endif

namespace pymalloc_exporter {
namespace {

PyObject* MakeRange() {
  return PyObject_CallFunction(reinterpret_cast<PyObject*>(&PyRange_Type), "ii", 1, 3);
}

PyObject* IteratorOf(PyObject* object) {
  PyObject* iterator = object == nullptr ? nullptr : PyObject_GetIter(object);
  Py_XDECREF(object);
  return iterator;
}

PyObject* MakeDictWithKeys() {
  PyObject* dict = PyDict_New();
  if (dict != nullptr && PyDict_SetItemString(dict, "key", Py_None) != 0) Py_CLEAR(dict);
  return dict;
}

#if PY_VERSION_HEX < 0x030b0000
// A code keeps one frame for itself, the second one goes to the free list.
PyObject* MakeFrame() {
  PyCodeObject* code = PyCode_NewEmpty("", "", 1);
  // With builtins in it: else each frame would make a dict for them.
  PyObject* main = PyImport_AddModule("__main__");
  PyObject* globals = main == nullptr ? nullptr : PyModule_GetDict(main);
  PyObject* frames[2] = {nullptr, nullptr};
  for (PyObject*& frame : frames) {
    if (code == nullptr || globals == nullptr) break;
    frame = reinterpret_cast<PyObject*>(
        PyFrame_New(PyThreadState_Get(), code, globals, nullptr));
  }
  Py_XDECREF(frames[0]);
  Py_XDECREF(reinterpret_cast<PyObject*>(code));
  return frames[1];
}
#endif

#if PY_VERSION_HEX < 0x030a0000
// As Objects/genobject.c makes them, of types that are exported but not declared.
extern "C" PyTypeObject _PyAsyncGenWrappedValue_Type;
extern "C" PyTypeObject _PyAsyncGenASend_Type;

PyObject* MakeEmpty(PyTypeObject* type) {
  PyObject* object = _PyObject_GC_New(type);
  if (object == nullptr) return nullptr;
  auto* fields = reinterpret_cast<char*>(object) + sizeof(PyObject);
  memset(fields, 0, static_cast<size_t>(type->tp_basicsize) - sizeof(PyObject));
  PyObject_GC_Track(object);
  return object;
}
#endif

}  // namespace

PyObject* MakeForFreeList(const FreeListPlace& place) {
  switch (place.kind) {
    case kFloatFreeList:
      return PyFloat_FromDouble(0.125);
    case kComplexFreeList:
      return PyComplex_FromDoubles(0.125, 0.25);
    case kIntFreeList:
      return PyLong_FromLong(987654321);
    case kTupleFreeList:
      return PyTuple_New(static_cast<Py_ssize_t>(place.length));
    case kListFreeList:
      return PyList_New(0);
    case kListIteratorFreeList:
      return IteratorOf(PyList_New(0));
    case kTupleIteratorFreeList:
      return IteratorOf(PyTuple_New(1));
    case kDictFreeList:
      return PyDict_New();
    case kDictKeysFreeList:
      return MakeDictWithKeys();
    case kSliceFreeList:
      return PySlice_New(nullptr, nullptr, nullptr);
    case kRangeFreeList:
      return MakeRange();
    case kRangeIteratorFreeList:
      return IteratorOf(MakeRange());
    case kContextFreeList:
      return PyContext_New();
    case kMemoryErrorFreeList:
      return PyObject_CallNoArgs(PyExc_MemoryError);
    case kMethodFreeList:
      return PyMethod_New(reinterpret_cast<PyObject*>(&PyBaseObject_Type), Py_None);
#if PY_VERSION_HEX < 0x030b0000
    case kFrameFreeList:
      return MakeFrame();
#endif
#if PY_VERSION_HEX < 0x030a0000
    case kAsyncGenValueFreeList:
      return MakeEmpty(&_PyAsyncGenWrappedValue_Type);
    case kAsyncGenAsendFreeList:
      return MakeEmpty(&_PyAsyncGenASend_Type);
#endif
    default:
      return nullptr;
  }
}

uintptr_t EntryOf(PyObject* object, FreeListKind kind) {
  if (kind != kDictKeysFreeList) return reinterpret_cast<uintptr_t>(object);
  return reinterpret_cast<uintptr_t>(reinterpret_cast<PyDictObject*>(object)->ma_keys);
}

}  // namespace pymalloc_exporter
