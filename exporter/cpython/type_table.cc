#include "exporter/cpython/type_table.h"

#include <sys/mman.h>

#include <cstring>

namespace pymalloc_exporter {
namespace {

// type, a metatype, its metatype ...
constexpr int kMostMetatypes = 4;

// A compact str is less than its type's basic size.
constexpr uint32_t kLeastStrBytes = 40;

constexpr uintptr_t kLeastAddress = 1 << 16;
constexpr uintptr_t kEndOfAddresses = uintptr_t{1} << 47;

bool MayBeType(uintptr_t address) {
  return address % sizeof(void*) == 0 && address >= kLeastAddress &&
         address < kEndOfAddresses;
}

uint32_t HashOf(const TypeName& name) {
  uint32_t hash = 2166136261u;
  for (int i = 0; i < name.length; ++i) {
    hash = (hash ^ static_cast<unsigned char>(name.text[i])) * 16777619u;
  }
  return hash;
}

}  // namespace

TypeTable::~TypeTable() {
  if (memory_ != nullptr) munmap(memory_, sizeof(Memory));
}

bool TypeTable::Open(const PymallocExporterObjectLayout& layout) {
  static_assert(sizeof(Memory) < 1000 * 1000);
  layout_ = &layout;
  if (memory_ != nullptr) return true;
  void* memory = mmap(nullptr, sizeof(Memory), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return false;
  memory_ = static_cast<Memory*>(memory);
  return true;
}

void TypeTable::BeginPass(const TypeReader& reader) {
  reader_ = &reader;
  if (full_) DropAll();
  full_ = false;
  ++pass_;
  if (name_count_ == 0) NameId(TypeName{"?", 1});
  memset(recent_, 0, sizeof recent_);
  memset(memory_->strangers, 0, sizeof memory_->strangers);
}

void TypeTable::EndPass(uint32_t arena_bytes) {
  for (int i = 0; i < name_count_; ++i) {
    NameTotal& name = memory_->names[i];
    name.objects = name.bytes = name.tracked = name.alone_bytes = 0;
    name.large_objects = name.large_bytes = 0;
    name.pinned = 0;
    name.squares = 0;
  }
  for (const TypeEntry& type : *this) {
    if (type.pass != pass_) continue;
    NameTotal& name = memory_->names[type.name];
    name.objects += type.objects;
    name.bytes += type.bytes;
    name.tracked += type.tracked;
    name.pinned += type.pinned;
    name.alone_bytes += uint64_t{type.alone_arenas} * arena_bytes;
    name.squares += type.squares;
  }
}

std::string_view TypeTable::Name(const NameTotal& name) const {
  return memory_->text + name.offset;
}

TypeEntry* TypeTable::Lookup(uintptr_t address) {
  for (size_t slot = Slot(address);; slot = (slot + 1) % kSlots) {
    if (memory_->keys[slot] == address) return &memory_->entries[memory_->ids[slot]];
    if (memory_->keys[slot] == 0) return nullptr;
  }
}

void TypeTable::Insert(uintptr_t address, uint16_t id) {
  size_t slot = Slot(address);
  while (memory_->keys[slot] != 0) slot = (slot + 1) % kSlots;
  memory_->keys[slot] = address;
  memory_->ids[slot] = id;
}

TypeEntry* TypeTable::FindAnywhere(uintptr_t address) {
  if (address == 0) return nullptr;
  uintptr_t& stranger = memory_->strangers[Slot(address) % kStrangers];
  if (stranger == address || !MayBeType(address)) return nullptr;
  TypeEntry* entry = Lookup(address);
  if (entry == nullptr && reads_left_ <= 0) return nullptr;
  entry = Learn(address, 0);
  if (entry != nullptr) {
    recent_[Recent(address)] = entry;
  } else {
    stranger = address;
    --reads_left_;
  }
  return entry;
}

// Known already, or read and found to be a type.
TypeEntry* TypeTable::Learn(uintptr_t address, int depth) {
  TypeEntry* entry = Lookup(address);
  if (entry != nullptr && (entry->pass == pass_ || LookAgain(*entry))) return entry;
  TypeFacts facts;
  if (!reader_->Read(address, &facts) || !IsMetatype(facts.metatype, depth))
    return nullptr;
  if (entry == nullptr) {
    if (type_count_ == kMostTypes) {
      full_ = true;
      return nullptr;
    }
    entry = &memory_->entries[type_count_];
    Insert(address, static_cast<uint16_t>(type_count_++));
  }
  *entry = TypeEntry{};
  entry->address = address;
  entry->pass = pass_;
  Describe(*entry, facts);
  Resolve(*entry, facts);
  return entry;
}

bool TypeTable::IsMetatype(uintptr_t address, int depth) {
  if (address == layout_->type_type) return true;
  if (depth == kMostMetatypes) return false;
  const TypeEntry* metatype = Learn(address, depth + 1);
  return metatype != nullptr && metatype->metatype;
}

void TypeTable::Describe(TypeEntry& entry, const TypeFacts& facts) {
  uintptr_t address = entry.address;
  bool is_str = address == layout_->str_type;
  entry.fingerprint = facts.fingerprint;
  entry.basic_bytes = is_str ? kLeastStrBytes : facts.basic_bytes;
  entry.bytes_before = static_cast<uint8_t>(facts.bytes_before);
  entry.has_gc = (facts.flags & layout_->gc_flag) != 0;
  entry.metatype = (facts.flags & layout_->metatype_flag) != 0;
  entry.owned = Owned::kNothing;
  if ((facts.flags & layout_->list_flag) != 0) entry.owned = Owned::kListItems;
  if (address == layout_->set_type || address == layout_->frozenset_type)
    entry.owned = Owned::kSetTable;
  if (address == layout_->byte_array_type && layout_->byte_array_has_buffer)
    entry.owned = Owned::kByteArrayBuffer;
}

// At the first use in a pass: whether it is the type that it was.
bool TypeTable::LookAgain(TypeEntry& entry) {
  TypeFacts facts;
  if (!reader_->Read(entry.address, &facts) || facts.fingerprint != entry.fingerprint)
    return false;
  entry.objects = entry.bytes = entry.tracked = 0;
  entry.alone_arenas = 0;
  entry.pinned = 0;
  entry.squares = 0;
  entry.arena_bytes = 0;
  entry.touched = false;
  entry.pass = pass_;
  if (!entry.resolved) Resolve(entry, facts);
  return true;
}

void TypeTable::Resolve(TypeEntry& entry, const TypeFacts& facts) {
  TypeName name;
  entry.resolved = reader_->ReadName(facts, &name);
  entry.name = static_cast<uint16_t>(name.length == 0 ? 0 : NameId(name));
}

// The first one, "?", also stands for those that there is no room for.
int TypeTable::NameId(const TypeName& name) {
  uint32_t hash = HashOf(name);
  size_t slot = hash % kSlots;
  for (; memory_->name_ids[slot] != 0; slot = (slot + 1) % kSlots) {
    int id = memory_->name_ids[slot] - 1;
    const NameTotal& known = memory_->names[id];
    if (known.hash == hash && Name(known) == name.text) return id;
  }
  auto bytes = static_cast<uint32_t>(name.length) + 1;
  if (name_count_ == kMostNames || name_bytes_ + bytes > kNameBytes) {
    full_ = true;
    return 0;
  }
  NameTotal& added = memory_->names[name_count_];
  added = NameTotal{};
  added.hash = hash;
  added.offset = name_bytes_;
  memcpy(memory_->text + name_bytes_, name.text, bytes);
  name_bytes_ += bytes;
  memory_->name_ids[slot] = static_cast<uint16_t>(name_count_ + 1);
  return name_count_++;
}

// Between passes: all of it; what is in use is met again soon.
void TypeTable::DropAll() {
  memset(memory_->keys, 0, sizeof memory_->keys);
  memset(memory_->name_ids, 0, sizeof memory_->name_ids);
  type_count_ = name_count_ = 0;
  name_bytes_ = 0;
}

}  // namespace pymalloc_exporter
