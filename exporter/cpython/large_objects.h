// Python's objects in the C heap: those of more than 512 bytes, told as in pools, while
// the C heap is walked.
//
// Only chunks of more than pymalloc's largest block are looked at: others hold no object.
// The first words, which the walk has copied, are enough: an object's type stands there,
// and so does the size of a dict's table. Buffers (items of lists, tables of sets, what
// bytearrays hold) say nothing of themselves: the census asks their owners.
//
// Thread safety: as ChunkVisitor. No GIL, no malloc.

#pragma once

#include <atomic>
#include <optional>

#include "exporter/cpython/object_typing.h"
#include "exporter/sample/collectors.h"
#include "exporter/system/malloc/chunk_visitor.h"

namespace pymalloc_exporter {

struct LargeType {
  uintptr_t address;
  uint64_t fingerprint;
  uint64_t objects;
  uint64_t bytes;  // of their chunks, with headers, as all below
};

// What sits near the top of the main heap.
struct TopBlock {
  uintptr_t memory;
  uint64_t bytes;
  uint64_t free_bytes_below;
  BlockKind kind;
  uintptr_t type;  // of an object
  uint64_t fingerprint;
};

// What a complete walk found.
struct LargeTally {
  static constexpr int kMostTypes = 1024;
  static constexpr int kMostTops = 64;

  LargeType types[kMostTypes];
  int type_count = 0;
  uint64_t keys_bytes = 0;  // tables of dicts
  uint64_t kept_objects = 0;
  uint64_t kept_bytes = 0;
  // Of all of these, on resident pages.
  uint64_t heap_resident_bytes = 0;
  uint64_t mapped_resident_bytes = 0;
  TopBlock tops[kMostTops];  // from the topmost down
  int top_count = 0;
};

class LargeObjects final : public ChunkVisitor {
 public:
  // `facts` hold while `state` is kNone; both stay.
  LargeObjects(const ObjectFacts& facts, const std::atomic<Reason>& state)
      : source_(facts), state_(state) {}
  ~LargeObjects() override;
  LargeObjects(const LargeObjects&) = delete;
  LargeObjects& operator=(const LargeObjects&) = delete;

  void Begin() noexcept override;
  void OnUsedChunk(const UsedChunk& chunk) noexcept override;
  void OnTopChunk(const UsedChunk& chunk, uint64_t free_bytes_below) noexcept override;
  void Commit(bool complete) noexcept override;

  // Of the last complete walk; null before that.
  const LargeTally* last() const { return last_; }

 private:
  bool Prepare();
  Finding Look(const UsedChunk& chunk);

  const ObjectFacts& source_;
  const std::atomic<Reason>& state_;
  ObjectFacts facts_;  // as they were when the walk began
  TypeTable types_;
  KeptFloats no_floats_;
  std::optional<TypeReader> reader_;  // while a walk is made that is looked at
  LargeTally* tallies_ = nullptr;     // two: one is being made
  LargeTally* now_ = nullptr;
  const LargeTally* last_ = nullptr;
  int looked_at_ = 0;
};

}  // namespace pymalloc_exporter
