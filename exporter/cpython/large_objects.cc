#include "exporter/cpython/large_objects.h"

#include <sys/mman.h>

#include <new>

#include "exporter/sample/sample.h"

namespace pymalloc_exporter {
namespace {

// Of addresses that turn out to be no types, so many are read in so many chunks.
constexpr int kReads = 16;
constexpr int kChunksPerReads = 64;
// What a chunk may have more than was asked for: malloc splits off no less than a chunk;
// a mapping ends with a page.
constexpr uint64_t kMostSpareBytes = 32;
constexpr uint64_t kMostSpareBytesMapped = 4096 + 32;

}  // namespace

LargeObjects::~LargeObjects() {
  if (tallies_ != nullptr) munmap(tallies_, 2 * sizeof(LargeTally));
}

bool LargeObjects::Prepare() {
  facts_ = source_;
  if (!types_.Open(*facts_.layout)) return false;
  if (tallies_ != nullptr) return true;
  void* memory = mmap(nullptr, 2 * sizeof(LargeTally), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return false;
  tallies_ = static_cast<LargeTally*>(memory);
  return true;
}

void LargeObjects::Begin() noexcept {
  reader_.reset();
  if (state_ != Reason::kNone) last_ = nullptr;
  if (state_ != Reason::kNone || !Prepare()) return;
  reader_.emplace(*facts_.layout, facts_.module_key);
  if (!reader_->usable()) {
    reader_.reset();
    return;
  }
  now_ = last_ == tallies_ ? tallies_ + 1 : tallies_;
  // Its rows are written before they are read: touching them all would be for nothing.
  now_->type_count = now_->top_count = 0;
  now_->keys_bytes = now_->kept_objects = now_->kept_bytes = 0;
  now_->heap_resident_bytes = now_->mapped_resident_bytes = 0;
  types_.BeginPass(*reader_);
  looked_at_ = 0;
}

Finding LargeObjects::Look(const UsedChunk& chunk) {
  bool has_room =
      chunk.bytes > OwnedBuffer::kMostInPool && chunk.words.size() == kFirstWords;
  if (chunk.cached || !has_room) return {BlockKind::kNothing, nullptr, 0};
  if (looked_at_++ % kChunksPerReads == 0) types_.AllowReads(kReads);
  ObjectTyper typer(facts_, types_, no_floats_);
  return typer.LookInHeap(reinterpret_cast<uintptr_t>(chunk.words.data()), chunk.bytes,
                          chunk.mapped ? kMostSpareBytesMapped : kMostSpareBytes);
}

void LargeObjects::OnUsedChunk(const UsedChunk& chunk) noexcept {
  if (!reader_) return;
  Finding found = Look(chunk);
  if (found.kind == BlockKind::kNothing) return;
  if (found.type != nullptr) {
    ++found.type->objects;
    found.type->bytes += chunk.chunk_bytes;
  } else if (found.kind == BlockKind::kDictKeys) {
    now_->keys_bytes += chunk.chunk_bytes;
  } else {
    ++now_->kept_objects;
    now_->kept_bytes += chunk.chunk_bytes;
  }
  (chunk.mapped ? now_->mapped_resident_bytes : now_->heap_resident_bytes) +=
      chunk.resident_bytes;
}

void LargeObjects::OnTopChunk(const UsedChunk& chunk,
                              uint64_t free_bytes_below) noexcept {
  if (!reader_ || now_->top_count == LargeTally::kMostTops) return;
  Finding found = Look(chunk);
  bool object = found.type != nullptr;
  now_->tops[now_->top_count++] = {chunk.memory,
                                   chunk.chunk_bytes,
                                   free_bytes_below,
                                   found.kind,
                                   object ? found.type->address : 0,
                                   object ? found.type->fingerprint : 0};
}

void LargeObjects::Commit(bool complete) noexcept {
  if (!reader_) return;
  reader_.reset();
  if (!complete) return;
  for (const TypeEntry& type : types_) {
    if (type.pass != types_.pass() || type.objects == 0) continue;
    if (now_->type_count == LargeTally::kMostTypes) break;
    now_->types[now_->type_count++] = {type.address, type.fingerprint, type.objects,
                                       type.bytes};
  }
  last_ = now_;
}

}  // namespace pymalloc_exporter
