// What a census found: objects alive by type, and what keeps sparse arenas from going.
//
// Plain data: no thread, no GIL, no allocation. All byte counts are bytes of blocks: with
// gc headers, rounded up to the size class; in the C heap with malloc's headers.

#pragma once

#include <array>
#include <cstdint>

namespace pymalloc_exporter {

inline constexpr int kTypeNameBytes = 128;  // its end included
inline constexpr int kMostCensusRows = 20;  // of types, in each table
inline constexpr int kMostTopRows = 5;      // in that of the top of the heap

// "module.qualname", valid UTF-8.
struct TypeName {
  char text[kTypeNameBytes] = {};
  int length = 0;
};

struct CensusRow {
  char type[kTypeNameBytes] = {};
  uint64_t objects = 0;  // 0 in a table of pins
  uint64_t bytes = 0;
};

// Source: live blocks of all pools; see exporter/cpython/census.h.
struct CensusSample {
  std::array<CensusRow, kMostCensusRows> live{};  // the largest, by bytes
  uint32_t live_rows = 0;
  uint32_t pinned_rows = 0;
  uint64_t other_objects = 0;
  uint64_t other_bytes = 0;
  uint64_t kept_objects = 0;  // dead, in free lists
  uint64_t kept_bytes = 0;
  uint64_t untyped_bytes = 0;  // no objects, and nobody's
  // Free bytes in sparse arenas, shared out to what lives there. Adds up to
  // pinned_total_bytes.
  std::array<CensusRow, kMostCensusRows> pinned{};
  uint64_t other_pinned_bytes = 0;
  uint64_t kept_pinned_bytes = 0;
  uint64_t untyped_pinned_bytes = 0;
  uint64_t pinned_total_bytes = 0;
  // Free bytes of the C heap that its topmost blocks keep below them; `objects` counts
  // blocks.
  std::array<CensusRow, kMostTopRows> tops{};
  uint32_t top_rows = 0;
  uint64_t other_top_bytes = 0;
  uint64_t native_top_bytes = 0;
  // Objects in the C heap and what lists, sets, dicts and bytearrays keep there.
  uint64_t large_heap_bytes = 0;
  uint64_t large_mapped_bytes = 0;  // in mappings of their own
  // Where not all arenas were read, all figures are estimates from those that were.
  uint64_t arenas = 0;
  uint64_t arenas_read = 0;
  double error_bytes = 0;  // standard error of the bytes of all types together

  bool sampled() const { return arenas_read < arenas; }
};

}  // namespace pymalloc_exporter
