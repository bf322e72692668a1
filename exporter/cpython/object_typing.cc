#include "exporter/cpython/object_typing.h"

namespace pymalloc_exporter {
namespace {

constexpr uint64_t kMostOwnedBytes = uint64_t{1} << 46;

// Of the C library's chunks: a word of header, multiples of 16, at least 32.
constexpr uint64_t kChunkWordBytes = 8;
constexpr uint64_t kLeastChunkBytes = 32;

constexpr uint64_t RoundUp(uint64_t bytes) { return (bytes + 15) & ~uint64_t{15}; }

}  // namespace

OwnedBuffer ObjectTyper::BufferOf(const ObjectFacts& facts, Owned owned,
                                  uintptr_t object) {
  const PymallocExporterObjectLayout& layout = *facts.layout;
  uintptr_t address = 0;
  uint64_t bytes = 0;
  if (owned == Owned::kListItems) {
    address = Word(object + layout.list_items_offset);
    bytes = Word(object + layout.list_allocated_offset) * sizeof(void*);
  } else if (owned == Owned::kSetTable) {
    address = Word(object + layout.set_table_offset);
    if (address == object + layout.set_small_table_offset) address = 0;
    bytes = (Word(object + layout.set_mask_offset) + 1) * layout.set_entry_bytes;
  } else if (owned == Owned::kByteArrayBuffer) {
    address = Word(object + layout.byte_array_buffer_offset);
    bytes = Word(object + layout.byte_array_allocated_offset);
  }
  if (address == 0 || bytes == 0 || bytes > kMostOwnedBytes) return {0, 0};
  address -= facts.debug_bytes;
  bytes += facts.debug_bytes + facts.debug_end_bytes;
  if (bytes <= OwnedBuffer::kMostInPool) return {address, RoundUp(bytes)};
  address -= facts.debug_bytes;
  bytes += facts.debug_bytes + facts.debug_end_bytes;
  return {address, std::max(RoundUp(bytes + kChunkWordBytes), kLeastChunkBytes)};
}

// What has no type in it: floats that are linked by it, and tables of keys.
BlockKind ObjectTyper::LookForTheRest(const ObjectFacts& facts, const KeptFloats& floats,
                                      uintptr_t block, uint64_t bytes,
                                      uint64_t spare_bytes) {
  const PymallocExporterObjectLayout& layout = *facts.layout;
  if (Word(block) == 0 && floats.Contains(block)) return BlockKind::kKept;
  PymallocExporterKeys keys;
  bool are_keys = bytes >= kPymallocExporterKeysBytes &&
                  layout.read_keys(reinterpret_cast<const void*>(block), &keys) != 0 &&
                  keys.total_bytes <= bytes && keys.total_bytes + spare_bytes > bytes;
  if (!are_keys) return BlockKind::kNothing;
  bool kept = layout.free_list_links_first ? keys.refcount >= facts.least_pointer
                                           : keys.refcount == 0;
  if (kept || keys.refcount == 0) return BlockKind::kKept;
  return keys.shared ? BlockKind::kNothing : BlockKind::kDictKeys;
}

}  // namespace pymalloc_exporter
