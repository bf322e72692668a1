#include "exporter/sample/ledger_collector.h"

#include <unistd.h>

#include <algorithm>

#include "exporter/system/clock.h"
#include "exporter/system/page_map.h"

namespace pymalloc_exporter {
namespace {

constexpr int kBandsMostlyFree = 5;  // arenas of which less than half is live

bool Has(const Sample& sample, CollectorId id) {
  return sample.status(id).timestamp_seconds > 0;
}

LedgerInput InputOf(const Sample& sample) {
  LedgerInput input;
  input.process = &sample.process;
  input.residency = &sample.residency;
  if (Has(sample, CollectorId::kPymalloc)) input.pymalloc = &sample.pymalloc;
  // Set by a walk through the C heap, of whatever age.
  if (sample.malloc.allocator != Allocator::kUnknown) input.malloc = &sample.malloc;
  if (Has(sample, CollectorId::kCensus)) {
    input.large_heap_bytes = sample.census.large_heap_bytes;
    input.large_mapped_bytes = sample.census.large_mapped_bytes;
  }
  return input;
}

uint64_t FreeListBytes(const FreeListSample& lists) {
  uint64_t bytes = 0;
  for (const FreeListFigure& figure : lists.kinds) bytes += figure.bytes;
  return bytes;
}

// The largest types, by which a leak is named.
void AddTypes(const Sample& sample, MemoryLook& look) {
  if (!Has(sample, CollectorId::kCensus)) return;
  const CensusSample& census = sample.census;
  uint32_t rows = std::min<uint32_t>(census.live_rows, kMostLookTypes);
  for (uint32_t i = 0; i < rows; ++i) {
    look.types[i] = {TypeHash(census.live[i].type), census.live[i].bytes};
  }
}

}  // namespace

// What arenas that are mostly free hold besides their live blocks: what would go if these
// lived elsewhere. Each counts for the middle of its band.
uint64_t UnpinBytes(const PymallocSample& pymalloc) {
  uint64_t percent_free = 0;
  for (uint64_t band = 0; band < kBandsMostlyFree; ++band) {
    percent_free += pymalloc.arenas_by_occupancy[band] * (95 - 10 * band);
  }
  uint64_t bytes = percent_free * pymalloc.arena_size_bytes / 100;
  return std::min(bytes, pymalloc.free_block_bytes + pymalloc.free_pool_bytes);
}

// Of the memory inherited at the fork what is no longer shared with anybody.
uint64_t LedgerCollector::UnsharedBytes(const Sample& sample) {
  // What a process that is gone left behind was not copied.
  if (getppid() != parent_) inherited_bytes_ = 0;
  if (!sample.residency.page_map) return 0;
  ResidencyFigure total = sample.residency.total();
  uint64_t shared = total.resident_bytes - total.exclusive_bytes;
  uint64_t parted = inherited_bytes_ > shared ? inherited_bytes_ - shared : 0;
  return std::min(parted, total.exclusive_bytes);
}

void LedgerCollector::Look(const Sample& sample) {
  const Ledger& ledger = sample.ledger.ledger;
  auto bytes = [&](LedgerComponent component) {
    return static_cast<uint64_t>(ledger.of(component));
  };
  MemoryLook look;
  look.seconds = Seconds(CLOCK_REALTIME);
  look.resident_bytes = ledger.resident_bytes;
  look.python_bytes =
      bytes(LedgerComponent::kSmallLive) + bytes(LedgerComponent::kLargeObjects);
  look.native_bytes = bytes(LedgerComponent::kNativeHeap) +
                      bytes(LedgerComponent::kMallocMappings) +
                      bytes(LedgerComponent::kOtherMappings);
  look.arena_free_bytes =
      bytes(LedgerComponent::kSmallHoles) + bytes(LedgerComponent::kFreePools);
  look.heap_free_bytes = bytes(LedgerComponent::kHeapHoles);
  look.trim_bytes = sample.malloc.trim_bytes;
  look.unpin_bytes = sample.ledger.unpin_bytes;
  AddTypes(sample, look);
  look.unshared_bytes = UnsharedBytes(sample);
  look.inherited_bytes = inherited_bytes_;
  history_.Add(look);
}

Reason LedgerCollector::Collect(Sample& sample, Pace& pace) noexcept {
  const CollectorStatus& residency = sample.status(CollectorId::kResidency);
  if (!residency.up()) return residency.reason;
  if (!pace.Rest()) return Reason::kInconsistent;
  pymalloc_.Collect(sample, pace.stop());
  Reason read = process_.Collect(sample, pace.stop());
  if (read != Reason::kNone) return read;
  LedgerSample& out = sample.ledger;
  out.ledger = MakeLedger(InputOf(sample));
  out.unpin_bytes = UnpinBytes(sample.pymalloc);
  out.freelist_bytes = FreeListBytes(sample.free_lists);
  Look(sample);
  out.judgement = Judge(history_.looks());
  return Reason::kNone;
}

void LedgerCollector::BecomeChild() noexcept {
  history_.Clear();
  parent_ = getppid();
  inherited_bytes_ = 0;
  char text[256];
  // Pages: size, resident, and of the resident those of files and shared memory.
  std::string_view statm = ReadFile(paths_.proc, "self/statm", text, sizeof text);
  uint64_t pages[3];
  for (uint64_t& count : pages) {
    if (!ParseNumber(statm, &count)) return;
    statm.remove_prefix(std::min(statm.find(' ', 1), statm.size()));
  }
  if (pages[1] > pages[2]) inherited_bytes_ = (pages[1] - pages[2]) * kPageBytes;
}

}  // namespace pymalloc_exporter
