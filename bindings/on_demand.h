// What the two parts of the module pymalloc_exporter._native share: the one that each
// start needs, and the one that is made when it is first asked for something (pybind11,
// whose types and signatures would cost each start 0.2 ms).

#pragma once

#include <Python.h>

#include "exporter/system/malloc/malloc_collector.h"

namespace pymalloc_exporter {

// The collector of the C heap. It lives for ever.
MallocCollector& CHeap();

}  // namespace pymalloc_exporter

// The definition of the second part.
extern "C" PyObject* PyInit__on_demand();
