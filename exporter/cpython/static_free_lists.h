// Finding free lists that are static variables without a symbol (to CPython 3.9).
//
// By what they do: objects of each kind are made, a different number of each, the
// interpreter's data is copied, the objects are dropped, and the words that rose by just
// that number are candidates for the count. Some rounds with other numbers leave one. The
// head is the word that points to the object dropped last.
//
// Under the GIL of the main interpreter. May allocate; no Python code runs.

#pragma once

#include <vector>

#include "exporter/cpython/free_list_collector.h"

namespace pymalloc_exporter {

// Fills in head and count of every place. False if one is not found, or more than one
// word would do. What is found is proven by ProveFreeLists().
bool FindStaticFreeLists(std::vector<FreeListPlace>* places);

}  // namespace pymalloc_exporter
