// Tells where pymalloc's arenas are.
//
// Thread safety: any thread. No GIL, no lock, no malloc. Arenas come and go meanwhile.

#pragma once

#include <cstdint>

#include "exporter/system/address_range.h"

namespace pymalloc_exporter {

class ArenaFinder {
 public:
  virtual ~ArenaFinder() = default;

  // The first arena that ends above `address` and starts below `limit`, which is a few
  // MiB further at most: {0, 0} if there is none. Whole pages.
  virtual AddressRange FindArena(uintptr_t address, uintptr_t limit) const noexcept = 0;
};

}  // namespace pymalloc_exporter
