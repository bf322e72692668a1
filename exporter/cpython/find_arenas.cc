#include "exporter/cpython/find_arenas.h"

#include <malloc.h>

#include <algorithm>

#include "exporter/system/memory_maps.h"
#include "exporter/system/module_data.h"
#include "exporter/system/safe_read.h"

namespace pymalloc_exporter {
namespace {

struct ArenaObject {
  uint64_t address;
  uint64_t pool_address;
  uint32_t free_pools;
  uint32_t all_pools;
  uint64_t free_list, next, previous;
};
static_assert(sizeof(ArenaObject) == 48);

constexpr uint32_t kArenaIndexOffset = 32;  // in a pool header
constexpr size_t kFirstTableEntries = 16;  // INITIAL_ARENA_OBJECTS; it doubles from there
constexpr size_t kMallocAlignment = 16;

// The readable and writable mappings outside `module`, in order of addresses: where a
// table that came from malloc can be.
std::vector<AddressRange> HeapMappings(const ModuleData& module) {
  std::vector<AddressRange> mappings;
  MapsReader reader;
  if (!reader.Open({})) return mappings;
  for (Mapping mapping; reader.Next(&mapping);) {
    if (mapping.readable && mapping.writable && !module.all.Holds(mapping.start))
      mappings.push_back({mapping.start, mapping.end});
  }
  return mappings;
}

bool Readable(const std::vector<AddressRange>& mappings, uintptr_t address,
              size_t bytes) {
  auto after = std::upper_bound(
      mappings.begin(), mappings.end(), address,
      [](uintptr_t a, const AddressRange& range) { return a < range.end; });
  return after != mappings.end() && after->Holds(address) &&
         address + bytes <= after->end;
}

struct PoolPlace {
  uintptr_t pool;
  uint32_t arena_index;
};

PoolPlace PlaceOf(uintptr_t block, const PoolGeometry& geometry) {
  uintptr_t pool = block & ~uintptr_t{geometry.pool_bytes - 1};
  return {pool, *reinterpret_cast<const uint32_t*>(pool + kArenaIndexOffset)};
}

bool Describes(const ArenaObject& arena, uintptr_t pool, const PoolGeometry& geometry) {
  uint32_t most_pools = geometry.arena_bytes / geometry.pool_bytes;
  return arena.address <= pool && pool < arena.address + geometry.arena_bytes &&
         arena.free_pools <= arena.all_pools && arena.all_pools <= most_pools &&
         arena.all_pools + 1 >= most_pools;
}

class TableSearch {
 public:
  TableSearch(const SafeReader& reader, const LiveBlocks& blocks,
              const PoolGeometry& geometry)
      : reader_(reader), geometry_(geometry) {
    for (size_t i = 0; i < places_.size(); ++i) places_[i] = PlaceOf(blocks[i], geometry);
  }

  // The table to which the word at `place` points, 0 if it is none.
  uintptr_t At(uintptr_t place) const {
    uintptr_t table = 0;
    bool there = place != 0 && reader_.Read(place, &table, sizeof table);
    return there && HoldsAll(table) ? table : 0;
  }

  // The one table to which a word of the module points, 0 if there is none or more than
  // one.
  uintptr_t Search(uintptr_t code) {
    module_ = FindModule(code);
    mappings_ = HeapMappings(module_);
    if (mappings_.empty()) return 0;
    // The interpreter has written the word at start-up.
    for (const AddressRange& part : WrittenParts(module_)) SearchWords(part);
    Flush();
    return tables_.size() == 1 ? tables_.front() : 0;
  }

 private:
  // Most words are ruled out by arithmetic; the rest is read in batches, safely.
  void SearchWords(const AddressRange& words) {
    uintptr_t lowest = mappings_.front().start;
    uintptr_t bytes = mappings_.back().end - lowest;
    for (uintptr_t at = words.start; at + sizeof(uintptr_t) <= words.end;
         at += sizeof(uintptr_t)) {
      uintptr_t word = *reinterpret_cast<const uintptr_t*>(at);
      if (word - lowest < bytes && word % kMallocAlignment == 0) Consider(word);
    }
  }

  void Consider(uintptr_t word) {
    if (module_.all.Holds(word)) return;
    uintptr_t entry = word + places_.front().arena_index * sizeof(ArenaObject);
    if (!Readable(mappings_, entry, sizeof(ArenaObject))) return;
    candidates_[count_] = word;
    entries_[count_] = entry;
    if (++count_ == SafeReader::kMostAddresses) Flush();
  }

  void Flush() {
    ArenaObject arenas[SafeReader::kMostAddresses];
    bool readable[SafeReader::kMostAddresses];
    if (count_ > 0) reader_.ReadEach(entries_, count_, sizeof *arenas, arenas, readable);
    for (int i = 0; i < count_; ++i) {
      bool fits = readable[i] && Describes(arenas[i], places_.front().pool, geometry_);
      bool known =
          std::find(tables_.begin(), tables_.end(), candidates_[i]) != tables_.end();
      if (fits && !known && HoldsAll(candidates_[i])) tables_.push_back(candidates_[i]);
    }
    count_ = 0;
  }

  bool HoldsAll(uintptr_t table) const {
    uintptr_t entries[kSizeClasses];
    ArenaObject arenas[kSizeClasses];
    bool readable[kSizeClasses];
    for (int i = 0; i < kSizeClasses; ++i)
      entries[i] = table + places_[i].arena_index * sizeof *arenas;
    reader_.ReadEach(entries, kSizeClasses, sizeof *arenas, arenas, readable);
    for (int i = 0; i < kSizeClasses; ++i) {
      if (!readable[i] || !Describes(arenas[i], places_[i].pool, geometry_)) return false;
    }
    return true;
  }

  const SafeReader& reader_;
  const PoolGeometry& geometry_;
  ModuleData module_;
  std::vector<AddressRange> mappings_;
  std::array<PoolPlace, kSizeClasses> places_;
  uintptr_t candidates_[SafeReader::kMostAddresses];
  uintptr_t entries_[SafeReader::kMostAddresses];
  int count_ = 0;
  std::vector<uintptr_t> tables_;
};

// Bytes of the block at `memory`, which PyMem_RawRealloc gave. Its debug layer puts 16
// bytes before a block: the size, big-endian, the letter of the domain, and seven times
// 0xfd. They may not be ours to look at where there is no such layer.
size_t BlockBytes(const SafeReader& reader, uintptr_t memory) {
  unsigned char before[16] = {};
  reader.Read(memory - sizeof before, before, sizeof before);
  bool debug = before[8] == 'r' && std::all_of(before + 9, std::end(before),
                                               [](unsigned char c) { return c == 0xfd; });
  if (!debug) return malloc_usable_size(reinterpret_cast<void*>(memory));
  size_t bytes = 0;
  for (int i = 0; i < 8; ++i) bytes = bytes << 8 | before[i];
  return bytes;
}

size_t TableEntries(const SafeReader& reader, uintptr_t table) {
  size_t room = BlockBytes(reader, table) / sizeof(ArenaObject);
  size_t entries = kFirstTableEntries;
  while (entries * 2 <= room) entries *= 2;
  return room < entries ? 0 : entries;
}

}  // namespace

std::vector<uintptr_t> FindArenas(const SafeReader& reader, uintptr_t code,
                                  const LiveBlocks& blocks, const PoolGeometry& geometry,
                                  uintptr_t place) {
  std::vector<uintptr_t> bases;
  TableSearch search(reader, blocks, geometry);
  uintptr_t table = search.At(place);
  if (table == 0) table = search.Search(code);
  if (table == 0) return bases;
  const auto* arenas = reinterpret_cast<const ArenaObject*>(table);
  for (size_t i = 0, entries = TableEntries(reader, table); i < entries; ++i) {
    if (arenas[i].address != 0) bases.push_back(arenas[i].address);
  }
  return bases;
}

}  // namespace pymalloc_exporter
