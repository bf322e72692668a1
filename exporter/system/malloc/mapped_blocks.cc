#include "exporter/system/malloc/mapped_blocks.h"

#include <algorithm>
#include <cstring>

#include "exporter/system/own_memory.h"
#include "exporter/system/pass_memory.h"

namespace pymalloc_exporter {
namespace {

constexpr int kTries = 4;

// Where in a page a header can stand: at its start; behind the start of an aligned block
// for alignments up to 64; at its end for a page and more; for those between, the rest.
// Headers stand at these offsets in a piece.
struct Place {
  uintptr_t piece;
  uint32_t headers[3];
  int count;
};
constexpr Place kPlaces[] = {
    {0, {0, 16, 48}, 3}, {4032, {48}, 1}, {112, {0}, 1},  {240, {0}, 1},
    {496, {0}, 1},       {1008, {0}, 1},  {2032, {0}, 1},
};
constexpr int kUsualPlaces = 2;
constexpr int kAllPlaces = 7;
constexpr int kMostCopies = HeapReader::kMostGathered;

bool Holds(const Mapping& mapping) {
  bool unnamed =
      mapping.name == Mapping::Name::kNone || mapping.name == Mapping::Name::kHugePages;
  return mapping.readable && mapping.writable && !mapping.shared && !mapping.of_file &&
         unnamed;
}

// Ends where its pages do, by two fences or with the top.
class PieceEnd final : public HeapEnd {
 public:
  PieceEnd(const GlibcLayout& layout, HeapReader& reader, uintptr_t start, uintptr_t end)
      : layout_(layout), reader_(reader), start_(start), end_(end) {}

  HeapBounds Read() noexcept override {
    uintptr_t top = layout_.MainWord(layout_.top_offset);
    ChunkHeader header;
    bool last = top >= start_ && top < end_ &&
                reader_.Peek(top, &header, sizeof header) && header.bytes() <= end_ - top;
    return last ? HeapBounds{top, top + header.bytes()} : HeapBounds{0, end_};
  }

 private:
  const GlibcLayout& layout_;
  HeapReader& reader_;
  const uintptr_t start_, end_;
};

}  // namespace

bool IsMappedBlock(uintptr_t header, const ChunkHeader& words, uint32_t extra_bytes,
                   const Mapping& mapping, MappedBlock* block) {
  if ((words.word & kChunkFlags) != kOwnMapping) return false;
  uint64_t distance = AlignDown(words.previous_bytes, kChunkAlignment);
  // In releases that have it, bit 0 is a flag (huge pages).
  uint64_t flags = words.previous_bytes - distance;
  if (flags > (extra_bytes != 0 ? 1u : 0u)) return false;
  if (header < mapping.start || distance > header - mapping.start) return false;
  uintptr_t start = header - distance;
  uint64_t room = mapping.end - start;
  if (start % kPageBytes != 0 || words.bytes() > room) return false;
  uint64_t bytes = distance + words.bytes() + extra_bytes;
  if (bytes % kPageBytes != 0 || bytes > room || words.bytes() < kLeastChunkBytes)
    return false;
  *block = {start, header, bytes};
  return true;
}

Reason MappedBlocks::Find() {
  Reason reason = Reason::kIncomplete;
  for (int i = 0; i < kTries && reason == Reason::kIncomplete; ++i) {
    // Seldom: an alignment between a cache line and a page.
    every_place_ = i % 2 == 1;
    everywhere_ = i > 0;
    reason = FindOnce();
  }
  if (reason != Reason::kNone) return reason;
  for (int i = 0; i < block_count_; ++i) {
    const MappedBlock& block = blocks_[i];
    figure_.bytes += block.bytes;
    figure_.resident_bytes +=
        reader_.Measure(block.start, block.start + block.bytes, block.start).bytes;
  }
  figure_.chunks = static_cast<uint64_t>(block_count_);
  return reader_.stopped() ? Reason::kInconsistent : Reason::kNone;
}

Reason MappedBlocks::FindOnce() {
  HeapTotals totals = walk_.totals();
  Arenas::Mark mark = arenas_.mark();
  block_count_ = piece_count_ = 0;
  all_kept_ = true;
  swapped_ = false;
  figure_ = HeapFigure{};
  mapped_bytes_ = mapped_blocks_ = Counter{};
  NoteCounters();
  bool wanted = PiecesWanted() || mapped_bytes_.most > 0;
  if (wanted && !ScanAll()) return Reason::kUnreadable;
  NoteCounters();
  if (reader_.stopped()) return Reason::kInconsistent;
  if (AreAll() && !PiecesWanted()) return Reason::kNone;
  walk_.totals() = totals;
  arenas_.GoBackTo(mark);
  return swapped_ ? Reason::kSwapped : Reason::kIncomplete;
}

void MappedBlocks::NoteCounters() {
  mapped_bytes_.Note(layout_.mapped_bytes == nullptr ? 0 : *layout_.mapped_bytes);
  if (layout_.mapped_blocks != nullptr)
    mapped_blocks_.Note(static_cast<uint64_t>(*layout_.mapped_blocks));
}

// Whether what was found is what malloc counts.
bool MappedBlocks::AreAll() const {
  if (!all_kept_) return false;
  bool known = layout_.mapped_blocks != nullptr;
  if (known && !mapped_blocks_.Saw(static_cast<uint64_t>(block_count_))) return false;
  uint64_t bytes = 0;
  for (int i = 0; i < block_count_; ++i) bytes += blocks_[i].bytes;
  return layout_.mapped_bytes_exact() ? mapped_bytes_.Saw(bytes)
                                      : bytes <= mapped_bytes_.most;
}

bool MappedBlocks::ScanAll() {
  MapsReader mappings;
  if (!mappings.Open({})) return false;
  Mapping mapping, joined;
  bool any = false;
  while (!reader_.stopped() && mappings.Next(&mapping)) {
    any = true;
    // Parts of a block that somebody locked or advised on are lines of their own.
    if (Holds(mapping) && mapping.start == joined.end) {
      joined.end = mapping.end;
    } else {
      ScanMapping(joined);
      joined = Holds(mapping) ? mapping : Mapping{};
    }
    reader_.Worked(1);
    NoteCounters();
  }
  ScanMapping(joined);
  NoteCounters();
  return any && !mappings.failed();
}

void MappedBlocks::ScanMapping(const Mapping& mapping) {
  uintptr_t pages[kMostCopies];
  int places = every_place_ ? kAllPlaces : kUsualPlaces;
  int most = kMostCopies / places;
  passed_ = mapping.start;
  while (passed_ < mapping.end && !reader_.stopped()) {
    if (uintptr_t heap_end = arenas_.EndOfHeapAt(passed_)) {
      passed_ = heap_end;
      continue;
    }
    uintptr_t begin = passed_;
    uintptr_t limit = std::min(mapping.end, begin + kPagesOfWindow * kPageBytes);
    if (uintptr_t own_end = EndOfOwnMemoryAt(begin, &limit)) {
      passed_ = own_end;
      continue;
    }
    if (uintptr_t arena_end = EndOfPymallocsArenaAt(begin, &limit)) {
      passed_ = arena_end;
      continue;
    }
    int count = static_cast<int>((limit - begin) / kPageBytes);
    std::copy_n(reader_.States(begin, count), count, states_);
    int gathered = 0;
    for (int i = 0; i <= count && !reader_.stopped(); ++i) {
      uintptr_t page = begin + static_cast<uintptr_t>(i) * kPageBytes;
      bool last = i == count;
      if (!last && states_[i] == PageState::kSwapped) swapped_ = true;
      bool looked_at = !last && page >= passed_ && states_[i] == PageState::kResident;
      if (looked_at) pages[gathered++] = page;
      if (gathered == most || (last && gathered > 0)) {
        LookAt(pages, gathered, mapping);
        gathered = 0;
      }
    }
    passed_ = std::max(passed_, begin + static_cast<uintptr_t>(count) * kPageBytes);
  }
}

// 0 if `address` lies in none: then the next one begins at `limit`, if not behind it.
uintptr_t MappedBlocks::EndOfOwnMemoryAt(uintptr_t address, uintptr_t* limit) const {
  AddressRange own = FindOwnMemory(address);
  if (own.start != 0) return own.end;
  *limit = std::min(*limit, own.end);
  // With the copies that it holds.
  auto self = reinterpret_cast<uintptr_t>(this);
  AddressRange self_pages{AlignDown(self, kPageBytes),
                          AlignDown(self + sizeof *this + kPageBytes - 1, kPageBytes)};
  AddressRange ranges[kMostLeft + 2] = {reader_.buffer(), self_pages};
  for (int i = 0; i < kMostLeft; ++i) ranges[i + 2] = LeftMemory(i);
  for (const AddressRange& range : ranges) {
    if (range.Holds(address)) return range.end;
    if (range.start > address) *limit = std::min(*limit, range.start);
  }
  return 0;
}

// The same.
uintptr_t MappedBlocks::EndOfPymallocsArenaAt(uintptr_t address, uintptr_t* limit) const {
  if (pymalloc_ == nullptr || everywhere_) return 0;
  AddressRange arena = pymalloc_->FindArena(address, *limit);
  if (arena.end == 0) return 0;
  if (arena.start <= address) return arena.end;
  *limit = arena.start;
  return 0;
}

void MappedBlocks::LookAt(const uintptr_t* pages, int count, const Mapping& mapping) {
  uintptr_t addresses[kMostCopies] = {};
  bool readable[kMostCopies] = {};
  int places = every_place_ ? kAllPlaces : kUsualPlaces;
  int pieces = 0;
  for (int i = 0; i < count; ++i) {
    for (int place = 0; place < places; ++place) {
      addresses[pieces++] = pages[i] + kPlaces[place].piece;
    }
  }
  reader_.Gather(addresses, pieces, kPieceBytes, readable);
  // A copy, since looking closer at one needs the reader.
  memcpy(copied_, reader_.Gathered(0, kPieceBytes),
         static_cast<size_t>(pieces) * kPieceBytes);
  for (int i = 0; i < pieces; ++i) {
    uintptr_t page = AlignDown(addresses[i], kPageBytes);
    if (!readable[i] || page < passed_) continue;
    const Place& place = kPlaces[i % places];
    for (int k = 0; k < place.count; ++k) {
      ChunkHeader words;
      memcpy(&words, copied_ + static_cast<size_t>(i) * kPieceBytes + place.headers[k],
             sizeof words);
      uintptr_t header = addresses[i] + place.headers[k];
      if (TakeBlock(header, words, mapping)) break;
      if (header == page && TakePiece(page, words, mapping)) break;
    }
  }
}

bool MappedBlocks::TakeBlock(uintptr_t header, const ChunkHeader& words,
                             const Mapping& mapping) {
  MappedBlock block;
  if (!IsMappedBlock(header, words, layout_.mapping_extra_bytes, mapping, &block))
    return false;
  bool room = block_count_ < kMostBlocks;
  // One that overlaps what was taken for another is none.
  bool overlaps = block_count_ > 0 && block.start < blocks_[block_count_ - 1].start +
                                                        blocks_[block_count_ - 1].bytes;
  if (overlaps) return false;
  if (room) blocks_[block_count_++] = block;
  all_kept_ = all_kept_ && room;
  passed_ = block.start + block.bytes;
  return true;
}

bool MappedBlocks::TakePiece(uintptr_t page, const ChunkHeader& words,
                             const Mapping& mapping) {
  if ((words.word & kChunkFlags) != kPreviousInUse || !PiecesWanted()) return false;
  PieceEnd end(layout_, reader_, page, mapping.end);
  HeapBounds bounds = end.Read();
  if (!walk_.ChainBegins(page, bounds.end, bounds.top)) return false;
  walk_.SetDelivering(false);
  HeapTotals before = walk_.totals();
  Reason reason = walk_.Walk(page, end, HeapKind::kMainPiece);
  walk_.SetDelivering(true);
  bool fits = reason == Reason::kNone &&
              walk_.end() - page <= arenas_.MissingOfMainArena() &&
              piece_count_ < kMostPieces && arenas_.AddHeap(page, walk_.end());
  if (!fits) {
    walk_.totals() = before;
    return false;
  }
  pieces_[piece_count_++] = {page, walk_.end(), false};
  arenas_.AddToMainArena(walk_.end() - page);
  passed_ = walk_.end();
  return true;
}

void MappedBlocks::Deliver(std::span<ChunkVisitor* const> visitors) {
  HeapTotals totals = walk_.totals();
  for (int i = 0; i < piece_count_; ++i) {
    PieceEnd end(layout_, reader_, pieces_[i].start, pieces_[i].end);
    walk_.BeginDelivery();
    walk_.Walk(pieces_[i].start, end, HeapKind::kMainPiece);
  }
  walk_.totals() = totals;
  for (int i = 0; i < block_count_ && !reader_.stopped(); ++i) {
    const MappedBlock& block = blocks_[i];
    uint64_t words[kFirstWords];
    uintptr_t memory = block.header + kChunkHeaderBytes;
    bool there = reader_.Peek(memory, words, sizeof words);
    uint64_t resident =
        reader_.Measure(block.start, block.start + block.bytes, block.start).bytes;
    UsedChunk chunk{memory,
                    block.usable_bytes(),
                    block.bytes,
                    resident,
                    true,
                    false,
                    {words, there ? size_t{kFirstWords} : 0}};
    for (ChunkVisitor* visitor : visitors) visitor->OnUsedChunk(chunk);
    reader_.Worked(1);
  }
}

}  // namespace pymalloc_exporter
