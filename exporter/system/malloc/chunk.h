// A chunk of glibc's heap as it lies in memory.
//
// Source: malloc/malloc.c, "struct malloc_chunk", the same in 2.26 to 2.43. Whether a
// chunk is in use is told by the flag in the next one, which also repeats its size while
// it is free.

#pragma once

#include <cstdint>

namespace pymalloc_exporter {

inline constexpr uint64_t kPreviousInUse = 1;
inline constexpr uint64_t kOwnMapping = 2;
inline constexpr uint64_t kNotMainArena = 4;
inline constexpr uint64_t kChunkFlags = 7;

inline constexpr uint64_t kChunkHeaderBytes = 16;
inline constexpr uint64_t kLeastChunkBytes = 32;
inline constexpr uint64_t kChunkAlignment = 16;
// malloc_trim() leaves this much of a free chunk alone: the header and its links.
inline constexpr uint64_t kFreeChunkHeadBytes = 48;

struct ChunkHeader {
  uint64_t previous_bytes;  // while the previous chunk is free
  uint64_t word;            // size and flags

  uint64_t bytes() const { return word & ~kChunkFlags; }
  bool previous_in_use() const { return (word & kPreviousInUse) != 0; }
  bool own_mapping() const { return (word & kOwnMapping) != 0; }
  bool not_main_arena() const { return (word & kNotMainArena) != 0; }

  // A size that a chunk can have where `room` bytes are left for it. Comparing instead of
  // adding: garbage would overflow.
  bool Fits(uint64_t room) const {
    return bytes() >= kLeastChunkBytes && bytes() % kChunkAlignment == 0 &&
           bytes() <= room && !own_mapping();
  }
};

inline uintptr_t AlignUp(uintptr_t address, uintptr_t step) {
  return (address + step - 1) & ~(step - 1);
}
inline uintptr_t AlignDown(uintptr_t address, uintptr_t step) {
  return address & ~(step - 1);
}

}  // namespace pymalloc_exporter
