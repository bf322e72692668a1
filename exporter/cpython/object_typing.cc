#include "exporter/cpython/object_typing.h"

#include "exporter/sample/sample.h"

namespace pymalloc_exporter {
namespace {

constexpr uint64_t kMostSmallBytes = kSizeClasses * kSizeClassStepBytes;
constexpr uint64_t kMostOwnedBytes = uint64_t{1} << 46;

// Of the C library's chunks: a word of header, multiples of 16, at least 32.
constexpr uint64_t kChunkHeaderBytes = 8;
constexpr uint64_t kLeastChunkBytes = 32;

constexpr uint64_t RoundUp(uint64_t bytes) { return (bytes + 15) & ~uint64_t{15}; }

}  // namespace

uint64_t ObjectTyper::OwnedBytes(const Finding& found, bool* in_pool) const {
  uint64_t bytes = 0;
  uintptr_t object = found.object;
  if (found.type->owned == Owned::kListItems) {
    bool has_items = Word(object + layout_.list_items_offset) != 0;
    bytes = has_items ? Word(object + layout_.list_allocated_offset) * sizeof(void*) : 0;
  } else if (found.type->owned == Owned::kSetTable) {
    uintptr_t table = Word(object + layout_.set_table_offset);
    uint64_t slots = Word(object + layout_.set_mask_offset) + 1;
    bool has_table = table != 0 && table != object + layout_.set_small_table_offset;
    bytes = has_table ? slots * layout_.set_entry_bytes : 0;
  } else if (found.type->owned == Owned::kByteArrayBuffer) {
    bytes = Word(object + layout_.byte_array_allocated_offset);
  }
  if (bytes == 0 || bytes > kMostOwnedBytes) return 0;
  bytes += facts_.debug_bytes + facts_.debug_end_bytes;
  *in_pool = bytes <= kMostSmallBytes;
  return *in_pool ? RoundUp(bytes)
                  : std::max(RoundUp(bytes + kChunkHeaderBytes), kLeastChunkBytes);
}

// What has no type in it: floats that are linked by it, and tables of keys.
Finding ObjectTyper::LookForTheRest(uintptr_t block, uint32_t bytes) {
  if (Word(block) == 0 && floats_.Contains(block))
    return {BlockKind::kKept, nullptr, block};
  PymallocExporterKeys keys;
  bool are_keys = bytes >= kPymallocExporterKeysBytes &&
                  layout_.read_keys(reinterpret_cast<const void*>(block), &keys) != 0 &&
                  keys.total_bytes <= bytes && keys.total_bytes + kStepBytes > bytes;
  if (!are_keys) return {BlockKind::kNothing, nullptr, 0};
  bool kept = layout_.free_list_links_first ? keys.refcount >= facts_.least_pointer
                                            : keys.refcount == 0;
  if (kept || keys.refcount == 0) return {BlockKind::kKept, nullptr, 0};
  BlockKind kind = keys.shared ? BlockKind::kNothing : BlockKind::kDictKeys;
  return {kind, nullptr, 0};
}

}  // namespace pymalloc_exporter
