// The free lists of the main interpreter, counted without the GIL.
//
// Each list keeps the number of its entries beside it: that is what is read, one aligned
// word a list, checked against the list's capacity. No entry is touched. That the words
// are the right ones is proven at install (free_list_proof.h).
//
// Thread safety: Collect on the sampler's thread; Begin and End under the GIL.

#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "exporter/cpython/free_list_layout.h"
#include "exporter/sample/collector.h"
#include "exporter/system/safe_read.h"

namespace pymalloc_exporter {

// One free list of the running interpreter.
struct FreeListPlace {
  FreeListKind kind;
  uint32_t length;  // of the tuples in it; 0 for other kinds
  PymallocExporterFreeListForm form;
  uintptr_t head;   // address of the pointer, the array or the head; 0: not known
  uintptr_t count;  // address of the count; not of a single object
  uint32_t count_bytes;
  uint32_t capacity;
  uint32_t link_offset;
  uint32_t object_bytes;
};

// How many entries it has now; negative where the interpreter has switched it off.
int64_t EntriesOf(const FreeListPlace& place);

class FreeListCollector final : public Collector {
 public:
  static constexpr int kMostPlaces = 64;

  CollectorId id() const override { return CollectorId::kFreeLists; }
  Reason Collect(Sample& sample, const StopFlag& stop) noexcept override;

  // The places have to stay readable until End(): the main interpreter's state does. No
  // more than kMostPlaces are taken.
  void Begin(const std::vector<FreeListPlace>& places);
  void SetState(Reason state) { state_ = state; }
  // From now on nothing of the interpreter is looked at; returns when nothing is.
  void End();

  // The addresses of the entries of a linked list, at most `most`, sorted; how many.
  int ReadEntries(FreeListKind kind, const SafeReader& memory, uintptr_t* entries,
                  int most);

  // False if a count is out of range: then `out` is not changed.
  bool Read(FreeListSample* out) const;

 private:
  FreeListPlace places_[kMostPlaces];
  int count_ = 0;
  std::atomic<Reason> state_{Reason::kStarting};
  std::atomic<int> reading_{0};  // by so many threads
};

}  // namespace pymalloc_exporter
