// The interpreter's side of the exporter: finds what the collectors read, proves it on
// the running interpreter, and puts the collectors into service or says why not.
//
// All functions run under the GIL of the main interpreter. May allocate and call Python.

#pragma once

#include <string>

#include "exporter/cpython/census_proof.h"
#include "exporter/cpython/free_list_collector.h"
#include "exporter/cpython/gc_collector.h"
#include "exporter/cpython/oracle.h"
#include "exporter/cpython/pymalloc_collector.h"
#include "exporter/cpython/sparse_arenas.h"

namespace pymalloc_exporter {

// The collectors that know the interpreter. They live for ever, across finalization too.
PymallocCollector& Pymalloc();
GcCollector& Gc();
FreeListCollector& FreeLists();
CensusCollector& TheCensus();

// The sizes of this interpreter's build.
PoolGeometry Geometry();

// Whether the calling thread runs the main interpreter: the exporter is one a process.
bool InMainInterpreter();

// Installs the arena hook (once a process), finds the arenas that exist, and compares
// each collector with its oracle. A collector that fails is down with its reason; no
// error. Called again by each new main interpreter of the process.
void InstallCollectors();

// Calls `ended` when this interpreter is finalized, after the collectors have let go of
// it: nothing of it is read from then on. False with a Python exception set.
bool RetireAtFinalization(void (*ended)());

// The text of the oracle and a walk of ours, with nothing run between the two; false if
// there is no oracle or no walk. The text is left empty then.
bool ReadBoth(std::string* oracle_text, PymallocSample* ours);

// A census of its own, made by the calling thread, with what a walk through the C heap
// found (null: without). Needs no GIL. Returns why there is none.
Reason TakeCensusNow(Census& census, const LargeTally* large, CensusSample* out);

// Of the main interpreter, with nothing run meanwhile; ranked. Returns why they cannot be
// told.
Reason FindSparseArenas(SparseArenas* out);

// A census of the main interpreter's arenas and gc.get_objects(), with nothing run
// between the two: for tests. False if there is no census, and why.
bool CompareCensus(const LargeTally* large, CensusComparison* out, Reason* why);

// What sys._debugmallocstats() prints and our reading of the free lists, with nothing run
// between the two. Takes the C library's `stderr` away from everybody meanwhile: for
// tests. False if there is no reading.
bool ReadBothOfFreeLists(std::string* oracle_text, FreeListSample* ours);

}  // namespace pymalloc_exporter
