#include "exporter/cpython/pinning.h"

#include <algorithm>
#include <utility>

#include "exporter/cpython/install.h"
#include "exporter/cpython/python_object.h"
#include "exporter/cpython/sparse_arenas.h"

namespace pymalloc_exporter {
namespace {

bool Refuse(const char* why) {
  PyErr_Format(PyExc_RuntimeError, "arenas cannot be looked at: %s", why);
  return false;
}

bool MayLook(Reason state) {
  if (!InMainInterpreter()) return Refuse("this is a sub-interpreter");
  return state == Reason::kNone || Refuse(kReasonNames[static_cast<int>(state)]);
}

// The first `most` by the rank of their arena, then by address. Borrowed references.
class Picks {
 public:
  explicit Picks(size_t most) : most_(most) {}

  void Offer(size_t rank, PyObject* object) {
    std::pair offered(rank, object);
    if (picks_.size() == most_) {
      if (most_ == 0 || !(offered < picks_.front())) return;
      std::pop_heap(picks_.begin(), picks_.end());
      picks_.pop_back();
    }
    picks_.push_back(offered);
    std::push_heap(picks_.begin(), picks_.end());
  }

  PyObject* ToList() {
    std::sort_heap(picks_.begin(), picks_.end());
    PyObject* list = PyList_New(static_cast<Py_ssize_t>(picks_.size()));
    for (size_t i = 0; list != nullptr && i < picks_.size(); ++i) {
      Py_INCREF(picks_[i].second);
      PyList_SET_ITEM(list, static_cast<Py_ssize_t>(i), picks_[i].second);
    }
    return list;
  }

 private:
  size_t most_;
  std::vector<std::pair<size_t, PyObject*>> picks_;
};

}  // namespace

PyObject* ObjectsInSparseArenas(std::vector<PyTypeObject*> types, size_t most) {
  if (!MayLook(TheCensus().state())) return nullptr;
  std::sort(types.begin(), types.end());
  // Holds them all until the end: making the other list may collect garbage.
  Object all = GcObjects();
  SparseArenas arenas(Geometry());
  if (all == nullptr || !MayLook(FindSparseArenas(&arenas))) return nullptr;
  Picks picks(most);
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(all.get()); ++i) {
    PyObject* object = PyList_GET_ITEM(all.get(), i);
    if (!std::binary_search(types.begin(), types.end(), Py_TYPE(object))) continue;
    size_t rank = arenas.RankOf(reinterpret_cast<uintptr_t>(object));
    if (rank != SparseArenas::kNone) picks.Offer(rank, object);
  }
  return picks.ToList();
}

bool KeepTypesCalled(std::string_view name, std::vector<PyTypeObject*>* types) {
  if (!MayLook(TheCensus().state())) return false;
  const ObjectFacts& known = TheCensus().facts();
  TypeReader reader(*known.layout, known.module_key);
  if (!reader.usable()) return MayLook(Reason::kUnreadable);
  auto called_otherwise = [&](PyTypeObject* type) {
    TypeFacts facts;
    TypeName read;
    if (!reader.Read(reinterpret_cast<uintptr_t>(type), &facts)) return true;
    reader.ReadName(facts, &read);
    return name != read.text;
  };
  types->erase(std::remove_if(types->begin(), types->end(), called_otherwise),
               types->end());
  return true;
}

}  // namespace pymalloc_exporter
