// Arenas made by hand, between two pages that may not be touched.

#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstdint>
#include <cstring>

#include "exporter/cpython/pool_walk.h"

namespace pymalloc_exporter {

// What a test writes into a pool's header.
struct PoolWords {
  uint32_t live_blocks;
  uint32_t size_class;
  uint32_t next_offset;
  uint32_t last_offset;
};

class SyntheticArena {
 public:
  explicit SyntheticArena(const PoolGeometry& geometry, size_t misalignment = 0)
      : geometry_(geometry), bytes_(2 * geometry.arena_bytes) {
    void* memory = mmap(nullptr, bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT_NE(memory, MAP_FAILED);
    region_ = reinterpret_cast<uintptr_t>(memory);
    uintptr_t mask = geometry.pool_bytes - 1;
    base_ = ((region_ + geometry.pool_bytes + mask) & ~mask) + misalignment;
    int made = mprotect(reinterpret_cast<void*>(base_), geometry.arena_bytes,
                        PROT_READ | PROT_WRITE);
    EXPECT_EQ(made, 0);
  }
  ~SyntheticArena() { munmap(reinterpret_cast<void*>(region_), bytes_); }

  uintptr_t base() const { return base_; }

  uint32_t* Header(int pool) const {
    uintptr_t first = FirstPool(base_, geometry_);
    return reinterpret_cast<uint32_t*>(first +
                                       static_cast<size_t>(pool) * geometry_.pool_bytes);
  }

  void Write(int pool, const PoolWords& words) {
    uint32_t* header = Header(pool);
    header[0] = words.live_blocks;
    header[9] = words.size_class;
    header[10] = words.next_offset;
    header[11] = words.last_offset;
  }

  // A carved pool of `size_class` with `live_blocks` in use, as the interpreter leaves
  // it.
  void Carve(int pool, uint32_t size_class, uint32_t live_blocks) {
    uint32_t last = geometry_.last_offset[size_class];
    Write(pool, {live_blocks, size_class, last, last});
  }

  PoolTally Tally() const {
    PoolTally tally;
    TallyArena(base_, geometry_, tally);
    return tally;
  }

 private:
  PoolGeometry geometry_;
  size_t bytes_;
  uintptr_t region_;
  uintptr_t base_;
};

}  // namespace pymalloc_exporter
