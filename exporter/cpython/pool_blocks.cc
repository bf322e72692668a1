#include "exporter/cpython/pool_blocks.h"

#include <algorithm>

namespace pymalloc_exporter {
namespace {

constexpr int kAttempts = 2;

// Division by a size class by multiplication: right for offsets within a pool.
constexpr int kReciprocalShift = 32;

struct Header {
  uint32_t live;
  uint32_t size_class;
  uint32_t next_offset;
  uint32_t last_offset;
  uintptr_t free_block;

  bool operator==(const Header&) const = default;
};

// pool_walk.h has the layout. Each word is read once, whole.
uint32_t Word(uintptr_t address) {
  return __atomic_load_n(reinterpret_cast<const uint32_t*>(address), __ATOMIC_RELAXED);
}

uintptr_t Pointer(uintptr_t address) {
  return __atomic_load_n(reinterpret_cast<const uintptr_t*>(address), __ATOMIC_RELAXED);
}

Header ReadHeader(uintptr_t pool) {
  return {Word(pool), Word(pool + 36), Word(pool + 40), Word(pool + 44),
          Pointer(pool + 8)};
}

void SetBits(uint32_t count, uint64_t* bits) {
  for (uint32_t word = 0; word < PoolBlocks::kMostBlocks / 64; ++word) {
    uint32_t from = word * 64;
    bits[word] = count >= from + 64 ? ~uint64_t{0}
                 : count > from     ? (uint64_t{1} << (count - from)) - 1
                                    : 0;
  }
}

// Takes the blocks of the free list out of the bits; false if it is not as long as it
// should be or leads anywhere else.
bool ClearFreeList(uintptr_t pool, const Header& header, PoolBlocks& out) {
  uint32_t free = out.carved - out.live;
  uint64_t reciprocal = (uint64_t{1} << kReciprocalShift) / out.block_bytes + 1;
  uintptr_t block = header.free_block;
  for (uint32_t i = 0; i < free; ++i) {
    uint64_t offset = block - pool - kPoolHeaderBytes;
    if (offset >= uint64_t{out.carved} * out.block_bytes) return false;
    auto index = static_cast<uint32_t>(offset * reciprocal >> kReciprocalShift);
    uint64_t bit = uint64_t{1} << index % 64;
    bool live = (out.live_bits[index / 64] & bit) != 0;
    if (offset != uint64_t{index} * out.block_bytes || !live) return false;
    out.live_bits[index / 64] &= ~bit;
    block = Pointer(block);
  }
  return block == 0;
}

bool UseHeader(const Header& header, const PoolGeometry& geometry, PoolBlocks& out) {
  out.kind = PoolBlocks::Kind::kUncarved;
  if (header.last_offset == 0) return true;
  out.kind = PoolBlocks::Kind::kUnreadable;
  if (header.size_class >= kSizeClasses ||
      header.last_offset != geometry.last_offset[header.size_class] ||
      header.live > geometry.capacity[header.size_class]) {
    return false;
  }
  out.block_bytes = (header.size_class + 1) * kSizeClassStepBytes;
  out.capacity = geometry.capacity[header.size_class];
  out.live = header.live;
  out.kind = header.live == 0 ? PoolBlocks::Kind::kFree : PoolBlocks::Kind::kCounted;
  return true;
}

bool ReadOnce(uintptr_t pool, const PoolGeometry& geometry, PoolBlocks& out) {
  Header header = ReadHeader(pool);
  if (!UseHeader(header, geometry, out)) return false;
  if (out.kind != PoolBlocks::Kind::kCounted) return true;
  uint32_t carved_bytes =
      std::max(header.next_offset, kPoolHeaderBytes) - kPoolHeaderBytes;
  out.carved = std::min(carved_bytes / out.block_bytes, out.capacity);
  if (out.carved < out.live) return false;
  SetBits(out.carved, out.live_bits);
  if (!ClearFreeList(pool, header, out)) return false;
  __atomic_thread_fence(__ATOMIC_ACQUIRE);
  if (!(ReadHeader(pool) == header)) return false;
  out.kind = PoolBlocks::Kind::kLive;
  return true;
}

}  // namespace

void ReadPoolBlocks(uintptr_t pool, const PoolGeometry& geometry, PoolBlocks& out) {
  for (int i = 0; i < kAttempts && !ReadOnce(pool, geometry, out); ++i) {
  }
}

void CountPoolBlocks(uintptr_t pool, const PoolGeometry& geometry, PoolBlocks& out) {
  for (int i = 0; i < kAttempts && !UseHeader(ReadHeader(pool), geometry, out); ++i) {
  }
}

void ArenaBytes::Add(const PoolBlocks& blocks, const PoolGeometry& geometry) {
  using Kind = PoolBlocks::Kind;
  if (blocks.kind == Kind::kUncarved) return;
  bool used = blocks.kind == Kind::kLive || blocks.kind == Kind::kCounted;
  uint64_t all =
      used ? uint64_t{blocks.capacity} * blocks.block_bytes : geometry.pool_bytes;
  uint64_t alive = used ? uint64_t{blocks.live} * blocks.block_bytes : 0;
  usable += all;
  live += alive;
  if (blocks.kind != Kind::kUnreadable) free += all - alive;
}

}  // namespace pymalloc_exporter
