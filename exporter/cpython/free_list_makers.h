// Objects made to be dropped: each ends up on top of the free list of its kind.
//
// Under the GIL. No Python code runs.

#pragma once

#include <Python.h>

#include <cstdint>

#include "exporter/cpython/free_list_collector.h"

namespace pymalloc_exporter {

// A new object that takes an entry of the list (if it has one) and gives it back when it
// is dropped. Null with a Python exception; null without one for kinds that cannot be
// made like this.
PyObject* MakeForFreeList(const FreeListPlace& place);

// What of the object will be in the list: the object, or what it holds.
uintptr_t EntryOf(PyObject* object, FreeListKind kind);

}  // namespace pymalloc_exporter
