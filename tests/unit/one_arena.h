// Arenas, of which there is one at most, at a place of the test's choosing.

#pragma once

#include "exporter/system/arena_finder.h"

namespace pymalloc_exporter {

class OneArena final : public ArenaFinder {
 public:
  AddressRange FindArena(uintptr_t address, uintptr_t limit) const noexcept override {
    bool there = arena.end > address && arena.start < limit;
    return there ? arena : AddressRange{0, 0};
  }
  AddressRange arena{0, 0};
};

}  // namespace pymalloc_exporter
