// What the interpreter itself says of its arenas: the text of
// _PyObject_DebugMallocStats().
//
// Exported by CPython 3.8 to 3.15. The same lines in all of them: a table of size classes
// (class, size, pools, blocks in use, blocks free), then "# name = number" with commas.
//
// Pure: text in, numbers out.

#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "exporter/sample/sample.h"

namespace pymalloc_exporter {

struct OracleReading {
  uint64_t arenas_allocated = 0;
  uint64_t arenas_freed = 0;
  uint64_t arenas_highwater = 0;
  uint64_t arenas = 0;
  uint64_t arena_bytes = 0;   // of one
  uint64_t pool_bytes = 0;    // of one
  uint64_t unused_pools = 0;  // free or not carved
  uint64_t live_bytes = 0;
  uint64_t free_block_bytes = 0;
  std::array<uint64_t, kSizeClasses> class_pools{};
  std::array<uint64_t, kSizeClasses> class_live_blocks{};
  std::array<uint64_t, kSizeClasses> class_free_blocks{};
};

// False if a line that is needed is missing or no number stands where one should.
bool ParseOracle(std::string_view text, OracleReading* out);

// Whether a walk found what the oracle says, block for block.
bool Agrees(const OracleReading& oracle, const PymallocSample& ours);

}  // namespace pymalloc_exporter
