// Finds the free lists of the running interpreter and proves that they are what they are
// taken for.
//
// An object that is made and dropped must raise its list's count by one and lie on top of
// it. Lists of objects that cannot be made from here must have as many entries as they
// count. Wild pointers of a wrong layout are read safely.
//
// Under the GIL of the main interpreter. May allocate; no Python code runs.

#pragma once

#include <vector>

#include "exporter/cpython/free_list_collector.h"

namespace pymalloc_exporter {

// The places in the main interpreter; empty where there are none, or none were found.
std::vector<FreeListPlace> FindFreeLists();

// Whether all of them hold. Leaves each list with what it had, or an entry more.
bool ProveFreeLists(const std::vector<FreeListPlace>& places);

}  // namespace pymalloc_exporter
