// The part of pymalloc_exporter._native that is made when it is first asked for
// something: shows what is read, and applies remedies.

#include "bindings/on_demand.h"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <stdexcept>
#include <string>

#include "exporter/cpython/install.h"
#include "exporter/cpython/interpreter_remedies.h"
#include "exporter/cpython/oracle.h"
#include "exporter/cpython/pinning.h"
#include "exporter/system/malloc/trim.h"

namespace py = pybind11;

namespace pymalloc_exporter {
namespace {

py::dict ToDict(const PymallocSample& ours) {
  py::dict rows;
  rows["arena_size_bytes"] = ours.arena_size_bytes;
  rows["pool_size_bytes"] = ours.pool_size_bytes;
  rows["arenas"] = ours.arenas;
  rows["arenas_highwater"] = ours.arenas_highwater;
  rows["arenas_allocated"] = ours.arenas_allocated;
  rows["arenas_freed"] = ours.arenas_freed;
  rows["live_bytes"] = ours.live_bytes;
  rows["free_block_bytes"] = ours.free_block_bytes;
  rows["free_pool_bytes"] = ours.free_pool_bytes;
  rows["uncarved_bytes"] = ours.uncarved_bytes;
  rows["overhead_bytes"] = ours.overhead_bytes;
  rows["used_pools"] = ours.used_pools;
  rows["unused_pools"] = ours.free_pools + ours.uncarved_pools;
  rows["class_pools"] = ours.class_pools;
  rows["class_live_blocks"] = ours.class_live_blocks;
  rows["class_free_blocks"] = ours.class_free_blocks;
  rows["arenas_by_occupancy"] = ours.arenas_by_occupancy;
  return rows;
}

py::dict ToDict(const OracleReading& oracle) {
  py::dict rows;
  rows["arena_size_bytes"] = oracle.arena_bytes;
  rows["pool_size_bytes"] = oracle.pool_bytes;
  rows["arenas"] = oracle.arenas;
  rows["arenas_highwater"] = oracle.arenas_highwater;
  rows["arenas_allocated"] = oracle.arenas_allocated;
  rows["arenas_freed"] = oracle.arenas_freed;
  rows["live_bytes"] = oracle.live_bytes;
  rows["free_block_bytes"] = oracle.free_block_bytes;
  rows["unused_pools"] = oracle.unused_pools;
  rows["class_pools"] = oracle.class_pools;
  rows["class_live_blocks"] = oracle.class_live_blocks;
  rows["class_free_blocks"] = oracle.class_free_blocks;
  return rows;
}

py::dict Compare() {
  std::string text;
  PymallocSample ours;
  OracleReading oracle;
  if (!ReadBoth(&text, &ours) || !ParseOracle(text, &oracle)) {
    throw std::runtime_error(
        "pymalloc cannot be compared: no oracle, or no arenas to walk");
  }
  py::dict both;
  both["oracle"] = ToDict(oracle);
  both["ours"] = ToDict(ours);
  both["agree"] = Agrees(oracle, ours);
  return both;
}

py::dict ToDict(const Relief& relief) {
  py::dict rows;
  rows["resident_before_bytes"] = relief.resident_before_bytes;
  rows["resident_after_bytes"] = relief.resident_after_bytes;
  rows["stalled_seconds"] = relief.stalled_seconds;
  return rows;
}

py::dict Trim() {
  Relief relief;
  bool trimmed;
  {
    py::gil_scoped_release released;
    trimmed = TrimHeap(&relief);
  }
  if (!trimmed) throw std::runtime_error("malloc is not glibc's");
  return ToDict(relief);
}

py::dict Apply(InterpreterRelief (*remedy)()) {
  InterpreterRelief result = remedy();
  if (!result.done) throw std::runtime_error("the interpreter raised an exception");
  py::dict rows = ToDict(result.relief);
  rows["unreachable_objects"] = result.unreachable_objects;
  rows["freelist_before_bytes"] = result.freelist_before_bytes;
  rows["freelist_after_bytes"] = result.freelist_after_bytes;
  return rows;
}

py::dict ToDict(const FreeListFigure& figure) {
  py::dict row;
  row["objects"] = figure.objects;
  row["bytes"] = figure.bytes;
  row["capacity"] = figure.capacity;
  return row;
}

py::dict CompareFreeLists() {
  std::string text;
  FreeListSample ours;
  if (!ReadBothOfFreeLists(&text, &ours)) {
    throw std::runtime_error("free lists cannot be compared: no oracle, or no reading");
  }
  py::dict kinds, both;
  py::list tuples;
  for (int i = 0; i < kFreeListKinds; ++i) {
    if (ours.kinds[i].capacity > 0) kinds[kFreeListTypes[i]] = ToDict(ours.kinds[i]);
  }
  for (const FreeListFigure& figure : ours.tuples) tuples.append(ToDict(figure));
  both["oracle"] = text;
  both["ours"] = kinds;
  both["tuples"] = tuples;
  return both;
}

py::dict ToDict(const HeapFigure& figure) {
  py::dict row;
  row["bytes"] = figure.bytes;
  row["resident_bytes"] = figure.resident_bytes;
  row["chunks"] = figure.chunks;
  return row;
}

py::dict ToDict(const MallocSample& ours) {
  py::dict rows;
  rows["allocator"] = kAllocatorNames[static_cast<int>(ours.allocator)];
  rows["in_use"] = ToDict(ours.in_use);
  rows["free"] = ToDict(ours.free);
  rows["top"] = ToDict(ours.top);
  rows["mmapped"] = ToDict(ours.mmapped);
  rows["cached"] = ToDict(ours.cached);
  rows["overhead_bytes"] = ours.overhead_bytes;
  rows["arenas"] = ours.arenas;
  rows["largest_free_chunk_bytes"] = ours.largest_free_chunk_bytes;
  rows["free_bytes_by_size"] = ours.free_bytes_by_size;
  rows["trim_bytes"] = ours.trim_bytes;
  return rows;
}

py::dict CompareMalloc() {
  static MallocCollector& collector = *new MallocCollector(&Pymalloc());
  if (collector.state() == Reason::kStarting) collector.Install();
  NoRest pace;
  MallocSample ours;
  MallocOracle oracle{};
  Reason reason = collector.Read(&ours, pace);
  AskMalloc(&oracle);
  py::dict theirs, both;
  theirs["heap_bytes"] = oracle.heap_bytes;
  theirs["mmapped_bytes"] = oracle.mapped_bytes;
  theirs["mmapped_blocks"] = oracle.mapped_blocks;
  theirs["in_use_bytes"] = oracle.in_use_bytes;
  theirs["free_bytes"] = oracle.free_bytes;
  theirs["fast_free_bytes"] = oracle.fast_free_bytes;
  both["reason"] = kReasonNames[static_cast<int>(reason)];
  both["oracle"] = theirs;
  both["ours"] = ToDict(ours);
  return both;
}

py::dict ToDict(const CensusRow* rows, uint32_t count) {
  py::dict types;
  for (uint32_t i = 0; i < count; ++i)
    types[rows[i].type] = py::make_tuple(rows[i].objects, rows[i].bytes);
  return types;
}

py::dict ToDict(const CensusSample& sample) {
  py::dict rows;
  rows["live"] = ToDict(sample.live.data(), sample.live_rows);
  rows["other"] = py::make_tuple(sample.other_objects, sample.other_bytes);
  rows["kept"] = py::make_tuple(sample.kept_objects, sample.kept_bytes);
  rows["untyped_bytes"] = sample.untyped_bytes;
  rows["pinned"] = ToDict(sample.pinned.data(), sample.pinned_rows);
  rows["other_pinned_bytes"] = sample.other_pinned_bytes;
  rows["kept_pinned_bytes"] = sample.kept_pinned_bytes;
  rows["untyped_pinned_bytes"] = sample.untyped_pinned_bytes;
  rows["pinned_total_bytes"] = sample.pinned_total_bytes;
  rows["tops"] = ToDict(sample.tops.data(), sample.top_rows);
  rows["native_top_bytes"] = sample.native_top_bytes;
  rows["large_heap_bytes"] = sample.large_heap_bytes;
  rows["large_mapped_bytes"] = sample.large_mapped_bytes;
  return rows;
}

// What a walk of its own finds of Python's objects in the C heap. Needs no GIL.
class LargeNow {
 public:
  LargeNow() {
    NoRest pace;
    CHeap().WalkFor(*objects_, pace);
  }
  const LargeTally* tally() const { return objects_->last(); }

 private:
  std::unique_ptr<LargeObjects> objects_ =
      std::make_unique<LargeObjects>(TheCensus().facts(), TheCensus().state_now());
};

py::dict TakeTheCensus(double share) {
  auto census = std::make_unique<Census>();
  census->SetShare(share);
  CensusSample sample;
  Reason why;
  {
    py::gil_scoped_release released;
    LargeNow large;
    why = TakeCensusNow(*census, large.tally(), &sample);
  }
  if (why != Reason::kNone) {
    throw std::runtime_error(std::string("no census: ") +
                             kReasonNames[static_cast<int>(why)]);
  }
  py::dict types, all;
  TypeTable& table = census->types();
  for (int i = 0; i < table.name_count(); ++i) {
    const NameTotal& name = table.names()[i];
    if (name.objects == 0 && name.bytes == 0) continue;
    types[std::string(table.Name(name)).c_str()] =
        py::make_tuple(name.objects, name.bytes, static_cast<uint64_t>(name.pinned),
                       name.alone_bytes, name.error_bytes);
  }
  all["types"] = types;
  all["free_list"] = py::make_tuple(sample.kept_objects, sample.kept_bytes);
  all["untyped_bytes"] = sample.untyped_bytes;
  all["arenas"] = sample.arenas;
  all["arenas_read"] = sample.arenas_read;
  all["error_bytes"] = sample.error_bytes;
  all["blocks"] = census->totals().blocks;
  return all;
}

std::vector<PyTypeObject*> TypesOf(const std::vector<py::type>& types) {
  std::vector<PyTypeObject*> pointers;
  for (const py::type& type : types)
    pointers.push_back(reinterpret_cast<PyTypeObject*>(type.ptr()));
  return pointers;
}

py::list Pinning(const std::vector<py::type>& types, size_t most) {
  PyObject* found = ObjectsInSparseArenas(TypesOf(types), most);
  if (found == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::list>(found);
}

py::list TypesCalled(const std::string& name, const std::vector<py::type>& types) {
  std::vector<PyTypeObject*> found = TypesOf(types);
  if (!KeepTypesCalled(name, &found)) throw py::error_already_set();
  py::list all;
  for (PyTypeObject* type : found) all.append(reinterpret_cast<PyObject*>(type));
  return all;
}

py::dict CompareTheCensus() {
  CensusComparison found;
  Reason why;
  LargeNow large;
  if (!CompareCensus(large.tally(), &found, &why)) {
    throw std::runtime_error(std::string("no census: ") +
                             kReasonNames[static_cast<int>(why)]);
  }
  py::dict types, all;
  for (const auto& [name, row] : found.types) {
    py::dict figures;
    figures["objects"] = row.objects;
    figures["bytes"] = row.bytes;
    figures["tracked"] = row.tracked;
    figures["gc_objects"] = row.gc_objects;
    figures["alone_bytes"] = row.alone_bytes;
    figures["large_objects"] = row.large_objects;
    figures["large_bytes"] = row.large_bytes;
    types[name.c_str()] = figures;
  }
  all["types"] = types;
  all["sample"] = ToDict(found.sample);
  all["blocks"] = found.totals.blocks;
  all["block_bytes"] = found.totals.block_bytes;
  all["objects"] = found.totals.objects + found.totals.large_objects;
  all["blocks_in_motion"] = found.totals.blocks_in_motion;
  return all;
}

}  // namespace
}  // namespace pymalloc_exporter

PYBIND11_MODULE(_on_demand, module, py::multiple_interpreters::per_interpreter_gil()) {
  using namespace pymalloc_exporter;
  module.def("trim", &Trim, "See pymalloc_exporter.trim().");
  module.def(
      "collect", [] { return Apply(CollectGarbage); },
      "See pymalloc_exporter.collect().");
  module.def(
      "clear_free_lists", [] { return Apply(ClearFreeLists); },
      "See pymalloc_exporter.clear_free_lists().");
  module.def("compare", &Compare,
             "Our reading of pymalloc and the interpreter's own, taken in one call with\n"
             "nothing run between: {'ours': rows, 'oracle': rows, 'agree': bool}.");
  module.def(
      "census", &TakeTheCensus, py::arg("share") = 1.0,
      "What lives now, counted without the GIL: {'types': {name: (objects, bytes,\n"
      "pinned_bytes, alone_bytes, error_bytes)}, 'free_list': (objects, bytes), ...};\n"
      "estimated where share, that of the arenas which are read, is less than 1.\n"
      "Raises RuntimeError where there can be none, with the reason.");
  module.def("pinning", &Pinning,
             "See pymalloc_exporter.pinning(): of these very types.");
  module.def("types_called", &TypesCalled,
             "Those of the types that the census calls by the name.");
  module.def(
      "compare_census", &CompareTheCensus,
      "A census of this interpreter's arenas and gc.get_objects(), taken in one call\n"
      "with nothing run between: {'types': {name: row}, 'blocks': live blocks, ...}.");
  module.def(
      "compare_free_lists", &CompareFreeLists,
      "Our reading of the free lists and the text of sys._debugmallocstats(), taken\n"
      "in one call: {'ours': {type: row}, 'tuples': [row, ...], 'oracle': text}.");
  module.def(
      "compare_malloc", &CompareMalloc,
      "Our reading of the C heap and malloc's own (which holds its lock), taken in\n"
      "one call: {'reason': why there is none, 'ours': rows, 'oracle': rows}.");
}
