// Which mappings are the exporter's own, so that its memory is told from the
// application's.
//
// Thread safety: any thread; no lock, no malloc, no GIL. Ranges are never forgotten: what
// the exporter maps it keeps.

#pragma once

#include <cstddef>
#include <cstdint>

#include "exporter/system/address_range.h"

namespace pymalloc_exporter {

// Says that [address, address + bytes), whole pages, is the exporter's. Beyond a fixed
// number of ranges (512) they count as the application's.
void NoteOwnMemory(const void* address, size_t bytes);

// The ranges noted so far, in no order: Range(i) for i < the count. Ranges that are being
// noted right now have end 0.
int OwnMemoryCount();
AddressRange OwnMemory(int index);

// The range that holds `address`; else {0, start of the next one or UINTPTR_MAX}.
AddressRange FindOwnMemory(uintptr_t address);

}  // namespace pymalloc_exporter
