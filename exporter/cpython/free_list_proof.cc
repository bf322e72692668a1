#include "exporter/cpython/free_list_proof.h"

#include <algorithm>

#include "exporter/cpython/free_list_makers.h"
#include "exporter/cpython/static_free_lists.h"
#include "exporter/system/safe_read.h"

namespace pymalloc_exporter {
namespace {

constexpr uintptr_t kAlignment = 8;

class Prover {
 public:
  bool Holds(const FreeListPlace& place) const {
    int64_t entries = EntriesOf(place);
    if (entries < 0 || entries > place.capacity) return false;
    PyObject* object = MakeForFreeList(place);
    if (object != nullptr) return TakesWhatIsDropped(place, object);
    bool none_to_make = PyErr_Occurred() == nullptr;
    PyErr_Clear();
    return none_to_make && HasWhatItCounts(place, entries);
  }

 private:
  // Takes the object.
  static bool TakesWhatIsDropped(const FreeListPlace& place, PyObject* object) {
    uintptr_t entry = EntryOf(object, place.kind);
    int64_t before = EntriesOf(place);
    Py_DECREF(object);
    int64_t entries = EntriesOf(place);
    if (entries != before + 1 || entries > place.capacity) return false;
    return Item(place, place.form == kFreeListArray ? entries - 1 : 0) == entry;
  }

  bool HasWhatItCounts(const FreeListPlace& place, int64_t entries) const {
    if (place.form == kFreeListLinked) return LinksAreAsMany(place, entries);
    for (int64_t i = 0; i < entries; ++i) {
      uintptr_t word;
      if (!Plausible(Item(place, i)) || !reader_.Read(Item(place, i), &word, sizeof word))
        return false;
    }
    return true;
  }

  bool LinksAreAsMany(const FreeListPlace& place, int64_t entries) const {
    uintptr_t entry = Item(place, 0);
    for (int64_t i = 0; i < entries; ++i) {
      if (!Plausible(entry) ||
          !reader_.Read(entry + place.link_offset, &entry, sizeof entry)) {
        return false;
      }
    }
    return entry == 0;
  }

  static uintptr_t Item(const FreeListPlace& place, int64_t index) {
    return reinterpret_cast<const volatile uintptr_t*>(place.head)[index];
  }
  static bool Plausible(uintptr_t entry) { return entry != 0 && entry % kAlignment == 0; }

  SafeReader reader_;
};

}  // namespace

std::vector<FreeListPlace> FindFreeLists() {
  auto interpreter = reinterpret_cast<uintptr_t>(PyInterpreterState_Main());
  std::vector<FreeListPlace> places;
  for (int i = 0; i < pymalloc_exporter_free_list_count; ++i) {
    const PymallocExporterFreeList& row = pymalloc_exporter_free_lists[i];
    places.push_back({static_cast<FreeListKind>(row.kind), row.length, row.form,
                      interpreter + row.head_offset, interpreter + row.count_offset,
                      row.count_bytes, row.capacity, row.link_offset, row.object_bytes});
  }
  bool found = PY_VERSION_HEX >= 0x030a0000 || FindStaticFreeLists(&places);
  return found ? places : std::vector<FreeListPlace>();
}

bool ProveFreeLists(const std::vector<FreeListPlace>& places) {
  Prover prover;
  return std::all_of(places.begin(), places.end(),
                     [&](const FreeListPlace& place) { return prover.Holds(place); });
}

}  // namespace pymalloc_exporter
