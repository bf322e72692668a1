// The types that a census has met, in memory of a fixed size.
//
// Open addressing over the addresses of type objects. A new type is learned by reading it
// from the outside, and accepted if its own type is a metatype that is known or accepted
// likewise; what is no type is remembered until the pass ends. At its first use in each
// pass a type is looked at again: an address that holds another one by now is learned
// anew. Types of one name share one total.
//
// Memory: one mapping of kTableBytes, touched as it fills. Types beyond kMostTypes, and
// names beyond the room for them, count as no type until the next pass has made room.
//
// Thread safety: one thread at a time. No GIL, no malloc.

#pragma once

#include <cstdint>
#include <string_view>

#include "exporter/cpython/type_reader.h"

namespace pymalloc_exporter {

// What an object of the type owns beside its own block.
enum class Owned : uint8_t { kNothing, kListItems, kSetTable, kByteArrayBuffer };

struct TypeEntry {
  uintptr_t address;
  uint64_t fingerprint;
  uint64_t objects;  // this pass, as all below
  uint64_t bytes;
  uint64_t tracked;  // objects that the garbage collector knows of
  double pinned;
  uint64_t earlier_bytes;  // `bytes` before the arena that is being read
  uint32_t alone_arenas;   // sparse ones in which nothing else lives
  float squares;           // of the bytes of each arena, added up
  uint32_t arena_bytes;    // of its own blocks in the arena that is being read
  uint16_t pool_objects;   // in the pool that is being read
  uint16_t pool_tracked;
  uint32_t basic_bytes;
  uint32_t pass;
  uint16_t name;
  uint8_t bytes_before;
  Owned owned;
  bool has_gc;
  bool touched;  // lives in the arena that is being read
  bool metatype;
  bool resolved;  // the name is the final one
};

// The total of all types of a name.
struct NameTotal {
  uint64_t objects;
  uint64_t bytes;
  uint64_t tracked;
  double pinned;
  uint64_t alone_bytes;    // of sparse arenas in which nothing else lives
  uint64_t large_objects;  // of `objects`: in the C heap; set by the census
  uint64_t large_bytes;
  double error_bytes;  // standard error of `bytes`; set by the census
  float squares;  // those of its types, which are taken for independent of each other
  uint32_t hash;
  uint32_t offset;  // of its text
  bool listed_live;
  bool listed_pinned;
};

class TypeTable {
 public:
  static constexpr int kMostTypes = 4096;
  static constexpr int kMostNames = 4096;
  static constexpr uint32_t kNameBytes = 192 * 1024;

  TypeTable() = default;
  ~TypeTable();
  TypeTable(const TypeTable&) = delete;
  TypeTable& operator=(const TypeTable&) = delete;

  // False if memory was refused. `layout` has to stay.
  bool Open(const PymallocExporterObjectLayout& layout);

  // Makes room if there is little, and forgets the last pass' totals.
  void BeginPass(const TypeReader& reader);

  // Another one than the pass began with, which may be gone.
  void UseReader(const TypeReader& reader) { reader_ = &reader; }

  // How many addresses at which no type stands may be read until the next call.
  void AllowReads(int reads) { reads_left_ = reads; }

  // The type at `address`; null if there is none, or no room for it.
  TypeEntry* Find(uintptr_t address) {
    TypeEntry* entry = recent_[Recent(address)];
    if (entry != nullptr && entry->address == address) return entry;
    return FindAnywhere(address);
  }

  // Adds up by name; from then on Name() and names() are of use.
  void EndPass(uint32_t arena_bytes);

  TypeEntry* begin() { return memory_->entries; }
  TypeEntry* end() { return memory_->entries + type_count_; }
  NameTotal* names() { return memory_->names; }
  int name_count() const { return name_count_; }
  std::string_view Name(const NameTotal& name) const;
  const TypeReader& reader() const { return *reader_; }
  uint32_t pass() const { return pass_; }

 private:
  static constexpr int kSlots = 8192;
  static constexpr int kRecent = 64;
  static constexpr int kStrangers = 1024;
  struct Memory {
    uintptr_t keys[kSlots];
    uint16_t ids[kSlots];
    TypeEntry entries[kMostTypes];
    uint16_t name_ids[kSlots];  // + 1
    NameTotal names[kMostNames];
    char text[kNameBytes];
    uintptr_t strangers[kStrangers];  // no types, this pass
  };

  static size_t Slot(uintptr_t address) {
    return static_cast<size_t>((address >> 4) * 0x9e3779b97f4a7c15 >> 51);
  }
  static size_t Recent(uintptr_t address) { return Slot(address) % kRecent; }

  TypeEntry* FindAnywhere(uintptr_t address);
  TypeEntry* Learn(uintptr_t address, int depth);
  TypeEntry* Lookup(uintptr_t address);
  bool IsMetatype(uintptr_t address, int depth);
  void Describe(TypeEntry& entry, const TypeFacts& facts);
  bool LookAgain(TypeEntry& entry);
  void Resolve(TypeEntry& entry, const TypeFacts& facts);
  int NameId(const TypeName& name);
  void Insert(uintptr_t address, uint16_t id);
  void DropAll();

  const PymallocExporterObjectLayout* layout_ = nullptr;
  const TypeReader* reader_ = nullptr;
  Memory* memory_ = nullptr;
  TypeEntry* recent_[kRecent] = {};
  uint32_t pass_ = 0;
  int type_count_ = 0;
  int name_count_ = 0;
  uint32_t name_bytes_ = 0;
  bool full_ = false;
  int reads_left_ = 0;
};

}  // namespace pymalloc_exporter
