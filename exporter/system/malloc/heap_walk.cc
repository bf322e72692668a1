#include "exporter/system/malloc/heap_walk.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace pymalloc_exporter {
namespace {

constexpr uint64_t kFenceBytes = 16;
constexpr int kMostFences = 3;
constexpr int kLoadsPerCheckpoint = 4;
// The most windows that are read, in terms of those that the heap has.
constexpr int64_t kMostRounds = 8;
constexpr int64_t kSpareLoads = 4096;
constexpr int64_t kPieceSpareLoads = 16;
// How often it goes back without coming further than before.
constexpr int kMostStuck = 100;
constexpr int kChunksPerCopiedPage = 64;  // by the time that they take
constexpr int kChainDepth = 16;
// Foreign memory in the heap is searched to its end, if that is not further.
constexpr uint64_t kMostForeignBytes = uint64_t{1} << 32;

int BandOf(uint64_t bytes) {
  int band = 0;
  while (band < kFreeChunkBands - 1 && bytes >= kFreeChunkBounds[band]) ++band;
  return band;
}

uint64_t Sum(const HeapTotals& totals) {
  return totals.in_use.bytes + totals.free.bytes + totals.top.bytes +
         totals.overhead_bytes;
}

}  // namespace

Reason HeapWalk::Walk(uintptr_t start, HeapEnd& end, HeapKind kind) {
  HeapTotals before = totals_;
  kind_ = kind;
  end_ = &end;
  bounds_ = end.Read();
  at_ = start;
  fences_ = 0;
  saved_ = oldest_ = 0;
  loads_since_saved_ = 0;
  furthest_miss_ = 0;
  back_ = 1;
  stuck_ = 0;
  totals_.free_since_used_bytes = 0;
  if (kind == HeapKind::kMain) tops_ = 0;
  first_ = {at_, totals_};
  uint64_t windows =
      bounds_.end > start ? (bounds_.end - start) / HeapReader::kWindowBytes : 0;
  // Where a piece of the main heap begins is a guess, and soon seen to be wrong.
  loads_left_ = (kind == HeapKind::kMainPiece ? kPieceSpareLoads : kSpareLoads) +
                kMostRounds * static_cast<int64_t>(windows);
  reader_.Invalidate();
  int chunks = 0;
  for (;;) {
    Step step = Next();
    if (reader_.stopped()) step = Step::kStopped;
    if (step == Step::kEnd && Sum(totals_) - Sum(before) == at_ - start)
      return Reason::kNone;
    if (step == Step::kMiss && GoBack()) continue;
    if (step != Step::kOn) {
      totals_ = before;
      return step == Step::kStopped   ? Reason::kInconsistent
             : step == Step::kSwapped ? Reason::kSwapped
                                      : Reason::kIncomplete;
    }
    if (++chunks % (16 * kChunksPerCopiedPage) == 0) reader_.Worked(16);
  }
}

HeapWalk::Step HeapWalk::Next() {
  if (loads_since_saved_ >= kLoadsPerCheckpoint && fences_ == 0) Save();
  ChunkHeader header;
  Step read = ReadHeader(at_, &header);
  if (read != Step::kOn) return read;
  if (at_ == bounds_.top) return TakeTop(header);
  if (bounds_.top != 0 && at_ > bounds_.top) return Step::kMiss;
  bool foreign = fences_ >= 2 && header.bytes() != kFenceBytes &&
                 !ChainBegins(at_, bounds_.end, bounds_.top);
  if (foreign) return SkipForeign();
  if (header.bytes() < kLeastChunkBytes) return TakeFence(header);
  fences_ = 0;
  return TakeChunk(header);
}

HeapWalk::Step HeapWalk::TakeChunk(const ChunkHeader& header) {
  uintptr_t limit = bounds_.top > at_ ? bounds_.top : bounds_.end;
  if (!header.Fits(limit - at_)) return Step::kMiss;
  if (kind_ != HeapKind::kThreadHeap && header.not_main_arena()) return Step::kMiss;
  uint64_t bytes = header.bytes();
  CopyWords(bytes);
  Residence residence = reader_.Measure(at_, at_ + bytes, at_ + kFreeChunkHeadBytes);
  ChunkHeader next;
  Step read = ReadHeader(at_ + bytes, &next);
  if (read != Step::kOn) return read;
  if (next.previous_in_use()) {
    CountUsed(bytes, residence.bytes);
  } else {
    if (next.previous_bytes != bytes) return Step::kMiss;
    CountFree(bytes, residence);
  }
  at_ += bytes;
  return Step::kOn;
}

void HeapWalk::CountUsed(uint64_t bytes, uint64_t resident) {
  totals_.in_use.bytes += bytes;
  totals_.in_use.resident_bytes += resident;
  ++totals_.in_use.chunks;
  bool cached = cached_key_ != 0 && word_count_ > 1 && words_[1] == cached_key_;
  if (cached) {
    totals_.cached.bytes += bytes;
    totals_.cached.resident_bytes += resident;
    ++totals_.cached.chunks;
  }
  if (kind_ == HeapKind::kMain) NoteTopChunk(bytes, resident, cached);
  totals_.free_since_used_bytes = 0;
  if (!delivering_ || at_ < delivered_) return;
  delivered_ = at_ + bytes;
  UsedChunk chunk{at_ + kChunkHeaderBytes,
                  // The word behind it is the user's as long as it is in use.
                  bytes - kChunkHeaderBytes + sizeof(uint64_t),
                  bytes,
                  resident,
                  false,
                  cached,
                  {words_, static_cast<size_t>(word_count_)}};
  for (ChunkVisitor* visitor : visitors_) visitor->OnUsedChunk(chunk);
}

void HeapWalk::CountFree(uint64_t bytes, const Residence& residence) {
  totals_.free.bytes += bytes;
  totals_.free.resident_bytes += residence.bytes;
  ++totals_.free.chunks;
  totals_.trim_bytes += residence.whole_page_bytes;
  totals_.free_since_used_bytes += residence.bytes;
  totals_.free_bytes_by_size[BandOf(bytes)] += bytes;
  totals_.largest_free_chunk_bytes = std::max(totals_.largest_free_chunk_bytes, bytes);
}

HeapWalk::Step HeapWalk::TakeTop(const ChunkHeader& header) {
  uint64_t bytes = header.bytes();
  if (bytes != bounds_.end - at_) return Step::kMiss;
  // What systrim() releases of the main heap: whole pages, but for one chunk's worth.
  uint64_t released =
      bytes <= kLeastChunkBytes ? 0 : AlignDown(bytes - kLeastChunkBytes - 1, kPageBytes);
  Residence residence = reader_.Measure(at_, bounds_.end, bounds_.end - released);
  if (reader_.stopped()) return Step::kStopped;
  totals_.top.bytes += bytes;
  totals_.top.resident_bytes += residence.bytes;
  ++totals_.top.chunks;
  if (kind_ == HeapKind::kMain) totals_.trim_bytes += residence.whole_page_bytes;
  at_ = bounds_.end;
  return Step::kEnd;
}

HeapWalk::Step HeapWalk::TakeFence(const ChunkHeader& header) {
  bool last = header.bytes() == 0 && kind_ == HeapKind::kThreadHeap &&
              at_ + kFenceBytes == bounds_.end;
  if (header.bytes() != kFenceBytes && !last) return Step::kMiss;
  totals_.overhead_bytes += kFenceBytes;
  totals_.overhead_resident_bytes += kFenceBytes;
  at_ += kFenceBytes;
  if (last) return Step::kEnd;
  ++fences_;
  if (kind_ == HeapKind::kThreadHeap) return Step::kOn;
  // A top that was just too small for them leaves one more.
  if (fences_ > kMostFences) return Step::kMiss;
  bool piece_ends = kind_ == HeapKind::kMainPiece && fences_ >= 2;
  if ((piece_ends || at_ == bounds_.end) && at_ % kPageBytes == 0) return Step::kEnd;
  return Step::kOn;
}

// Somebody else moved the break: glibc's chunks go on somewhere behind.
HeapWalk::Step HeapWalk::SkipForeign() {
  uintptr_t begin = at_;
  uintptr_t limit = std::min<uintptr_t>(bounds_.end, begin + kMostForeignBytes);
  for (uintptr_t page = AlignDown(begin, kPageBytes); page < limit; page += kPageBytes) {
    if (reader_.stopped()) return Step::kStopped;
    bool there = reader_.Holds(page, kPageBytes) ||
                 reader_.Load(page, bounds_.end) == PageState::kResident;
    if (!there) continue;
    for (uintptr_t at = std::max(page, begin); at < page + kPageBytes;
         at += kChunkAlignment) {
      if (!ChainBegins(at, bounds_.end, bounds_.top)) continue;
      totals_.overhead_bytes += at - begin;
      totals_.overhead_resident_bytes += reader_.Measure(begin, at, at).bytes;
      at_ = at;
      fences_ = 0;
      return Step::kOn;
    }
  }
  return Step::kMiss;
}

bool HeapWalk::ChainBegins(uintptr_t address, uintptr_t end, uintptr_t top) {
  bool previous_free = false;
  uint64_t bytes = 0;
  int fences = 0;
  for (int depth = 0; depth < kChainDepth; ++depth) {
    ChunkHeader header;
    if (address >= end || !PeekHeader(address, &header)) return false;
    if (depth == 0 && !header.previous_in_use()) return false;
    previous_free = depth > 0 && !header.previous_in_use();
    if (previous_free && header.previous_bytes != bytes) return false;
    if (header.own_mapping() || header.not_main_arena()) return false;
    bytes = header.bytes();
    if (address == top) return bytes == end - address;
    if (bytes == kFenceBytes) {
      // Two of them end a heap; a heap of nothing else is none.
      if (depth == 0) return false;
      if (++fences == 2) return true;
    } else if (!header.Fits(end - address)) {
      return false;
    }
    address += bytes;
  }
  return true;
}

HeapWalk::Step HeapWalk::ReadHeader(uintptr_t address, ChunkHeader* header) {
  if (!reader_.Holds(address, sizeof *header)) {
    if (--loads_left_ < 0) return Step::kMiss;
    bounds_ = end_->Read();
    PageState state = reader_.Load(address, bounds_.end);
    if (reader_.stopped()) return Step::kStopped;
    if (state == PageState::kSwapped) return Step::kSwapped;
    if (!reader_.Holds(address, sizeof *header)) return Step::kMiss;
    ++loads_since_saved_;
  }
  memcpy(header, reader_.At(address), sizeof *header);
  return Step::kOn;
}

bool HeapWalk::PeekHeader(uintptr_t address, ChunkHeader* header) {
  if (!reader_.Holds(address, sizeof *header)) {
    return reader_.Peek(address, header, sizeof *header);
  }
  memcpy(header, reader_.At(address), sizeof *header);
  return true;
}

// Of the chunk at at_, before the window moves on.
void HeapWalk::CopyWords(uint64_t bytes) {
  uint64_t usable = bytes - kChunkHeaderBytes + sizeof(uint64_t);
  word_count_ =
      static_cast<int>(std::min<uint64_t>(kFirstWords, usable / sizeof(uint64_t)));
  size_t wanted = static_cast<size_t>(word_count_) * sizeof(uint64_t);
  uintptr_t memory = at_ + kChunkHeaderBytes;
  if (reader_.Holds(memory, wanted)) {
    memcpy(words_, reader_.At(memory), wanted);
  } else if (!reader_.Peek(memory, words_, wanted)) {
    word_count_ = 0;
  }
}

void HeapWalk::NoteTopChunk(uint64_t bytes, uint64_t resident, bool cached) {
  TopChunk& chunk = top_chunks_[tops_++ % kTopChunks];
  chunk.memory = at_ + kChunkHeaderBytes;
  chunk.bytes = bytes;
  chunk.resident_bytes = resident;
  chunk.free_bytes_below = totals_.free_since_used_bytes;
  memcpy(chunk.words, words_, sizeof chunk.words);
  chunk.word_count = word_count_;
  chunk.cached = cached;
}

void HeapWalk::ForgetTopChunksFrom(uintptr_t address) {
  for (int i = 0; i < kTopChunks && tops_ > 0; ++i) {
    if (top_chunks_[(tops_ - 1) % kTopChunks].memory < address) return;
    --tops_;
  }
  // All that are kept lie behind: those before are not known any more.
  tops_ = 0;
}

void HeapWalk::Save() {
  loads_since_saved_ = 0;
  new (&checkpoints_[saved_++ % kCheckpoints].checkpoint) Checkpoint{at_, totals_};
  oldest_ = std::max(oldest_, saved_ - kCheckpoints);
}

// False if the walk has to be given up.
bool HeapWalk::GoBack() {
  bool further = at_ > furthest_miss_;
  stuck_ = further ? 0 : stuck_ + 1;
  if (loads_left_ < 0 || stuck_ > kMostStuck) return false;
  back_ = further ? 1 : std::min<int64_t>(back_ * 2, kCheckpoints);
  furthest_miss_ = std::max(furthest_miss_, at_);
  int64_t to = saved_ - back_;
  bool kept = to >= oldest_;
  const Checkpoint& from = kept ? checkpoints_[to % kCheckpoints].checkpoint : first_;
  saved_ = kept ? to + 1 : 0;
  if (!kept) oldest_ = 0;
  at_ = from.at;
  totals_ = from.totals;
  fences_ = 0;
  loads_since_saved_ = 0;
  if (kind_ == HeapKind::kMain) ForgetTopChunksFrom(at_);
  reader_.Invalidate();
  bounds_ = end_->Read();
  return true;
}

}  // namespace pymalloc_exporter
