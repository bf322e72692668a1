// Memory that is mapped for one pass over the process, and given back at its end: at
// once, or, where a fork waits for that end, by the sampler's thread when it begins anew.
// It takes as long as all the rest of an end (each unmapping interrupts other
// processors).
//
// Thread safety: one thread at a time in hurry; any thread otherwise. No GIL, no malloc.

#pragma once

#include <cstddef>

namespace pymalloc_exporter {

// Unmaps it, or leaves that to GiveBackWhatIsLeft().
void GiveBack(void* memory, size_t bytes, bool in_hurry);

// On the sampler's thread, also in a forked child, which has what was left, too.
void GiveBackWhatIsLeft();

}  // namespace pymalloc_exporter
