// The region: memory shared by all processes of one user and one listen address.
//
// A sealed memfd of fixed size: a header, then kSlots slots. Each process writes its own
// slot only, under a seqlock; everything read from a region is untrusted input, also by
// the leader. Two processes that map the same region see the same slot numbers.
//
// Thread safety: Read* and the counters may be used from any thread; a slot has one
// writer. No function allocates from the C heap, none needs the GIL.

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "exporter/sample/sample.h"

namespace pymalloc_exporter {

inline constexpr size_t kSlotBytes = 16 * 1024;
inline constexpr int kSlots = 511;
inline constexpr size_t kRegionBytes = kSlotBytes * (kSlots + 1);  // 8 MiB: header first
inline constexpr int kNoSlot = -1;

// The paths and codes that requests are counted by.
// Those of questions to a worker stand together, in the order of QuestionKind.
enum class HttpPath : uint8_t {
  kMetrics,
  kIndex,
  kHealthy,
  kReady,
  kWorkers,
  kSample,
  kTrim,
  kCollect,
  kClearFreeLists,
  kCensus,
  kDiff,
  kPins,
  kOther,
  kCount
};
enum class HttpCode : uint8_t { k200, k400, k403, k404, k405, k502, k503, k504, kCount };
inline constexpr const char* kHttpPathNames[] = {"/metrics",
                                                 "/",
                                                 "/-/healthy",
                                                 "/-/ready",
                                                 "/api/v1/workers",
                                                 "/api/v1/workers/N/sample",
                                                 "/api/v1/workers/N/trim",
                                                 "/api/v1/workers/N/collect",
                                                 "/api/v1/workers/N/clear-free-lists",
                                                 "/api/v1/workers/N/census",
                                                 "/api/v1/workers/N/diff",
                                                 "/api/v1/workers/N/pins",
                                                 "other"};
inline constexpr int kHttpCodeValues[] = {200, 400, 403, 404, 405, 502, 503, 504};

// Counters of the endpoint. They live in the region, so a new leader goes on counting.
struct EndpointCounters {
  std::atomic<uint64_t> processes_without_slot;  // now; written by the leader
  std::atomic<uint64_t> ended_announced;
  std::atomic<uint64_t> ended_unannounced;
  std::atomic<uint64_t> slots_rejected;
  std::atomic<uint64_t> leader;  // the nonce of the last one
  std::atomic<uint64_t> leader_changes;
  std::atomic<uint64_t> http_requests[static_cast<int>(HttpPath::kCount)]
                                     [static_cast<int>(HttpCode::kCount)];
};

// Proves that its holder inherited this region. Never leaves the processes that map it.
struct RegionKey {
  uint64_t words[2];
};

enum class SlotState {
  kEmpty,     // nobody's, or claimed and not yet written
  kGood,      // *sample holds a valid sample
  kRejected,  // torn for too long, or not valid: not to be published
};

// A mapped region, or none. Copies share the mapping; Unmap() ends it for all of them.
class Region {
 public:
  Region() = default;

  // Makes a new region and its descriptor. `predecessor` (may be unmapped) gives the key,
  // counters and claimed slots that the new one starts with. On failure !mapped().
  // Errors: no memfd, no memory.
  static Region Create(const Region& predecessor, int* fd);

  // A region that cannot be shared but by forking, where there is no memfd to be had.
  static Region CreatePrivate();

  // Sees to it that the memory of a slot is there, where `fd` is the region's descriptor;
  // true without one. Errors: no memory.
  static bool Reserve(int fd, int slot);

  // Maps a region that another process handed over, after checking that it is a memfd
  // with size, seals and header as ours; else !mapped(). The descriptor stays the
  // caller's.
  static Region Adopt(int fd);

  bool mapped() const { return base_ != nullptr; }
  void Unmap();
  uint64_t id() const;  // random, not secret; equal ids: the same region
  RegionKey key() const;
  static RegionKey DrawKey();
  // Gives a region that nobody else maps yet the key that its maker's children may have.
  void SetKey(const RegionKey& key) const;
  EndpointCounters& counters() const;

  // Claims `wanted` if it is free, else the lowest free slot; kNoSlot when all are taken.
  int Claim(uint64_t nonce, int wanted) const;
  // The nonce of the process that holds the slot, 0 if nobody does.
  uint64_t Owner(int slot) const;
  // How many slots are held after the one of `first` and before this one, going around;
  // from the lowest slot on if `first` holds none.
  int HeldBetween(uint64_t first, int slot) const;
  // Frees the slot if `nonce` still holds it; true if this call freed it.
  bool Release(int slot, uint64_t nonce) const;
  // The holder says that its end is near (an interpreter that is finalized), or that it
  // lives on after all. May be called by any thread of the holder.
  void SetGoodbye(int slot, uint64_t nonce, bool goodbye) const;
  bool Goodbye(int slot) const;

  // Publishes `sample` in a slot held by sample.identity.nonce; false if it holds it no
  // more.
  bool Write(int slot, const Sample& sample) const;
  SlotState Read(int slot, Sample* sample) const;

 private:
  explicit Region(std::byte* base) : base_(base) {}
  static Region Begin(std::byte* base);
  void Inherit(const Region& predecessor);
  bool Copy(int slot, Sample* sample, bool* written) const;

  std::byte* base_ = nullptr;
};

}  // namespace pymalloc_exporter
