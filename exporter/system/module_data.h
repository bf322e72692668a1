// The writable data of the module that holds the interpreter, where its variables without
// a symbol are looked for.
//
// Call at install. May allocate.

#pragma once

#include <cstdint>
#include <vector>

#include "exporter/system/address_range.h"

namespace pymalloc_exporter {

// The loaded segments of one module.
struct ModuleData {
  AddressRange all{UINTPTR_MAX, 0};
  std::vector<AddressRange> writable;
};

// The module that the address `code` belongs to.
ModuleData FindModule(uintptr_t code);

// The parts of its writable segments that this process has written, in whole pages but at
// the ends: what the interpreter has set lies there, and looking at the rest would make
// it resident.
std::vector<AddressRange> WrittenParts(const ModuleData& module);

}  // namespace pymalloc_exporter
