// The module pymalloc_exporter._native: the border between Python and the library, and
// nothing but the border. What an interpreter's start needs is here; the rest, in
// on_demand.cc, is made when it is first asked for.

#include <Python.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <stdexcept>
#include <string>

#include "bindings/on_demand.h"
#include "exporter/cpython/at_fork.h"
#include "exporter/cpython/install.h"
#include "exporter/cpython/interpreter_remedies.h"
#include "exporter/cpython/python_object.h"
#include "exporter/exporter.h"
#include "exporter/sample/census_answerer.h"
#include "exporter/sample/ledger_collector.h"
#include "exporter/sample/sample_answerer.h"
#include "exporter/system/cgroup.h"
#include "exporter/system/malloc/trim.h"
#include "exporter/system/process_status.h"
#include "exporter/system/residency_collector.h"

namespace pymalloc_exporter {

MallocCollector& CHeap() {
  static MallocCollector& collector = *new MallocCollector(&Pymalloc());
  return collector;
}

namespace {

// A Python exception is set.
struct PythonError {};

template <size_t Size>
void CopyText(const std::string& text, char (&into)[Size], const char* what) {
  if (text.size() >= Size) throw std::runtime_error(std::string(what) + " is too long");
  memcpy(into, text.c_str(), text.size() + 1);
}

// "3.11.7" and its parts, of the interpreter that runs (not the one this was built with).
void FillVersion(Identity* identity) {
  std::string version = Py_GetVersion();
  version.resize(version.find_first_of(" +"));
  CopyText(version, identity->version, "the interpreter's version");
  CopyText("CPython", identity->implementation, "the interpreter's name");
  sscanf(version.c_str(), "%d.%d.%15s", &identity->version_major,
         &identity->version_minor, identity->version_patchlevel);
}

Origin OriginOf(const std::string& name) {
  int origin = 0;
  while (origin < static_cast<int>(Origin::kCount) && name != kOriginNames[origin]) {
    ++origin;
  }
  if (origin == static_cast<int>(Origin::kCount)) {
    throw std::runtime_error("no such origin: " + name);
  }
  return static_cast<Origin>(origin);
}

Settings MakeSettings(const std::string& host, int port, const std::string& app,
                      double interval, double slow_interval, double slow_cpu,
                      const std::string& detail, const std::string& remedies,
                      uint64_t auto_trim_bytes, const std::string& origin) {
  Settings settings{};
  CopyText(host, settings.listen.host, "host");
  settings.listen.port = static_cast<uint16_t>(port);
  settings.interval = static_cast<Nanoseconds>(interval * kSecond);
  settings.slow_interval = static_cast<Nanoseconds>(slow_interval * kSecond);
  settings.slow_cpu_share = slow_cpu / 100;
  CopyText(app, settings.identity.app, "app");
  settings.identity.detail = detail == "full" ? Detail::kFull : Detail::kDefault;
  settings.remedies = remedies == "loopback" ? RemedyAccess::kLoopback
                      : remedies == "all"    ? RemedyAccess::kEverybody
                                             : RemedyAccess::kNobody;
  settings.auto_trim_bytes = auto_trim_bytes;
  settings.identity.origin = OriginOf(origin);
  FillVersion(&settings.identity);
  return settings;
}

void Start(const Settings& settings) {
  static ProcessCollector& process = *new ProcessCollector;
  static CgroupCollector& cgroup = *new CgroupCollector;
  static ResidencyCollector& residency = *new ResidencyCollector(Pymalloc());
  static LedgerCollector& ledger = *new LedgerCollector(process, Pymalloc());
  process.Calibrate();
  if (!Exporter::Instance().started()) {
    CHeap().Install();
    CHeap().AddVisitor(&TheCensus().large_objects());
  }
  Collector* collectors[] = {&process, &cgroup, &Pymalloc(), &Gc(), &FreeLists()};
  SlowCollector* slow_collectors[] = {&CHeap(), &TheCensus(), &residency, &ledger};
  static SampleAnswerer& sample = *new SampleAnswerer;
  static TrimAnswerer& trim = *new TrimAnswerer;
  static auto& collect = *new InterpreterAnswerer(QuestionKind::kCollect);
  static auto& clear = *new InterpreterAnswerer(QuestionKind::kClearFreeLists);
  const CensusHistory& history = TheCensus().history();
  static auto& census = *new CensusAnswerer(QuestionKind::kCensus, history);
  static auto& diff = *new CensusAnswerer(QuestionKind::kDiff, history);
  static auto& pins = *new CensusAnswerer(QuestionKind::kPins, history);
  Answerer* answerers[] = {&sample, &trim, &collect, &clear, &census, &diff, &pins};
  char error[200];
  if (!Exporter::Instance().Start(settings, {collectors, slow_collectors, answerers},
                                  error))
    throw std::runtime_error(error);
}

bool installed = false;  // in the main interpreter that lives now

bool MayInstall() { return InMainInterpreter() && !installed; }

void Install(const std::string& host, int port, const std::string& app, double interval,
             double slow_interval, double slow_cpu, const std::string& detail,
             const std::string& remedies, uint64_t auto_trim_bytes, int top,
             const std::string& origin) {
  if (!MayInstall()) return;
  Settings settings = MakeSettings(host, port, app, interval, slow_interval, slow_cpu,
                                   detail, remedies, auto_trim_bytes, origin);
  InstallCollectors();
  TheCensus().SetTop(top);
  if (!RetireAtFinalization([] {
        installed = false;
        Exporter::Instance().SetGoodbye(true);
      })) {
    throw PythonError();
  }
  if (!RegisterForkHook()) throw PythonError();
  Exporter::Instance().SetGoodbye(false);
  Start(settings);
  installed = true;
}

PyObject* InstallNamed(PyObject*, PyObject* arguments, PyObject* named) {
  static const char* const kNames[] = {"host",     "port",          "app",
                                       "interval", "slow_interval", "detail",
                                       "slow_cpu", "remedies",      "auto_trim_bytes",
                                       "top",      "origin",        nullptr};
  const char *host, *app, *detail, *remedies = "off", *origin = kOriginNames[0];
  int port, top = 10;
  double interval, slow_interval, slow_cpu = 0.5;
  PyObject* auto_trim = nullptr;
  if (PyTuple_GET_SIZE(arguments) != 0) {
    PyErr_SetString(PyExc_TypeError, "install() takes keyword arguments only");
    return nullptr;
  }
  if (!PyArg_ParseTupleAndKeywords(arguments, named, "sisdds|dsO!is:install",
                                   const_cast<char**>(kNames), &host, &port, &app,
                                   &interval, &slow_interval, &detail, &slow_cpu,
                                   &remedies, &PyLong_Type, &auto_trim, &top, &origin)) {
    return nullptr;
  }
  uint64_t auto_trim_bytes =
      auto_trim == nullptr ? 0 : PyLong_AsUnsignedLongLong(auto_trim);
  if (PyErr_Occurred()) return nullptr;
  try {
    Install(host, port, app, interval, slow_interval, slow_cpu, detail, remedies,
            auto_trim_bytes, top, origin);
  } catch (const PythonError&) {
    return nullptr;
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
    return nullptr;
  }
  Py_RETURN_NONE;
}

PyObject* MayInstallNow(PyObject*, PyObject*) { return PyBool_FromLong(MayInstall()); }

// What on_demand.cc defines.
constexpr const char* kOnDemand[] = {
    "trim",          "collect",        "clear_free_lists",
    "census",        "pinning",        "types_called",
    "compare",       "compare_census", "compare_free_lists",
    "compare_malloc"};
constexpr char kOnDemandName[] = "_on_demand";

bool IsOnDemand(PyObject* name) {
  return std::any_of(std::begin(kOnDemand), std::end(kOnDemand), [&](const char* known) {
    return PyUnicode_CompareWithASCIIString(name, known) == 0;
  });
}

// The module's second part, made if it is not there yet; null with an exception set.
Object OnDemand(PyObject* module) {
  PyObject* dict = PyModule_GetDict(module);
  if (PyDict_GetItemString(dict, kOnDemandName) == nullptr) {
    Object spec(PyObject_GetAttrString(module, "__spec__"));
    if (spec == nullptr) return nullptr;
    auto* definition = reinterpret_cast<PyModuleDef*>(PyInit__on_demand());
    if (definition == nullptr) return nullptr;
    Object made(PyModule_FromDefAndSpec(definition, spec.get()));
    if (made == nullptr ||
        PyObject_SetAttrString(made.get(), "__spec__", spec.get()) != 0 ||
        PyModule_ExecDef(made.get(), definition) != 0 ||
        PyDict_SetItemString(dict, kOnDemandName, made.get()) != 0) {
      return nullptr;
    }
  }
  PyObject* part = PyDict_GetItemString(dict, kOnDemandName);
  Py_XINCREF(part);
  return Object(part);
}

PyObject* Refuse(PyObject*, PyObject*, PyObject*) {
  PyErr_SetString(PyExc_RuntimeError,
                  "arenas cannot be looked at: this is a sub-interpreter");
  return nullptr;
}
PyMethodDef refuse = {"refuse",
                      reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(Refuse)),
                      METH_VARARGS | METH_KEYWORDS, nullptr};

PyObject* GetAttribute(PyObject* module, PyObject* name) {
  if (!PyUnicode_Check(name) || !IsOnDemand(name)) {
    return PyErr_Format(PyExc_AttributeError,
                        "module 'pymalloc_exporter._native' has no attribute %R", name);
  }
  if (!InMainInterpreter()) return PyCFunction_New(&refuse, nullptr);
  Object part = OnDemand(module);
  return part == nullptr ? nullptr : PyObject_GetAttr(part.get(), name);
}

PyMethodDef methods[] = {
    {"may_install", MayInstallNow, METH_NOARGS,
     "Whether install() would do something: not in sub-interpreters, not twice."},
    {"install", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(InstallNamed)),
     METH_VARARGS | METH_KEYWORDS,
     "Start to sample this process and to take part in the endpoint HOST:PORT.\n\n"
     "Intervals are in seconds, slow_cpu in percent of a core. Does nothing where it "
     "runs already and in\n"
     "sub-interpreters. Raises RuntimeError if it cannot."},
    {"__getattr__", GetAttribute, METH_O, "What is made when it is first asked for."},
    {nullptr, nullptr, 0, nullptr}};

int Fill(PyObject* module) {
  bool filled =
      PyModule_AddFunctions(module, methods) == 0 &&
      PyModule_AddStringConstant(module, "__version__", PYMALLOC_EXPORTER_VERSION) == 0;
  return filled ? 0 : -1;
}

PyModuleDef_Slot slots[] = {
    {Py_mod_exec, reinterpret_cast<void*>(Fill)},
#if PY_VERSION_HEX >= 0x030c0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
    {0, nullptr}};

// Without methods: a fatal error of the application's would list the module.
PyModuleDef module_definition = {
    PyModuleDef_HEAD_INIT,
    "_native",
    "The exporter's native part; use the package pymalloc_exporter.",
    0,
    nullptr,
    slots,
    nullptr,
    nullptr,
    nullptr};

}  // namespace
}  // namespace pymalloc_exporter

// To 3.11 pybind11 deadlocks in a sub-interpreter: it asks for the GIL, which the thread
// has, by the main interpreter's thread state. There the second part is never made.
PyMODINIT_FUNC PyInit__native() {
  return PyModuleDef_Init(&pymalloc_exporter::module_definition);
}
