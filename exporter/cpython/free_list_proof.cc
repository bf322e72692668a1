#include "exporter/cpython/free_list_proof.h"

#include <algorithm>

#include "exporter/cpython/free_list_makers.h"
#include "exporter/cpython/static_free_lists.h"
#include "exporter/system/safe_read.h"

namespace pymalloc_exporter {
namespace {

constexpr uintptr_t kAlignment = 8;

uintptr_t Item(const FreeListPlace& place, int64_t index) {
  return reinterpret_cast<const volatile uintptr_t*>(place.head)[index];
}

bool Plausible(uintptr_t entry) { return entry != 0 && entry % kAlignment == 0; }

// Takes the object.
bool TakesWhatIsDropped(const FreeListPlace& place, PyObject* object) {
  uintptr_t entry = EntryOf(object, place.kind);
  int64_t before = EntriesOf(place);
  Py_DECREF(object);
  int64_t entries = EntriesOf(place);
  if (entries != before + 1 || entries > place.capacity) return false;
  return Item(place, place.form == kFreeListArray ? entries - 1 : 0) == entry;
}

bool LinksAreAsMany(const SafeReader& reader, const FreeListPlace& place,
                    int64_t entries) {
  uintptr_t entry = Item(place, 0);
  for (int64_t i = 0; i < entries; ++i) {
    if (!Plausible(entry) ||
        !reader.Read(entry + place.link_offset, &entry, sizeof entry)) {
      return false;
    }
  }
  return entry == 0;
}

bool HasWhatItCounts(const SafeReader& reader, const FreeListPlace& place,
                     int64_t entries) {
  if (place.form == kFreeListLinked) return LinksAreAsMany(reader, place, entries);
  for (int64_t i = 0; i < entries; ++i) {
    uintptr_t word;
    if (!Plausible(Item(place, i)) || !reader.Read(Item(place, i), &word, sizeof word))
      return false;
  }
  return true;
}

bool Holds(const SafeReader& reader, const FreeListPlace& place) {
  int64_t entries = EntriesOf(place);
  if (entries < 0 || entries > place.capacity) return false;
  PyObject* object = MakeForFreeList(place);
  if (object != nullptr) return TakesWhatIsDropped(place, object);
  bool none_to_make = PyErr_Occurred() == nullptr;
  PyErr_Clear();
  return none_to_make && HasWhatItCounts(reader, place, entries);
}

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
  SafeReader reader;
  return std::all_of(places.begin(), places.end(),
                     [&](const FreeListPlace& place) { return Holds(reader, place); });
}

}  // namespace pymalloc_exporter
