// Finding the interpreter's table of arenas, for which there is no symbol.
//
// Each pool header names the index of its arena in the table `arenas` (an array of struct
// arena_object, 48 bytes, from CPython 3.8 on: address, pool address, number of free
// pools and of all pools, ...). So take one live block of every size class, and look
// through the writable data of the module that holds the interpreter for the one word
// that points to a table in which all these pools lie in their arenas.
//
// Call under the GIL, at install: the table is realloc'ed under it. May allocate.

#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "exporter/cpython/pool_walk.h"
#include "exporter/system/safe_read.h"

namespace pymalloc_exporter {

using LiveBlocks = std::array<uintptr_t, kSizeClasses>;

// The bases of all arenas in the table; empty if there is not exactly one such table.
// `reader`: for what a wrong word may lead to.
// `code`: an address in the interpreter's code. `blocks`: a live block of each size
// class. `place`: where a pointer to the table is thought to stand, or 0.
std::vector<uintptr_t> FindArenas(const SafeReader& reader, uintptr_t code,
                                  const LiveBlocks& blocks, const PoolGeometry& geometry,
                                  uintptr_t place);

}  // namespace pymalloc_exporter
