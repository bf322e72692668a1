// The ledger: where the resident memory of a process is, in parts that add up to it.
//
// Pure: plain data in, plain data out. No thread, no GIL, no allocation. All figures are
// bytes on resident pages.

#pragma once

#include <array>
#include <cstdint>

#include "exporter/sample/malloc.h"
#include "exporter/sample/residency.h"

namespace pymalloc_exporter {

struct PymallocSample;
struct ProcessSample;

// The order is part of the region's layout.
enum class LedgerComponent : uint8_t {
  kSmallLive,        // blocks of pymalloc in use
  kSmallHoles,       // free blocks in pools that are in use
  kFreePools,        // pools without a block in use, in arenas that stay
  kArenaOverhead,    // pool headers, remainders, what was never carved
  kLargeObjects,     // Python objects and their buffers in the C heap
  kNativeHeap,       // the rest of the C heap in use, malloc's own bookkeeping included
  kHeapHoles,        // freed chunks of the C heap, and its top
  kMallocMappings,   // blocks for which malloc made a mapping of their own
  kOtherMappings,    // anonymous memory that others mapped for themselves
  kFiles,            // pages of files: code, libraries, mapped data
  kShared,           // shared memory
  kStacks,           // of threads
  kInterpreterData,  // written pages of the interpreter's and the libraries' data
  kExporter,         // this exporter's own mappings
  kUnexplained,      // RSS less all of the above
  kCount
};

inline constexpr int kLedgerComponents = static_cast<int>(LedgerComponent::kCount);

inline constexpr const char* kLedgerComponentNames[kLedgerComponents] = {
    "small_live",  "small_holes", "free_pools",       "arena_overhead", "large_objects",
    "native_heap", "heap_holes",  "malloc_mappings",  "other_mappings", "files",
    "shared",      "stacks",      "interpreter_data", "exporter",       "unexplained"};

// What the ledger is made of. Null: that collector has no figures.
struct LedgerInput {
  const ProcessSample* process = nullptr;
  const ResidencySample* residency = nullptr;
  const PymallocSample* pymalloc = nullptr;
  const MallocSample* malloc = nullptr;
  uint64_t large_heap_bytes = 0;    // Python objects and their buffers in the C heap
  uint64_t large_mapped_bytes = 0;  // and in mappings of their own
};

// Adds up: the components are `resident_bytes` together. Only the unexplained can be
// negative.
struct Ledger {
  std::array<int64_t, kLedgerComponents> components{};
  uint64_t resident_bytes = 0;
  uint64_t live_bytes = 0;  // in live blocks, small and large

  int64_t of(LedgerComponent component) const {
    return components[static_cast<int>(component)];
  }
  int64_t& of(LedgerComponent component) {
    return components[static_cast<int>(component)];
  }
};

// REQUIRES: input.process and input.residency.
Ledger MakeLedger(const LedgerInput& input);

bool AddsUp(const Ledger& ledger);

}  // namespace pymalloc_exporter
