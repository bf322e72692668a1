#include "exporter/cpython/census.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "exporter/system/clock.h"
#include "exporter/system/malloc/chunk.h"
#include "exporter/system/page_map.h"

namespace pymalloc_exporter {
namespace {

// Of addresses in a pool that turn out to be no types, so many are read.
constexpr int kReadsAPool = 64;

// Headers in the C heap that are read of large buffers: in each piece, and from this size
// on, which malloc's threshold for mappings of their own never falls below by itself.
constexpr int kHeapReadsAPiece = 32;
constexpr uint64_t kLeastMappedBytes = 128 * 1024;

// A newcomer takes a row from a listed type when it is larger by this.
constexpr double kHysteresis = 1.25;

// Rows that are no types; a type that calls itself so is among the others.
constexpr std::string_view kReservedNames[] = {"other", "(free list)", "(untyped)",
                                               "(native)", "?"};

bool Reserved(std::string_view name) {
  return std::find(std::begin(kReservedNames), std::end(kReservedNames), name) !=
         std::end(kReservedNames);
}

// The types with the largest scores, in their order.
class TopList {
 public:
  explicit TopList(int most) : most_(std::clamp(most, 0, kMostCensusRows)) {}

  void Offer(NameTotal* name, double score) {
    if (most_ == 0 || (count_ == most_ && score <= scores_[count_ - 1])) return;
    int at = count_ < most_ ? count_++ : count_ - 1;
    for (; at > 0 && scores_[at - 1] < score; --at) {
      scores_[at] = scores_[at - 1];
      names_[at] = names_[at - 1];
    }
    scores_[at] = score;
    names_[at] = name;
  }
  int count() const { return count_; }
  NameTotal* operator[](int i) const { return names_[i]; }

 private:
  int most_;
  int count_ = 0;
  double scores_[kMostCensusRows];
  NameTotal* names_[kMostCensusRows];
};

void SetName(std::string_view name, CensusRow* row) {
  size_t bytes = std::min<size_t>(name.size(), kTypeNameBytes - 1);
  memcpy(row->type, name.data(), bytes);
  row->type[bytes] = 0;
}

template <typename Score>
TopList Pick(TypeTable& types, int top, bool NameTotal::* listed, Score score) {
  TopList list(top);
  for (NameTotal* name = types.names(); name < types.names() + types.name_count();
       ++name) {
    double value = score(*name);
    if (value > 0 && !Reserved(types.Name(*name)))
      list.Offer(name, name->*listed ? value * kHysteresis : value);
    name->*listed = false;
  }
  for (int i = 0; i < list.count(); ++i) list[i]->*listed = true;
  return list;
}

void FillLive(TypeTable& types, int top, CensusSample* out) {
  TopList list = Pick(types, top, &NameTotal::listed_live, [](const NameTotal& name) {
    return static_cast<double>(name.bytes);
  });
  for (int i = 0; i < types.name_count(); ++i) {
    const NameTotal& name = types.names()[i];
    if (name.listed_live) continue;
    out->other_objects += name.objects;
    out->other_bytes += name.bytes;
  }
  out->live_rows = static_cast<uint32_t>(list.count());
  for (int i = 0; i < list.count(); ++i) {
    SetName(types.Name(*list[i]), &out->live[i]);
    out->live[i].objects = list[i]->objects;
    out->live[i].bytes = list[i]->bytes;
  }
}

// The names with the most free bytes below their blocks; the top of the heap has few.
void FillTops(TypeTable& types, const Census& census, CensusSample* out) {
  struct Sum {
    int name;
    uint64_t blocks, bytes;
  };
  Sum sums[LargeTally::kMostTops];
  int count = 0;
  for (int i = 0; i < census.top_pins(); ++i) {
    const TopPin& pin = census.top_pin(i);
    bool named =
        pin.name != TopPin::kNobodys && !Reserved(types.Name(types.names()[pin.name]));
    if (!named) {
      out->native_top_bytes += pin.free_bytes_below;
      continue;
    }
    Sum* end = sums + count;
    Sum* sum =
        std::find_if(sums, end, [&](const Sum& one) { return one.name == pin.name; });
    if (sum == end) sums[count++] = {pin.name, 0, 0};
    ++sum->blocks;
    sum->bytes += pin.free_bytes_below;
  }
  std::sort(sums, sums + count,
            [](const Sum& a, const Sum& b) { return a.bytes > b.bytes; });
  for (int i = 0; i < count && sums[i].bytes > 0; ++i) {
    if (i >= kMostTopRows) {
      out->other_top_bytes += sums[i].bytes;
      continue;
    }
    CensusRow& row = out->tops[out->top_rows++];
    SetName(types.Name(types.names()[sums[i].name]), &row);
    row.objects = sums[i].blocks;
    row.bytes = sums[i].bytes;
  }
}

// What rounding leaves is the others', so that it adds up.
void FillPinned(TypeTable& types, int top, const CensusTotals& totals,
                CensusSample* out) {
  TopList list = Pick(types, top, &NameTotal::listed_pinned,
                      [](const NameTotal& name) { return name.pinned; });
  out->pinned_total_bytes = totals.sparse_free_bytes;
  uint64_t left = totals.sparse_free_bytes;
  auto take = [&](double bytes) {
    uint64_t whole = std::min(left, static_cast<uint64_t>(bytes));
    left -= whole;
    return whole;
  };
  out->pinned_rows = static_cast<uint32_t>(list.count());
  for (int i = 0; i < list.count(); ++i) {
    SetName(types.Name(*list[i]), &out->pinned[i]);
    out->pinned[i].bytes = take(list[i]->pinned);
  }
  out->kept_pinned_bytes = take(totals.kept_pinned);
  out->untyped_pinned_bytes = take(totals.untyped_pinned);
  out->other_pinned_bytes = left;
}

}  // namespace

void Census::BeginTops() {
  int count = top_pins();
  lowest_top_ = UINTPTR_MAX;
  highest_top_ = 0;
  for (int i = 0; i < count; ++i) {
    const TopBlock& top = large_->tops[i];
    top_pins_[i] = {TopPin::kNobodys, top.bytes, top.free_bytes_below};
    lowest_top_ = std::min(lowest_top_, top.memory);
    highest_top_ = std::max(highest_top_, top.memory);
  }
}

Census::Census() : sample_(static_cast<uint64_t>(Now())) {}

bool Census::Open(const ObjectFacts& facts, const PoolGeometry& geometry) {
  facts_ = &facts;
  geometry_ = geometry;
  return types_.Open(*facts.layout);
}

void Census::Begin(const TypeReader& reader, const KeptFloats& floats,
                   const LargeTally* large, bool read_heap) {
  floats_ = &floats;
  large_ = large;
  read_heap_ = read_heap;
  BeginTops();
  types_.BeginPass(reader);
  totals_ = CensusTotals{};
  sample_.Begin(share_);
  touched_count_ = 0;
  types_.AllowReads(kReadsAPool);
  dict_ = types_.Find(facts_->layout->dict_type);
}

void Census::BeginArena() {
  // Of an arena that went away in the middle.
  for (int i = 0; i < touched_count_; ++i) {
    TypeEntry& type = types_.begin()[touched_[i]];
    type.arena_bytes = 0;
    type.touched = false;
  }
  touched_count_ = 0;
  arena_ = ArenaTally{};
}

bool Census::Read(uintptr_t arena, uint32_t piece) {
  if (piece == 0) BeginArena();
  heap_reads_left_ = read_heap_ ? kHeapReadsAPiece : 0;
  ObjectTyper typer(*facts_, types_, *floats_);
  bool last = ForEachPool(arena, piece, geometry_,
                          [&](uintptr_t pool) { return ReadPool(pool, typer); });
  if (!last) return false;
  EndArena();
  return true;
}

// False at the first pool that is not carved: the rest is not, either.
bool Census::ReadPool(uintptr_t pool, ObjectTyper typer) {
  PoolBlocks blocks;
  ReadPoolBlocks(pool, geometry_, blocks);
  if (blocks.kind == PoolBlocks::Kind::kUncarved) return false;
  arena_.bytes.Add(blocks, geometry_);
  bool used =
      blocks.kind == PoolBlocks::Kind::kLive || blocks.kind == PoolBlocks::Kind::kCounted;
  if (!used) return true;
  uint64_t live_bytes = uint64_t{blocks.live} * blocks.block_bytes;
  totals_.blocks += blocks.live;
  totals_.block_bytes += live_bytes;
  if (blocks.kind == PoolBlocks::Kind::kCounted) {
    totals_.blocks_in_motion += blocks.live;
    arena_.untyped_bytes += live_bytes;
    return true;
  }
  types_.AllowReads(kReadsAPool);
  uint32_t bytes = blocks.block_bytes;
  ForEachLiveBlock(pool, blocks, [&](uintptr_t block) {
    Finding found = typer.Look(block, bytes);
    if (found.kind != BlockKind::kObject) return CountOther(found.kind, bytes);
    TypeEntry& type = *found.type;
    if (type.pool_objects == 0) Meet(type, bytes);
    ++type.pool_objects;
    if (type.has_gc && typer.Tracked(found)) ++type.pool_tracked;
    if (type.owned != Owned::kNothing) CountBuffer(type, typer.BufferOf(found));
  });
  AddMet(bytes);
  return true;
}

void Census::Meet(TypeEntry& type, uint32_t bytes) {
  if (met_count_ == kMostMet) AddMet(bytes);
  met_[met_count_++] = &type;
  Touch(type);
}

void Census::AddMet(uint32_t bytes) {
  for (int i = 0; i < met_count_; ++i) {
    TypeEntry& type = *met_[i];
    uint32_t all_bytes = type.pool_objects * bytes;
    type.objects += type.pool_objects;
    type.bytes += all_bytes;
    type.tracked += type.pool_tracked;
    type.arena_bytes += all_bytes;
    totals_.objects += type.pool_objects;
    totals_.object_bytes += all_bytes;
    type.pool_objects = type.pool_tracked = 0;
  }
  met_count_ = 0;
}

void Census::CountOther(BlockKind kind, uint32_t bytes) {
  if (kind == BlockKind::kNothing) {
    arena_.untyped_bytes += bytes;
  } else if (kind == BlockKind::kKept) {
    ++totals_.kept_objects;
    totals_.kept_bytes += bytes;
    arena_.kept_bytes += bytes;
  } else {
    totals_.keys_bytes += bytes;
    if (dict_ == nullptr) return;
    Touch(*dict_);
    dict_->bytes += bytes;
    dict_->arena_bytes += bytes;
  }
}

void Census::CountBuffer(TypeEntry& type, const OwnedBuffer& buffer) {
  if (buffer.in_pool()) {
    type.bytes += buffer.bytes;
    totals_.owned_pool_bytes += buffer.bytes;
    return;
  }
  OwnedBuffer chunk = buffer;
  if (chunk.bytes >= kLeastMappedBytes && heap_reads_left_ > 0) LookAtChunk(&chunk);
  type.bytes += chunk.bytes;
  totals_.owned_heap_bytes += chunk.bytes;
  bool may_be_top = chunk.address >= lowest_top_ && chunk.address <= highest_top_;
  if (may_be_top) NoteTopOwner(type, chunk.address);
}

// Whether it is a mapping of its own, which is rounded up otherwise.
void Census::LookAtChunk(OwnedBuffer* buffer) {
  ChunkHeader header;
  --heap_reads_left_;
  bool read = types_.reader().memory().Read(buffer->address - kChunkHeaderBytes, &header,
                                            sizeof header);
  // Not glibc's, or gone meanwhile.
  bool makes_sense = read && header.own_mapping() && header.bytes() >= buffer->bytes &&
                     header.bytes() - buffer->bytes <= 2 * kPageBytes;
  if (!makes_sense) return;
  buffer->bytes = header.bytes();
  totals_.owned_mapped_bytes += buffer->bytes;
}

// Before its first bytes in an arena are counted.
inline void Census::Touch(TypeEntry& type) {
  if (type.touched) return;
  type.touched = true;
  type.earlier_bytes = type.bytes;
  touched_[touched_count_++] = static_cast<uint16_t>(&type - types_.begin());
}

void Census::EndArena() {
  const ArenaBytes& bytes = arena_.bytes;
  bool sparse = bytes.sparse();
  double share =
      sparse ? static_cast<double>(bytes.free) / static_cast<double>(bytes.live) : 0;
  bool alone = sparse && touched_count_ == 1 &&
               types_.begin()[touched_[0]].arena_bytes == bytes.live;
  double typed = 0;
  for (int i = 0; i < touched_count_; ++i) {
    TypeEntry& type = types_.begin()[touched_[i]];
    auto its = static_cast<double>(type.bytes - type.earlier_bytes);
    type.squares += static_cast<float>(its * its);
    typed += its;
    type.pinned += share * type.arena_bytes;
    if (alone) ++type.alone_arenas;
    type.arena_bytes = 0;
    type.touched = false;
  }
  touched_count_ = 0;
  totals_.typed_squares += typed * typed;
  if (!sparse) return;
  totals_.sparse_free_bytes += bytes.free;
  totals_.kept_pinned += share * static_cast<double>(arena_.kept_bytes);
  totals_.untyped_pinned += share * static_cast<double>(arena_.untyped_bytes);
}

// From the arenas that were read to all. Returns the standard error of what types have.
double Census::Scale() {
  double typed = 0;
  for (int i = 0; i < types_.name_count(); ++i) {
    NameTotal& name = types_.names()[i];
    auto sum = static_cast<double>(name.bytes);
    typed += sum;
    name.error_bytes = sample_.StandardError(sum, static_cast<double>(name.squares));
  }
  double error = sample_.StandardError(typed, totals_.typed_squares);
  if (sample_.whole()) return error;
  double scale = sample_.scale();
  auto up = [scale](uint64_t& figure) {
    figure = static_cast<uint64_t>(std::llround(static_cast<double>(figure) * scale));
  };
  for (int i = 0; i < types_.name_count(); ++i) {
    NameTotal& name = types_.names()[i];
    for (uint64_t* figure :
         {&name.objects, &name.bytes, &name.tracked, &name.alone_bytes})
      up(*figure);
    name.pinned *= scale;
  }
  CensusTotals& all = totals_;
  for (uint64_t* figure :
       {&all.blocks, &all.block_bytes, &all.objects, &all.object_bytes, &all.kept_objects,
        &all.kept_bytes, &all.keys_bytes, &all.owned_pool_bytes, &all.owned_heap_bytes,
        &all.owned_mapped_bytes, &all.blocks_in_motion, &all.sparse_free_bytes})
    up(*figure);
  all.kept_pinned *= scale;
  all.untyped_pinned *= scale;
  return error;
}

void Census::NoteTopOwner(const TypeEntry& type, uintptr_t buffer) {
  for (int i = 0; i < top_pins(); ++i) {
    if (large_->tops[i].memory == buffer) top_pins_[i].name = type.name;
  }
}

int Census::NameOf(const TopBlock& block) {
  if (block.kind == BlockKind::kDictKeys && dict_ != nullptr) return dict_->name;
  if (block.kind != BlockKind::kObject) return TopPin::kNobodys;
  const TypeEntry* type = types_.Find(block.type);
  bool same = type != nullptr && type->fingerprint == block.fingerprint;
  return same ? type->name : TopPin::kNobodys;
}

// After the pass, since types that no pool holds an object of are learned here.
void Census::AddLarge(CensusSample* out) {
  for (int i = 0; i < large_->type_count; ++i) {
    const LargeType& large = large_->types[i];
    const TypeEntry* type = types_.Find(large.address);
    // Gone since the walk.
    if (type == nullptr || type->fingerprint != large.fingerprint) continue;
    NameTotal& name = types_.names()[type->name];
    name.objects += large.objects;
    name.bytes += large.bytes;
    name.large_objects += large.objects;
    name.large_bytes += large.bytes;
    totals_.large_objects += large.objects;
  }
  if (dict_ != nullptr) types_.names()[dict_->name].bytes += large_->keys_bytes;
  for (int i = 0; i < top_pins(); ++i) {
    if (top_pins_[i].name == TopPin::kNobodys)
      top_pins_[i].name = NameOf(large_->tops[i]);
  }
  out->kept_objects = large_->kept_objects;
  out->kept_bytes = large_->kept_bytes;
  out->large_heap_bytes =
      large_->heap_resident_bytes + totals_.owned_heap_bytes - totals_.owned_mapped_bytes;
  out->large_mapped_bytes = large_->mapped_resident_bytes + totals_.owned_mapped_bytes;
}

void Census::Finish(int top, CensusSample* out) {
  *out = CensusSample{};
  types_.AllowReads(kReadsAPool);
  types_.EndPass(geometry_.arena_bytes);
  out->error_bytes = Scale();
  out->arenas = sample_.arenas();
  out->arenas_read = sample_.drawn();
  if (large_ != nullptr) AddLarge(out);
  FillLive(types_, top, out);
  FillPinned(types_, top, totals_, out);
  FillTops(types_, *this, out);
  out->kept_objects += totals_.kept_objects;
  out->kept_bytes += totals_.kept_bytes;
  uint64_t told = totals_.object_bytes + totals_.kept_bytes + totals_.keys_bytes +
                  totals_.owned_pool_bytes;
  out->untyped_bytes = totals_.block_bytes > told ? totals_.block_bytes - told : 0;
}

// The largest, where there are more than there is room for.
void Census::Keep(const CensusSample& sample, CensusSnapshot* out) {
  uint16_t ids[TypeTable::kMostNames];
  const NameTotal* names = types_.names();
  int count = 0;
  for (int i = 0; i < types_.name_count(); ++i) {
    const NameTotal& name = names[i];
    if (name.objects == 0 && name.bytes == 0) continue;
    if (Reserved(types_.Name(name))) {
      out->other_objects += name.objects;
      out->other_bytes += name.bytes;
      continue;
    }
    ids[count++] = static_cast<uint16_t>(i);
  }
  if (count > CensusSnapshot::kMostRows) {
    std::nth_element(
        ids, ids + CensusSnapshot::kMostRows, ids + count,
        [&](uint16_t a, uint16_t b) { return names[a].bytes > names[b].bytes; });
  }
  uint64_t pinned = sample.kept_pinned_bytes + sample.untyped_pinned_bytes;
  for (int i = 0; i < count; ++i) {
    const NameTotal& name = names[ids[i]];
    auto bytes = static_cast<uint64_t>(name.pinned);
    pinned += bytes;
    out->Add(types_.Name(name), {name.objects, name.bytes, bytes, name.alone_bytes,
                                 name.error_bytes, name.hash, 0});
  }
  out->Sort();
  out->sparse_free_bytes = sample.pinned_total_bytes;
  // What rounding leaves, and types that have no name of their own.
  if (out->sparse_free_bytes > pinned)
    out->other_pinned_bytes += out->sparse_free_bytes - pinned;
  out->kept_objects = sample.kept_objects;
  out->kept_bytes = sample.kept_bytes;
  out->kept_pinned_bytes = sample.kept_pinned_bytes;
  out->untyped_bytes = sample.untyped_bytes;
  out->untyped_pinned_bytes = sample.untyped_pinned_bytes;
  out->error_bytes = sample.error_bytes;
  out->arenas = sample.arenas;
  out->arenas_read = sample.arenas_read;
  for (int i = 0; i < top_pins(); ++i) {
    const TopPin& pin = top_pins_[i];
    std::string_view name;
    if (pin.name != TopPin::kNobodys) name = types_.Name(names[pin.name]);
    out->AddTop(Reserved(name) ? std::string_view() : name, pin.bytes,
                pin.free_bytes_below);
  }
}

}  // namespace pymalloc_exporter
