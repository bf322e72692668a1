#include "exporter/sample/ledger.h"

#include <algorithm>

#include "exporter/sample/sample.h"

namespace pymalloc_exporter {
namespace {

// Memory of which parts are taken one after the other, until nothing is left.
class Rest {
 public:
  explicit Rest(uint64_t bytes) : bytes_(bytes) {}

  int64_t Take(uint64_t bytes) {
    bytes = std::min(bytes, bytes_);
    bytes_ -= bytes;
    return static_cast<int64_t>(bytes);
  }
  int64_t TakeAll() { return Take(bytes_); }

 private:
  uint64_t bytes_;
};

// Live blocks, headers and free pools were all written once; of a used pool's free blocks
// some may never have been. What is left was never carved: huge pages bring it in.
void AddArenas(const LedgerInput& input, Rest& rest, Ledger& out) {
  const PymallocSample& pymalloc = *input.pymalloc;
  out.of(LedgerComponent::kSmallLive) = rest.Take(pymalloc.live_bytes);
  out.of(LedgerComponent::kArenaOverhead) = rest.Take(pymalloc.overhead_bytes);
  out.of(LedgerComponent::kFreePools) = rest.Take(pymalloc.free_pool_bytes);
  out.of(LedgerComponent::kSmallHoles) = rest.Take(pymalloc.free_block_bytes);
  out.of(LedgerComponent::kArenaOverhead) += rest.TakeAll();
}

// Other allocators than glibc tell bytes, not which of them are resident.
uint64_t InMemory(const HeapFigure& figure, bool glibc) {
  return glibc ? figure.resident_bytes : std::max(figure.resident_bytes, figure.bytes);
}

void AddHeap(const LedgerInput& input, Rest& rest, Ledger& out) {
  const MallocSample& malloc = *input.malloc;
  bool glibc = malloc.allocator == Allocator::kGlibc;
  Rest in_use(InMemory(malloc.in_use, glibc) + malloc.overhead_resident_bytes);
  Rest mapped(InMemory(malloc.mmapped, glibc));
  int64_t large =
      in_use.Take(input.large_heap_bytes) + mapped.Take(input.large_mapped_bytes);
  auto take = [&](int64_t bytes) { return rest.Take(static_cast<uint64_t>(bytes)); };
  out.of(LedgerComponent::kLargeObjects) = take(large);
  out.of(LedgerComponent::kNativeHeap) = take(in_use.TakeAll());
  out.of(LedgerComponent::kMallocMappings) = take(mapped.TakeAll());
  out.of(LedgerComponent::kHeapHoles) =
      rest.Take(InMemory(malloc.free, glibc) + InMemory(malloc.top, glibc));
}

uint64_t Resident(const LedgerInput& input, MemoryOwner owner) {
  return input.residency->of(owner).resident_bytes;
}

// Of figures that another process may have written: a sum that wraps is no crime.
int64_t Sum(const Ledger& ledger) {
  uint64_t sum = 0;
  for (int64_t bytes : ledger.components) sum += static_cast<uint64_t>(bytes);
  return static_cast<int64_t>(sum);
}

}  // namespace

Ledger MakeLedger(const LedgerInput& input) {
  Ledger out;
  out.resident_bytes = input.process->resident_bytes;
  auto set = [&](LedgerComponent component, uint64_t bytes) {
    out.of(component) = static_cast<int64_t>(bytes);
  };
  Rest arenas(Resident(input, MemoryOwner::kArenas));
  if (input.pymalloc != nullptr) AddArenas(input, arenas, out);
  Rest mapped(Resident(input, MemoryOwner::kHeap) + Resident(input, MemoryOwner::kOther));
  if (input.malloc != nullptr) AddHeap(input, mapped, out);
  out.of(LedgerComponent::kOtherMappings) = mapped.TakeAll() + arenas.TakeAll();
  set(LedgerComponent::kFiles, input.process->resident_file_bytes);
  set(LedgerComponent::kShared, input.process->resident_shmem_bytes);
  set(LedgerComponent::kStacks, Resident(input, MemoryOwner::kStacks));
  set(LedgerComponent::kInterpreterData, Resident(input, MemoryOwner::kData));
  set(LedgerComponent::kExporter, Resident(input, MemoryOwner::kExporter));
  out.of(LedgerComponent::kUnexplained) =
      static_cast<int64_t>(out.resident_bytes) - Sum(out);
  out.live_bytes = static_cast<uint64_t>(
      out.of(LedgerComponent::kSmallLive) + out.of(LedgerComponent::kLargeObjects) +
      out.of(LedgerComponent::kNativeHeap) + out.of(LedgerComponent::kMallocMappings));
  return out;
}

bool AddsUp(const Ledger& ledger) {
  return std::all_of(ledger.components.begin(), ledger.components.end() - 1,
                     [](int64_t bytes) { return bytes >= 0; }) &&
         Sum(ledger) == static_cast<int64_t>(ledger.resident_bytes);
}

}  // namespace pymalloc_exporter
