// Who reads the inside of arenas, piece by piece.

#pragma once

#include <cstdint>

namespace pymalloc_exporter {

class ArenaReader {
 public:
  virtual ~ArenaReader() = default;

  // Asked once for each arena, before its first piece: false where it is to be left out.
  virtual bool Wants() { return true; }

  // Reads piece 0, 1, ... of the arena at `base`, in no more than some 0.1 ms, and
  // returns true with the last one. The arena stays mapped until this returns; between
  // two pieces it may vanish.
  virtual bool Read(uintptr_t base, uint32_t piece) = 0;
};

}  // namespace pymalloc_exporter
