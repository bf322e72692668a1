// A range of addresses of this process. Plain data.

#pragma once

#include <cstdint>

namespace pymalloc_exporter {

struct AddressRange {
  uintptr_t start, end;
  bool Holds(uintptr_t address) const { return start <= address && address < end; }
};

}  // namespace pymalloc_exporter
