#include "exporter/cpython/arena_registry.h"

#include <sys/mman.h>

#include "exporter/system/own_memory.h"

namespace pymalloc_exporter {
namespace {

constexpr int kCellBits = 18;  // 256 KiB
constexpr int kNodeBits = 10;
constexpr uintptr_t kNodeMask = (1 << kNodeBits) - 1;
constexpr uintptr_t kHandedOver = 1;

constexpr uintptr_t LeafIndex(uintptr_t base) { return base >> kCellBits & kNodeMask; }
constexpr uintptr_t MiddleIndex(uintptr_t base) {
  return base >> (kCellBits + kNodeBits) & kNodeMask;
}
constexpr uintptr_t RootIndex(uintptr_t base) {
  return base >> (kCellBits + 2 * kNodeBits) & kNodeMask;
}

// The node behind `slot`, made if `create`; of two threads that make it one wins.
template <typename Node>
Node* Child(std::atomic<Node*>& slot, bool create) {
  Node* node = slot.load(std::memory_order_acquire);
  if (node != nullptr || !create) return node;
  void* memory = mmap(nullptr, sizeof(Node), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  if (slot.compare_exchange_strong(node, static_cast<Node*>(memory))) {
    NoteOwnMemory(memory, sizeof(Node));
    return static_cast<Node*>(memory);
  }
  munmap(memory, sizeof(Node));
  return node;
}

}  // namespace

ArenaRegistry::Cell* ArenaRegistry::CellOf(uintptr_t base, bool create) {
  Middle* middle = Child(root_[RootIndex(base)], create);
  if (middle == nullptr) return nullptr;
  Leaf* leaf = Child(middle->leaves[MiddleIndex(base)], create);
  return leaf == nullptr ? nullptr : &leaf->cells[LeafIndex(base)];
}

bool ArenaRegistry::Insert(uintptr_t base, uintptr_t state) {
  Cell* cell = CellOf(base, true);
  if (cell != nullptr) cell->store(base | state);
  return cell != nullptr;
}

uintptr_t ArenaRegistry::Find(uintptr_t base) const {
  const Cell* cell = const_cast<ArenaRegistry*>(this)->CellOf(base, false);
  uintptr_t entry = cell == nullptr ? 0 : cell->load();
  return Base(entry) == base ? entry : 0;
}

uintptr_t ArenaRegistry::Next(uintptr_t from, uintptr_t limit) const {
  auto* self = const_cast<ArenaRegistry*>(this);
  for (uintptr_t cell = from >> kCellBits << kCellBits; cell < limit;
       cell += uintptr_t{1} << kCellBits) {
    Cell* place = self->CellOf(cell, false);
    uintptr_t entry = place == nullptr ? 0 : place->load();
    if (Base(entry) >= from && Base(entry) < limit) return entry;
  }
  return 0;
}

uintptr_t ArenaRegistry::Remove(uintptr_t base) {
  Cell* cell = CellOf(base, false);
  if (cell == nullptr || Base(cell->load()) != base) return 0;
  return cell->exchange(0);
}

void ArenaRegistry::Clear() {
  ForEach([](Cell& cell, uintptr_t) {
    cell.store(0);
    return true;
  });
}

bool ArenaRegistry::HandOver(uintptr_t base) {
  return reading_.compare_exchange_strong(base, base | kHandedOver);
}

uintptr_t ArenaRegistry::BeginRead(const Cell& cell, uintptr_t base) {
  // Both sides are sequentially consistent: either the free sees what is read here, or
  // this load sees that the arena is gone.
  reading_.store(base);
  uintptr_t entry = cell.load();
  return Base(entry) == base ? entry : 0;
}

bool ArenaRegistry::EndRead() { return (reading_.exchange(0) & kHandedOver) != 0; }

}  // namespace pymalloc_exporter
