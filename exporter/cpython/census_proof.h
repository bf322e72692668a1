// What the census needs to know of the running interpreter, and the proof that it types
// right: objects of each layout are made, looked at from the outside, and must be told
// for what they are, name and all.
//
// All under the GIL of the main interpreter. May allocate and call Python.

#pragma once

#include <map>
#include <string>

#include "exporter/cpython/census_collector.h"

namespace pymalloc_exporter {

// False if something cannot be found out.
bool FindObjectFacts(ObjectFacts* facts);

bool ProveTyping(const ObjectFacts& facts, const PoolGeometry& geometry, Census& census);

// A census and what the interpreter says, with nothing run between.
struct CensusComparison {
  struct Row {
    uint64_t objects = 0;
    uint64_t bytes = 0;
    uint64_t tracked = 0;     // by the garbage collector, in pools
    uint64_t gc_objects = 0;  // gc.get_objects() that lie in an arena
    uint64_t alone_bytes = 0;
    double pinned = 0;
    uint64_t large_objects = 0;  // in the C heap
    uint64_t large_bytes = 0;
  };
  std::map<std::string, Row> types;
  CensusTotals totals;
  CensusSample sample;
};

// False if there is no census, with the reason in `why`.
bool CompareCensus(const CensusCollector& collector, PymallocCollector& pymalloc,
                   FreeListCollector& free_lists, const PoolGeometry& geometry,
                   const LargeTally* large, CensusComparison* out, Reason* why);

}  // namespace pymalloc_exporter
