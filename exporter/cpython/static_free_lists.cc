#include "exporter/cpython/static_free_lists.h"

#include <algorithm>
#include <array>

#include "exporter/cpython/free_list_makers.h"
#include "exporter/system/module_data.h"

namespace pymalloc_exporter {
namespace {

// One round may leave more than one word by chance.
constexpr int kFewestRounds = 2;
constexpr int kMostRounds = 6;

// How many of the kind in this place are dropped in a round: for no two of up to 12 kinds
// the same.
int Drops(size_t place, int round) {
  return 1 + static_cast<int>((place * 7 + static_cast<size_t>(round) * 5) % 13);
}

// What is known of one list.
struct Quarry {
  FreeListPlace* place;
  std::vector<uintptr_t> counts{};  // where the count may be
  std::vector<uintptr_t> tops{};    // where the entry dropped last is
  int32_t risen = 0;                // by how much the count rose in this round
  uintptr_t dropped_last = 0;
};

class Hunt {
 public:
  explicit Hunt(std::vector<Quarry>* quarries) : quarries_(*quarries) {}

  bool Run() {
    // Once without looking, so that all that they write is written.
    if (!MakeAll(0)) return false;
    DropAll();
    parts_ = WrittenParts(FindModule(reinterpret_cast<uintptr_t>(&PyObject_Malloc)));
    for (int round = 0; round < kMostRounds; ++round) {
      if (!MakeAll(round)) return false;
      std::vector<int32_t> before = Copy();
      DropAll();
      Compare(before, round == 0);
      bool found = std::all_of(quarries_.begin(), quarries_.end(), Found);
      if (found && round + 1 >= kFewestRounds) {
        for (Quarry& quarry : quarries_) Settle(quarry);
        return true;
      }
    }
    return false;
  }

 private:
  bool MakeAll(int round) {
    for (size_t i = 0; i < quarries_.size(); ++i) {
      bool single = quarries_[i].place->form == kFreeListSingle;
      quarries_[i].risen = single ? 1 : Drops(i, round);
      for (int n = 0; n < quarries_[i].risen; ++n) {
        objects_[i].push_back(MakeForFreeList(*quarries_[i].place));
        if (objects_[i].back() != nullptr) continue;
        PyErr_Clear();
        objects_[i].pop_back();
        DropAll();
        return false;
      }
    }
    // A dict with keys is a dict as well.
    int32_t keys = 0;
    for (const Quarry& quarry : quarries_) {
      if (quarry.place->kind == kDictKeysFreeList) keys = quarry.risen;
    }
    for (Quarry& quarry : quarries_) {
      if (quarry.place->kind == kDictFreeList) quarry.risen += keys;
    }
    return true;
  }

  // In reverse, so that dicts come after dicts with keys.
  void DropAll() {
    for (size_t i = quarries_.size(); i-- > 0;) {
      for (PyObject* object : objects_[i]) {
        quarries_[i].dropped_last = EntryOf(object, quarries_[i].place->kind);
        Py_DECREF(object);
      }
      objects_[i].clear();
    }
  }

  std::vector<int32_t> Copy() const {
    std::vector<int32_t> words;
    for (const AddressRange& part : parts_) {
      words.insert(words.end(), reinterpret_cast<const int32_t*>(part.start),
                   reinterpret_cast<const int32_t*>(part.end & ~uintptr_t{3}));
    }
    return words;
  }

  void Compare(const std::vector<int32_t>& before, bool first) {
    std::vector<std::vector<uintptr_t>> counts(quarries_.size());
    for (Quarry& quarry : quarries_) quarry.tops.clear();
    const int32_t* old = before.data();
    for (const AddressRange& part : parts_) {
      for (uintptr_t at = part.start; at + sizeof *old <= part.end;
           at += sizeof *old, ++old) {
        int32_t now = *reinterpret_cast<const int32_t*>(at);
        if (now > *old && *old >= 0) NoteRise(at, *old, now, &counts);
        if (now != *old && at % sizeof(uintptr_t) == 0 && at + 8 <= part.end) NoteTop(at);
      }
    }
    for (size_t i = 0; i < quarries_.size(); ++i) {
      Narrow(counts[i], first, &quarries_[i].counts);
    }
  }

  void NoteRise(uintptr_t at, int32_t old, int32_t now,
                std::vector<std::vector<uintptr_t>>* counts) const {
    for (size_t i = 0; i < quarries_.size(); ++i) {
      bool fits = now - old == quarries_[i].risen &&
                  now <= static_cast<int32_t>(quarries_[i].place->capacity);
      if (fits) (*counts)[i].push_back(at);
    }
  }

  void NoteTop(uintptr_t at) {
    uintptr_t word = *reinterpret_cast<const uintptr_t*>(at);
    for (Quarry& quarry : quarries_) {
      if (word == quarry.dropped_last) quarry.tops.push_back(at);
    }
  }

  // Both are in order of addresses.
  static void Narrow(const std::vector<uintptr_t>& now, bool first,
                     std::vector<uintptr_t>* candidates) {
    if (first) {
      *candidates = now;
      return;
    }
    std::erase_if(*candidates, [&](uintptr_t at) {
      return !std::binary_search(now.begin(), now.end(), at);
    });
  }

  static bool Found(const Quarry& quarry) {
    bool single = quarry.place->form == kFreeListSingle;
    return (single || quarry.counts.size() == 1) && quarry.tops.size() == 1;
  }

  static void Settle(Quarry& quarry) {
    FreeListPlace& place = *quarry.place;
    place.head = quarry.tops[0];
    if (place.form == kFreeListSingle) return;
    place.count = quarry.counts[0];
    if (place.form == kFreeListArray) {
      place.head -= static_cast<uintptr_t>(EntriesOf(place) - 1) * sizeof(uintptr_t);
    }
  }

  std::vector<Quarry>& quarries_;
  std::vector<AddressRange> parts_;
  std::array<std::vector<PyObject*>, 16> objects_;
};

}  // namespace

bool FindStaticFreeLists(std::vector<FreeListPlace>* places) {
  std::vector<Quarry> quarries;
  FreeListPlace* tuples = nullptr;  // of length 1
  for (FreeListPlace& place : *places) {
    // One array of heads and one of counts serve tuples of all lengths.
    if (place.length > 1) continue;
    if (place.length == 1) tuples = &place;
    quarries.push_back({&place});
  }
  if (!Hunt(&quarries).Run() || tuples == nullptr) return false;
  for (FreeListPlace& place : *places) {
    if (place.length <= 1) continue;
    place.head = tuples->head + (place.length - 1) * sizeof(uintptr_t);
    place.count = tuples->count + (place.length - 1) * sizeof(int32_t);
  }
  return true;
}

}  // namespace pymalloc_exporter
