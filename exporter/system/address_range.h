// A range of addresses: [start, end).

#pragma once

#include <cstdint>

namespace pymalloc_exporter {

struct AddressRange {
  uintptr_t start;
  uintptr_t end;
  bool Holds(uintptr_t address) const { return start <= address && address < end; }
};

}  // namespace pymalloc_exporter
