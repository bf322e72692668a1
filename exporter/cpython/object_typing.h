// What a live block holds: an object of which type, or none.
//
// An object's type pointer lies behind what comes before the object: nothing, a gc header
// (16 bytes), words for a managed dict and weak references (16 more). A word that equals
// a type's address proves nothing: items of a list of classes look like that. It counts
// only if
// - the word before it is a plausible refcount: not zero, and less than any address (or
//   the refcount of immortal objects). In an executable that is not position-independent
//   addresses begin at 4 MiB, so that objects of more references are taken for none.
// - it lies where the type's flags put it, and the block has room for its basic size.
// - the gc header, if there is one, is one.
//
// Dead objects in free lists have a refcount of zero (from 3.14 on the link stands there)
// and are of a type that has such a list. Floats to 3.13 have the link in place of the
// type: they are told by their addresses.
//
// Under PYTHONMALLOC=debug (the default of debug builds) each object follows 16 bytes of
// the debug layer; in the C heap 32, for pymalloc's own requests have one, too.
//
// Thread safety: as TypeTable. Reads the block only.

#pragma once

#include <algorithm>
#include <cstdint>

#include "exporter/cpython/type_table.h"
#include "exporter/sample/sample.h"

namespace pymalloc_exporter {

// What the typing knows of the running interpreter.
struct ObjectFacts {
  const PymallocExporterObjectLayout* layout = nullptr;
  uintptr_t least_pointer = 0;   // no address is less
  uint32_t debug_bytes = 0;      // before each object, of the debug layer: 0 or 16
  uint32_t debug_end_bytes = 0;  // behind it
  uintptr_t module_key = 0;      // the interned str "__module__"
  uintptr_t kept_types[kPymallocExporterMostKeptTypes] = {};
};

// Addresses of dead floats that their free list links.
struct KeptFloats {
  static constexpr int kMost = 128;
  uintptr_t addresses[kMost];
  int count = 0;

  bool Contains(uintptr_t address) const {
    return std::binary_search(addresses, addresses + count, address);
  }
};

enum class BlockKind : uint8_t {
  kNothing,   // no object, as far as can be told
  kObject,    // of `type`
  kKept,      // a dead object (of `type`) or table in a free list
  kDictKeys,  // a dict's own table of keys
};

// Passed by value, and by functions that are inlined: one that goes through memory is
// written in pieces and read as a whole, for which the processor waits longer than all
// else takes.
struct Finding {
  BlockKind kind;
  TypeEntry* type;   // of an object
  uintptr_t object;  // its address
};

// What an object owns beside its own block. Two words, so that it is returned in
// registers.
struct OwnedBuffer {
  static constexpr uint64_t kMostInPool = kSizeClasses * kSizeClassStepBytes;

  uintptr_t address;  // as its allocator gave it out
  uint64_t bytes;     // rounded up as that does; 0: it owns nothing

  bool in_pool() const { return bytes <= kMostInPool; }  // else in the C heap
};

class ObjectTyper {
 public:
  ObjectTyper(const ObjectFacts& facts, TypeTable& types, const KeptFloats& floats)
      : facts_(facts),
        types_(types),
        floats_(floats),
        least_pointer_(facts.least_pointer),
        refcount_mask_(facts.layout->refcount_mask),
        immortal_refcount_(facts.layout->immortal_refcount),
        refcount_offset_(facts.layout->refcount_offset),
        type_offset_(facts.layout->type_offset),
        gc_header_bytes_(facts.layout->gc_header_bytes),
        debug_bytes_(facts.debug_bytes),
        links_first_(facts.layout->free_list_links_first != 0) {
    for (const uintptr_t* kept = facts.kept_types; *kept != 0; ++kept)
      kept_filter_ |= FilterBit(*kept);
  }

  // What lies in the `bytes` at `block`, of which the first 64 must be readable. There
  // may be `spare_bytes` less one that nobody asked for.
  [[gnu::always_inline]] Finding Look(uintptr_t block, uint64_t bytes,
                                      uint64_t spare_bytes = kStepBytes) {
    if (debug_bytes_ != 0 && !StripDebugLayer(&block, &bytes))
      return {BlockKind::kNothing, nullptr, 0};
    Finding found = LookFor(block, bytes);
    bool may_be_more = bytes >= kPymallocExporterKeysBytes || Word(block) == 0;
    if (found.kind == BlockKind::kNothing && may_be_more)
      found.kind = LookForTheRest(facts_, floats_, block, bytes, spare_bytes);
    return found;
  }

  // The same of a block of the C library's, of which the first 80 must be readable.
  Finding LookInHeap(uintptr_t block, uint64_t bytes, uint64_t spare_bytes) {
    if (debug_bytes_ != 0 && !StripDebugLayer(&block, &bytes))
      return {BlockKind::kNothing, nullptr, 0};
    return Look(block, bytes, spare_bytes);
  }

  OwnedBuffer BufferOf(Finding found) const {
    return BufferOf(facts_, found.type->owned, found.object);
  }

  // Whether the garbage collector has the object in its lists.
  bool Tracked(Finding found) const {
    uintptr_t next = Word(found.object - gc_header_bytes_);
    return found.type->has_gc && (next & ~uintptr_t{7}) != 0;
  }

 private:
  static constexpr uint32_t kStepBytes = 16;  // between the places of an object
  static constexpr uint32_t kMostBytesBefore = 32;
  static constexpr uintptr_t kDebugPad = 0xfdfdfdfdfdfdfd;

  static uint64_t FilterBit(uintptr_t type) { return uint64_t{1} << (type >> 4) % 64; }

  static uintptr_t Word(uintptr_t address) {
    return __atomic_load_n(reinterpret_cast<const uintptr_t*>(address), __ATOMIC_RELAXED);
  }

  bool StripDebugLayer(uintptr_t* block, uint64_t* bytes) const {
    uint32_t layer_bytes = facts_.debug_bytes + facts_.debug_end_bytes;
    if (Word(*block + 8) >> 8 != kDebugPad || *bytes < layer_bytes) return false;
    *block += facts_.debug_bytes;
    *bytes -= layer_bytes;
    return true;
  }

  bool PlausibleRefcount(uintptr_t word) const {
    word &= refcount_mask_;
    return word - 1 < least_pointer_ - 1 || (word == immortal_refcount_ && word != 0);
  }

  // What stands in the refcount's place of a dead object in a free list.
  bool MayBeLink(uintptr_t word) const {
    return word == 0 ||
           (links_first_ && word >= least_pointer_ && word % kStepBytes == 0);
  }

  bool HasFreeList(uintptr_t type) const {
    if ((kept_filter_ & FilterBit(type)) == 0) return false;
    for (const uintptr_t* kept = facts_.kept_types; *kept != 0; ++kept) {
      if (*kept == type) return true;
    }
    return false;
  }

  bool GcHeaderIsOne(uintptr_t object) const {
    uintptr_t header = object - gc_header_bytes_;
    return Word(header) != 0 || (Word(header + sizeof(void*)) & ~uintptr_t{7}) == 0;
  }

  bool Fits(const TypeEntry& type, uintptr_t block, uint64_t bytes, uint32_t before) {
    return type.bytes_before == before && type.basic_bytes + before <= bytes &&
           (!type.has_gc || GcHeaderIsOne(block + before));
  }

  [[gnu::always_inline]] Finding LookFor(uintptr_t block, uint64_t bytes) {
    uint32_t least = type_offset_ + static_cast<uint32_t>(sizeof(void*));
    for (uint32_t before = 0; before <= kMostBytesBefore; before += kStepBytes) {
      if (before + least > bytes) break;
      uintptr_t object = block + before;
      uintptr_t refcount = Word(object + refcount_offset_);
      uintptr_t address = Word(object + type_offset_);
      bool alive = PlausibleRefcount(refcount);
      if (!alive && !(MayBeLink(refcount) && HasFreeList(address))) continue;
      TypeEntry* type = types_.Find(address);
      if (type == nullptr || !Fits(*type, block, bytes, before)) continue;
      return {alive ? BlockKind::kObject : BlockKind::kKept, type, object};
    }
    return {BlockKind::kNothing, nullptr, 0};
  }

  // Static, so that `this` goes nowhere and its members can be kept in registers.
  static OwnedBuffer BufferOf(const ObjectFacts& facts, Owned owned, uintptr_t object);
  static BlockKind LookForTheRest(const ObjectFacts& facts, const KeptFloats& floats,
                                  uintptr_t block, uint64_t bytes, uint64_t spare_bytes);

  const ObjectFacts& facts_;
  TypeTable& types_;
  const KeptFloats& floats_;
  // What each block is compared with.
  uintptr_t least_pointer_, refcount_mask_, immortal_refcount_;
  uint32_t refcount_offset_, type_offset_, gc_header_bytes_, debug_bytes_;
  bool links_first_;
  uint64_t kept_filter_ = 0;
};

}  // namespace pymalloc_exporter
