#include "exporter/cpython/install.h"

#include <Python.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "exporter/cpython/census_proof.h"
#include "exporter/cpython/find_arenas.h"
#include "exporter/cpython/free_list_proof.h"
#include "exporter/cpython/interpreter_remedies.h"
#include "exporter/cpython/layout.h"
#include "exporter/cpython/python_object.h"
#include "exporter/system/module_data.h"
#include "exporter/system/safe_read.h"

// Exported by every version and kept for guppy3, but declared in internal headers only.
extern "C" {
int _PyObject_DebugMallocStats(FILE* out);
const char* _PyMem_GetCurrentAllocatorName(void);
}

namespace pymalloc_exporter {
namespace {

// The largest request that is small also with the debug layer's 24 bytes around it.
constexpr size_t kLargestSmallRequest = 480;

const PymallocExporterLayout& Layout() { return pymalloc_exporter_layout; }

void* HookAllocate(void*, size_t bytes) {
  return Pymalloc().OnAllocate(bytes, pymalloc_exporter_on_main_heap());
}

void HookFree(void*, void* memory, size_t bytes) { Pymalloc().OnFree(memory, bytes); }

bool HookInPlace() {
  PyObjectArenaAllocator current;
  PyObject_GetArenaAllocator(&current);
  return current.alloc == HookAllocate && current.free == HookFree;
}

// The same without the interpreter's lock; REQUIRES: the record was seen to be right.
bool HookOnRecord() {
  auto* record = static_cast<const volatile PyObjectArenaAllocator*>(
      pymalloc_exporter_arena_allocator());
  return record->alloc == HookAllocate && record->free == HookFree;
}

// Whether the record tells the allocator that the interpreter says it has.
bool RecordIsRight(const PyObjectArenaAllocator& current) {
  auto* record = static_cast<const volatile PyObjectArenaAllocator*>(
      pymalloc_exporter_arena_allocator());
  return record != nullptr && record->ctx == current.ctx &&
         record->alloc == current.alloc && record->free == current.free;
}

uintptr_t InterpreterCode() { return reinterpret_cast<uintptr_t>(&PyObject_Malloc); }

bool IsInterpretersOwn(const PyObjectArenaAllocator& allocator) {
  ModuleData interpreter = FindModule(InterpreterCode());
  return interpreter.all.Holds(reinterpret_cast<uintptr_t>(allocator.alloc));
}

// Where the headers say that a pointer to the table of arenas stands; 0 where they don't.
uintptr_t ArenaTablePlace(const SafeReader& reader) {
  const PymallocExporterArenaTable& table = Layout().arena_table;
  if (table.offset == 0) return 0;
  auto place = reinterpret_cast<uintptr_t>(PyInterpreterState_Main()) + table.offset;
  uintptr_t outer = 0;
  if (!table.indirect) return place;
  return reader.Read(place, &outer, sizeof outer) ? outer + table.inner_offset : 0;
}

// One live block of every size class, for as long as this lives.
class BlockOfEachClass {
 public:
  BlockOfEachClass() {
    for (size_t i = 0; i < blocks_.size(); ++i) {
      size_t bytes = (i + 1) * kSizeClassStepBytes;
      void* block =
          PyObject_Malloc(bytes < kLargestSmallRequest ? bytes : kLargestSmallRequest);
      blocks_[i] = reinterpret_cast<uintptr_t>(block);
      complete_ = complete_ && block != nullptr;
    }
  }
  ~BlockOfEachClass() {
    for (uintptr_t block : blocks_) PyObject_Free(reinterpret_cast<void*>(block));
  }
  bool complete() const { return complete_; }
  const LiveBlocks& blocks() const { return blocks_; }

 private:
  LiveBlocks blocks_{};
  bool complete_ = true;
};

constexpr char kKeeperName[] = "pymalloc_exporter";

void Retire(PyObject* keeper) {
  Pymalloc().End();
  Gc().End();
  FreeLists().End();
  EndErrands();
  TheCensus().End();
  reinterpret_cast<void (*)()>(PyCapsule_GetPointer(keeper, kKeeperName))();
}

bool UsesPymalloc() {
  const char* name = _PyMem_GetCurrentAllocatorName();
  // No name: somebody wraps an allocator (tracemalloc does); what is behind it is looked
  // for.
  return name == nullptr || strncmp(name, "pymalloc", strlen("pymalloc")) == 0;
}

std::string OracleText() {
  char* text = nullptr;
  size_t bytes = 0;
  FILE* stream = open_memstream(&text, &bytes);
  if (stream == nullptr) return {};
  _PyObject_DebugMallocStats(stream);
  fclose(stream);
  std::string copy(text, bytes);
  free(text);
  return copy;
}

// Stays for the life of the process: from here on the arenas are ours to know of.
Reason InstallHook() {
  PyObjectArenaAllocator current;
  PyObject_GetArenaAllocator(&current);
  static PyObjectArenaAllocator source;
  if (!HookInPlace()) {
    if (!IsInterpretersOwn(current)) return Reason::kForeignArenaAllocator;
    source = current;
  }
  bool (*in_place)() = RecordIsRight(current) ? HookOnRecord : HookInPlace;
  Pymalloc().Begin(Geometry(), {source.ctx, source.alloc, source.free, in_place});
  PyObjectArenaAllocator hook{nullptr, HookAllocate, HookFree};
  PyObject_SetArenaAllocator(&hook);
  return Reason::kNone;
}

Reason CompareWithOracle() {
  std::string text;
  PymallocSample ours;
  OracleReading oracle;
  if (!ReadBoth(&text, &ours) || !ParseOracle(text, &oracle)) return Reason::kNoOracle;
  Pymalloc().SetHistory(
      {oracle.arenas_allocated, oracle.arenas_freed, oracle.arenas_highwater});
  return Agrees(oracle, ours) ? Reason::kNone : Reason::kOracleMismatch;
}

Reason InstallPymalloc() {
  if (Layout().free_threaded) return Reason::kFreeThreaded;
  if (!UsesPymalloc()) return Reason::kAllocatorMalloc;
  pymalloc_exporter_prove_flags();
  {
    // Made before the hook stands, so that an arena it needs is in the table only.
    BlockOfEachClass probe;
    if (!probe.complete()) return Reason::kOutOfMemory;
    Reason hooked = InstallHook();
    if (hooked != Reason::kNone) return hooked;
    SafeReader reader;
    std::vector<uintptr_t> arenas = FindArenas(reader, InterpreterCode(), probe.blocks(),
                                               Geometry(), ArenaTablePlace(reader));
    if (arenas.empty()) return Reason::kArenasNotFound;
    for (uintptr_t base : arenas) Pymalloc().Adopt(base);
  }
  return CompareWithOracle();
}

bool ReadCounter(PyObject* stats, int generation, const char* name, uint64_t* value) {
  PyObject* row = PyList_GetItem(stats, generation);
  PyObject* number = row == nullptr ? nullptr : PyDict_GetItemString(row, name);
  *value = number == nullptr ? 0 : PyLong_AsUnsignedLongLong(number);
  bool read = number != nullptr && !PyErr_Occurred();
  PyErr_Clear();
  return read;
}

// Whether our reading equals gc.get_stats() right now.
bool GcAgrees(PyObject* gc) {
  Object stats = WithoutError(PyObject_CallMethod(gc, "get_stats", nullptr));
  if (stats == nullptr) return false;
  GcSample ours = Gc().Read();
  for (int i = 0; i < kGcGenerations; ++i) {
    GcGeneration theirs;
    const GcGeneration& mine = ours.generations[i];
    bool read = ReadCounter(stats.get(), i, "collections", &theirs.collections) &&
                ReadCounter(stats.get(), i, "collected", &theirs.collected) &&
                ReadCounter(stats.get(), i, "uncollectable", &theirs.uncollectable);
    if (!read || mine.collections != theirs.collections ||
        mine.collected != theirs.collected ||
        mine.uncollectable != theirs.uncollectable) {
      return false;
    }
  }
  return true;
}

// Equal before and after a collection of the youngest, so that zeros elsewhere cannot
// pass.
Reason ProveGc(PyObject* gc) {
  if (!GcAgrees(gc)) return Reason::kOracleMismatch;
  uint64_t before = Gc().Read().generations[0].collections;
  Object collected = WithoutError(PyObject_CallMethod(gc, "collect", "i", 0));
  bool moved = Gc().Read().generations[0].collections == before + 1;
  return moved && GcAgrees(gc) ? Reason::kNone : Reason::kOracleMismatch;
}

Reason InstallGc() {
  if (Layout().free_threaded) return Reason::kFreeThreaded;
  auto stats =
      reinterpret_cast<uintptr_t>(PyInterpreterState_Main()) + Layout().gc_stats.offset;
  if (Layout().gc_stats.indirect) stats = *reinterpret_cast<const uintptr_t*>(stats);
  Gc().Begin(Layout().gc_stats, stats);
  PyObject* modules = PyImport_GetModuleDict();
  bool was_imported = PyDict_GetItemString(modules, "gc") != nullptr;
  Object gc = WithoutError(PyImport_ImportModule("gc"));
  if (gc == nullptr) return Reason::kNoOracle;
  Reason proven = ProveGc(gc.get());
  // The application finds the modules that it would have found without us.
  if (!was_imported && PyDict_DelItemString(modules, "gc") != 0) PyErr_Clear();
  return proven;
}

Reason InstallFreeLists() {
  if (Layout().free_threaded) return Reason::kFreeThreaded;
  if (pymalloc_exporter_free_list_count == 0) return Reason::kNotPresent;
  std::vector<FreeListPlace> places = FindFreeLists();
  if (places.empty()) return Reason::kFreeListsNotFound;
  if (!ProveFreeLists(places)) return Reason::kOracleMismatch;
  FreeLists().Begin(places);
  return Reason::kNone;
}

// After the arenas were found: it reads in them.
Reason InstallCensus(Reason pymalloc) {
  // Without an oracle arenas can be trusted less, without arenas there is nothing.
  if (pymalloc != Reason::kNone) return pymalloc;
  ObjectFacts facts;
  if (!FindObjectFacts(&facts)) return Reason::kUnreadable;
  Reason begun = TheCensus().Begin(facts, Geometry());
  if (begun != Reason::kNone) return begun;
  return ProveTyping(TheCensus().facts(), Geometry(), TheCensus().census())
             ? Reason::kNone
             : Reason::kOracleMismatch;
}

}  // namespace

PoolGeometry Geometry() {
  return PoolGeometry(Layout().arena_bytes, Layout().pool_bytes);
}

PymallocCollector& Pymalloc() {
  static PymallocCollector& collector = *new PymallocCollector;
  return collector;
}

GcCollector& Gc() {
  static GcCollector& collector = *new GcCollector;
  return collector;
}

FreeListCollector& FreeLists() {
  static FreeListCollector& collector = *new FreeListCollector;
  return collector;
}

CensusCollector& TheCensus() {
  static CensusCollector& collector = *new CensusCollector(Pymalloc(), FreeLists());
  return collector;
}

void InstallCollectors() {
  Reason pymalloc = InstallPymalloc();
  Pymalloc().SetState(pymalloc);
  Gc().SetState(InstallGc());
  FreeLists().SetState(InstallFreeLists());
  BeginErrands();
  TheCensus().SetState(InstallCensus(pymalloc));
}

bool InMainInterpreter() { return PyInterpreterState_Get() == PyInterpreterState_Main(); }

// The interpreter's own dict is cleared under the GIL, before arenas are freed wholesale
// and before 3.12 and later forget the hook.
bool RetireAtFinalization(void (*ended)()) {
  PyObject* keeper = PyCapsule_New(reinterpret_cast<void*>(ended), kKeeperName, Retire);
  if (keeper == nullptr) return false;
  PyObject* dict = PyInterpreterState_GetDict(PyInterpreterState_Main());
  bool kept = dict != nullptr && PyDict_SetItemString(dict, kKeeperName, keeper) == 0;
  // If it is not kept, this ends the collectors at once: they could not be ended in time.
  Py_DECREF(keeper);
  return kept;
}

bool ReadBoth(std::string* oracle_text, PymallocSample* ours) {
  const StopFlag never{false};
  // Neither reading allocates from pymalloc.
  *oracle_text = OracleText();
  return Pymalloc().Walk(PymallocCollector::Scope::kMainInterpreter, never, *ours) &&
         !oracle_text->empty();
}

Reason TakeCensusNow(Census& census, const LargeTally* large, CensusSample* out) {
  NoRest pace;
  Reason state = TheCensus().state();
  if (state != Reason::kNone) return state;
  if (!census.Open(TheCensus().facts(), Geometry())) return Reason::kOutOfMemory;
  return TakeCensus(TheCensus().facts(), Pymalloc(), FreeLists(),
                    PymallocCollector::Scope::kProcess, true, kMostCensusRows, large,
                    pace, census, out);
}

Reason FindSparseArenas(SparseArenas* out) {
  NoRest pace;
  Reason reason =
      Pymalloc().ReadArenas(PymallocCollector::Scope::kMainInterpreter, true, *out, pace);
  if (reason == Reason::kNone) out->Rank();
  return reason;
}

bool CompareCensus(const LargeTally* large, CensusComparison* out, Reason* why) {
  return CompareCensus(TheCensus(), Pymalloc(), FreeLists(), Geometry(), large, out, why);
}

bool ReadBothOfFreeLists(std::string* oracle_text, FreeListSample* ours) {
  PyObject* print = PySys_GetObject("_debugmallocstats");
  char* text = nullptr;
  size_t bytes = 0;
  FILE* stream = print == nullptr ? nullptr : open_memstream(&text, &bytes);
  if (stream == nullptr) return false;
  FILE* before = stderr;
  stderr = stream;
  Object none = WithoutError(PyObject_CallNoArgs(print));
  bool read = none.get() != nullptr && FreeLists().Read(ours);
  stderr = before;
  fclose(stream);
  oracle_text->assign(text, bytes);
  free(text);
  return read;
}

}  // namespace pymalloc_exporter
