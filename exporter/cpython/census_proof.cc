#include "exporter/cpython/census_proof.h"

#include <Python.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "exporter/cpython/python_object.h"
#include "exporter/system/memory_maps.h"

namespace pymalloc_exporter {
namespace {

constexpr uintptr_t kMostRefcount = uintptr_t{1} << 32;
constexpr uint32_t kDebugLayerBytes = 16;
constexpr uint32_t kDebugEndBytes = 8;
constexpr char kProofName[] = "pymalloc_exporter.proof.Proof";

// Whether objects stand behind the debug layer's bytes: their count, 'o', and 0xfd.
bool HasDebugLayer() {
  void* block = PyObject_Malloc(32);
  if (block == nullptr) return false;
  const auto* before = static_cast<const unsigned char*>(block) - 8;
  bool has =
      std::all_of(before + 1, before + 8, [](unsigned char c) { return c == 0xfd; });
  PyObject_Free(block);
  return has;
}

// The objects of the proof: of each layout one.
std::vector<PyObject*> MakeObjects(PyObject* module_key) {
  auto* type = reinterpret_cast<PyObject*>(&PyType_Type);
  PyObject* proof = PyObject_CallFunction(type, "s(O){O:s}", "Proof", &PyBaseObject_Type,
                                          module_key, "pymalloc_exporter.proof");
  PyObject* slots =
      PyObject_CallFunction(type, "s(O){O:s,s:()}", "Proof", &PyBaseObject_Type,
                            module_key, "pymalloc_exporter.proof", "__slots__");
  std::vector<PyObject*> made = {
      PyList_New(3),
      PyTuple_New(3),
      PyDict_New(),
      PySet_New(nullptr),
      PyFloat_FromDouble(0.1),
      PyLong_FromLong(987654321),
      PyBytes_FromString("proof of bytes"),
      PyUnicode_FromString("proof of a string"),
      PyByteArray_FromStringAndSize("proof", 5),
      PyCapsule_New(&made, "proof", nullptr),
      proof == nullptr ? nullptr : PyObject_CallObject(proof, nullptr),
      slots == nullptr ? nullptr : PyObject_CallObject(slots, nullptr)};
  Py_XDECREF(proof);
  Py_XDECREF(slots);
  PyErr_Clear();
  return made;
}

// The block that an object in a pool lies in.
uintptr_t BlockOf(uintptr_t address, const PoolGeometry& geometry, uint32_t* bytes) {
  uintptr_t pool = address & ~uintptr_t{geometry.pool_bytes - 1};
  PoolBlocks blocks;
  ReadPoolBlocks(pool, geometry, blocks);
  *bytes = blocks.block_bytes;
  if (blocks.kind != PoolBlocks::Kind::kLive) return 0;
  uintptr_t first = pool + kPoolHeaderBytes;
  return first + (address - first) / *bytes * *bytes;
}

bool IsToldRight(PyObject* object, ObjectTyper& typer, TypeTable& types,
                 const PoolGeometry& geometry) {
  if (object == nullptr) return false;
  auto address = reinterpret_cast<uintptr_t>(object);
  uint32_t bytes = 0;
  uintptr_t block = BlockOf(address, geometry, &bytes);
  if (block == 0) return false;
  Finding found = typer.Look(block, bytes);
  if (found.kind != BlockKind::kObject || found.object != address ||
      found.type->address != reinterpret_cast<uintptr_t>(Py_TYPE(object))) {
    return false;
  }
  bool heap_type = PyType_HasFeature(Py_TYPE(object), Py_TPFLAGS_HEAPTYPE);
  const char* name = heap_type ? kProofName : Py_TYPE(object)->tp_name;
  return found.type->resolved && types.Name(types.names()[found.type->name]) == name;
}

}  // namespace

bool FindObjectFacts(ObjectFacts* facts) {
  facts->layout = &pymalloc_exporter_object_layout;
  facts->least_pointer = std::min(LowestAddress(), kMostRefcount);
  if (facts->least_pointer == 0) return false;
  bool debug = HasDebugLayer();
  facts->debug_bytes = debug ? kDebugLayerBytes : 0;
  facts->debug_end_bytes = debug ? kDebugEndBytes : 0;
  // Kept for ever: names are told by its address.
  PyObject* key = PyUnicode_InternFromString("__module__");
  if (key == nullptr) PyErr_Clear();
  facts->module_key = reinterpret_cast<uintptr_t>(key);
  pymalloc_exporter_kept_types(facts->kept_types);
  return key != nullptr;
}

bool ProveTyping(const ObjectFacts& facts, const PoolGeometry& geometry, Census& census) {
  std::vector<PyObject*> objects =
      MakeObjects(reinterpret_cast<PyObject*>(facts.module_key));
  TypeReader reader(*facts.layout, facts.module_key);
  KeptFloats floats;
  bool right = reader.usable();
  if (right) {
    census.Begin(reader, floats, nullptr, false);
    ObjectTyper typer(facts, census.types(), floats);
    for (PyObject* object : objects) {
      census.types().AllowReads(8);
      right = right && IsToldRight(object, typer, census.types(), geometry);
    }
  }
  for (PyObject* object : objects) Py_XDECREF(object);
  return right;
}

namespace {

// gc.get_objects() that lie in an arena, by the names of their types. The list itself is
// not in it, but is tracked.
void CountGcObjects(PyObject* list, const std::vector<uintptr_t>& arenas,
                    const PoolGeometry& geometry, TypeTable& types,
                    std::map<std::string, CensusComparison::Row>* rows) {
  auto in_arena = [&](uintptr_t address) {
    auto next = std::upper_bound(arenas.begin(), arenas.end(), address);
    return next != arenas.begin() && address - next[-1] < geometry.arena_bytes;
  };
  auto count = [&](PyObject* object) {
    if (!in_arena(reinterpret_cast<uintptr_t>(object))) return;
    types.AllowReads(8);
    TypeEntry* type = types.Find(reinterpret_cast<uintptr_t>(Py_TYPE(object)));
    std::string name = type == nullptr
                           ? "(not known) " + std::string(Py_TYPE(object)->tp_name)
                           : std::string(types.Name(types.names()[type->name]));
    ++(*rows)[name].gc_objects;
  };
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); ++i) count(PyList_GET_ITEM(list, i));
  count(list);
}

}  // namespace

bool CompareCensus(const CensusCollector& collector, PymallocCollector& pymalloc,
                   FreeListCollector& free_lists, const PoolGeometry& geometry,
                   const LargeTally* large, CensusComparison* out, Reason* why) {
  constexpr auto kScope = PymallocCollector::Scope::kMainInterpreter;
  const ObjectFacts& facts = collector.facts();
  auto census = std::make_unique<Census>();
  *why = facts.layout == nullptr ? Reason::kStarting : Reason::kNone;
  if (*why != Reason::kNone || !census->Open(facts, geometry)) return false;
  Object list = GcObjects();
  if (list == nullptr) {
    PyErr_Clear();
    return false;
  }
  NoRest pace;
  *why = TakeCensus(facts, pymalloc, free_lists, kScope, false, kMostCensusRows, large,
                    pace, *census, &out->sample);
  if (*why == Reason::kNone) {
    out->totals = census->totals();
    TypeTable& types = census->types();
    for (int i = 0; i < types.name_count(); ++i) {
      const NameTotal& name = types.names()[i];
      if (name.objects == 0 && name.bytes == 0) continue;
      out->types[std::string(types.Name(name))] = {
          name.objects,     name.bytes,  name.tracked,       0,
          name.alone_bytes, name.pinned, name.large_objects, name.large_bytes};
    }
    std::vector<uintptr_t> arenas(pymalloc.ListArenas(kScope, nullptr, 0));
    pymalloc.ListArenas(kScope, arenas.data(), arenas.size());
    // Types of objects that no pool holds are learned meanwhile.
    TypeReader reader(*facts.layout, facts.module_key);
    types.UseReader(reader);
    CountGcObjects(list.get(), arenas, geometry, types, &out->types);
  }
  return *why == Reason::kNone;
}

}  // namespace pymalloc_exporter
