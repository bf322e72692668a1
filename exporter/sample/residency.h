// What of the address space is in memory, by whose it is.
//
// Plain data: no thread, no GIL, no allocation.

#pragma once

#include <array>
#include <cstdint>

namespace pymalloc_exporter {

// Whose anonymous memory is.
enum class MemoryOwner : uint8_t {
  kArenas,    // pymalloc's
  kHeap,      // the [heap] mapping
  kStacks,    // of all threads but the exporter's own
  kData,      // written pages of private file mappings, and the zeroed data behind them
  kExporter,  // noted by the exporter as its own (exporter/system/own_memory.h)
  kOther,  // whatever else was mapped: malloc's thread arenas and blocks, others' heaps
  kCount
};

inline constexpr int kMemoryOwners = static_cast<int>(MemoryOwner::kCount);

struct ResidencyFigure {
  uint64_t resident_bytes = 0;
  uint64_t exclusive_bytes = 0;  // of them: mapped by no other process
  uint64_t swapped_bytes = 0;
};

// One pass over the page map: anonymous memory only, pages of files and shared memory are
// not looked at. Where `page_map` is false mincore(2) answered: nothing is known of
// exclusive and swapped pages.
struct ResidencySample {
  std::array<ResidencyFigure, kMemoryOwners> owners{};
  uint64_t huge_bytes = 0;  // of the resident: in huge pages
  bool page_map = false;
  bool huge_known = false;

  const ResidencyFigure& of(MemoryOwner owner) const {
    return owners[static_cast<int>(owner)];
  }
  ResidencyFigure total() const {
    ResidencyFigure sum;
    for (const ResidencyFigure& figure : owners) {
      sum.resident_bytes += figure.resident_bytes;
      sum.exclusive_bytes += figure.exclusive_bytes;
      sum.swapped_bytes += figure.swapped_bytes;
    }
    return sum;
  }
};

}  // namespace pymalloc_exporter
