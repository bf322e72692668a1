// Memory that is mapped for one pass over the process, and given back at its end: at
// once, or, where a fork waits for that end, by the sampler's thread when it begins anew.
// It takes as long as all the rest of an end (each unmapping interrupts other
// processors).
//
// Thread safety: in a hurry is the sampler's thread alone; LeftMemory() and the rest on
// any thread. A process that is forked at any moment leaks it at worst. No GIL, no
// malloc.

#pragma once

#include <cstddef>

#include "exporter/system/address_range.h"

namespace pymalloc_exporter {

// Unmaps it, or leaves that to GiveBackWhatIsLeft().
void GiveBack(void* memory, size_t bytes, bool in_hurry);

// On the sampler's thread, also in a forked child, which has what was left, too.
void GiveBackWhatIsLeft();

// What is left, whole pages in no order: LeftMemory(i) for i < kMostLeft, {0, 0} where
// nothing is.
inline constexpr int kMostLeft = 4;
AddressRange LeftMemory(int index);

}  // namespace pymalloc_exporter
