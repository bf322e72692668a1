// The objects that keep sparse arenas from going back, for who wants to know what holds
// them.
//
// No object is told by its bytes here: gc.get_objects() gives references, and of these
// only the addresses are looked at. So all is sound that the collector itself knows.
//
// Under the GIL of the main interpreter. May allocate and call Python.

#pragma once

#include <Python.h>

#include <string_view>
#include <vector>

namespace pymalloc_exporter {

// At most `most` objects of these very types in sparse arenas of this interpreter, those
// of the sparsest first: a new list, or null with an exception set.
PyObject* ObjectsInSparseArenas(std::vector<PyTypeObject*> types, size_t most);

// Leaves of `types` those that the census calls so; false with an exception set.
bool KeepTypesCalled(std::string_view name, std::vector<PyTypeObject*>* types);

}  // namespace pymalloc_exporter
