#include "exporter/cpython/interpreter_remedies.h"

#include <Python.h>
#include <sched.h>
#include <unistd.h>

#include <atomic>

#include "exporter/cpython/install.h"
#include "exporter/cpython/layout.h"
#include "exporter/system/clock.h"
#include "exporter/system/malloc/trim.h"

namespace pymalloc_exporter {
namespace {

// How often it is looked whether an errand is done, and how long before the deadline one
// that was not begun is taken back.
constexpr Nanoseconds kLook = 2 * kMillisecond;
constexpr Nanoseconds kTimeToReply = kSecond;

enum class Stage : int { kNone, kLeft, kRuns, kDone };

// The one errand there can be. The queued call and the sampler meet in it.
struct Errand {
  std::atomic<Stage> stage{Stage::kNone};
  std::atomic<pid_t> process{0};  // a forked child has nobody who runs its parent's
  QuestionKind kind{};
  InterpreterRelief result;
};

Errand errand;
std::atomic<bool> open{false};
std::atomic<bool> leaving{false};

bool Take(Stage from, Stage to) { return errand.stage.compare_exchange_strong(from, to); }

// Queued calls can outnumber errands: each runs what there is to run, or nothing.
int RunErrand(void*) {
  if (!Take(Stage::kLeft, Stage::kRuns)) return 0;
  errand.result =
      errand.kind == QuestionKind::kCollect ? CollectGarbage() : ClearFreeLists();
  errand.stage = Stage::kDone;
  return 0;
}

bool Leave(QuestionKind kind) {
  bool ours = errand.process == getpid();
  if (ours && errand.stage == Stage::kRuns) return false;
  errand.process = getpid();
  errand.kind = kind;
  errand.stage = Stage::kLeft;
  leaving = true;
  bool left = open && Py_AddPendingCall(RunErrand, nullptr) == 0;
  leaving = false;
  if (!left) errand.stage = Stage::kNone;
  return left;
}

ReplyStatus Fail(ReplyStatus status, const char* error, JsonText& text) {
  text.Begin('{').Key("error").String(error).End('}');
  return status;
}

// Calls gc.NAME(); the whole number that it returns, 0 for another result, -1 after an
// exception, which is cleared.
int64_t CallGc(PyObject* gc, const char* name) {
  PyObject* result = PyObject_CallMethod(gc, name, nullptr);
  int64_t number = result != nullptr && PyLong_Check(result) ? PyLong_AsLongLong(result)
                   : result != nullptr                       ? 0
                                                             : -1;
  Py_XDECREF(result);
  PyErr_Clear();
  return number;
}

uint64_t FreeListBytes() {
  FreeListSample sample;
  uint64_t bytes = 0;
  if (!FreeLists().Read(&sample)) return 0;
  for (const FreeListFigure& figure : sample.kinds) bytes += figure.bytes;
  return bytes;
}

template <typename Apply>
InterpreterRelief Measure(Apply apply) {
  InterpreterRelief result;
  PyObject* gc = PyImport_ImportModule("gc");
  PyErr_Clear();
  if (gc == nullptr) return result;
  result.relief.resident_before_bytes = ResidentBytes();
  result.freelist_before_bytes = FreeListBytes();
  Nanoseconds start = Now();
  result.unreachable_objects = apply(gc);
  result.relief.stalled_seconds = static_cast<double>(Now() - start) / kSecond;
  result.freelist_after_bytes = FreeListBytes();
  result.relief.resident_after_bytes = ResidentBytes();
  result.done = result.unreachable_objects >= 0;
  Py_DECREF(gc);
  return result;
}

}  // namespace

InterpreterRelief CollectGarbage() {
  return Measure([](PyObject* gc) { return CallGc(gc, "collect"); });
}

InterpreterRelief ClearFreeLists() {
  return Measure([](PyObject* gc) {
    // What is frozen is no garbage. The interpreter's own is frozen again by itself; what
    // the application froze would not be, so then it is a collection.
    bool none_of_its =
        CallGc(gc, "get_freeze_count") == pymalloc_exporter_frozen_by_itself();
    bool frozen = none_of_its && CallGc(gc, "freeze") == 0;
    int64_t unreachable = CallGc(gc, "collect");
    if (frozen) CallGc(gc, "unfreeze");
    return unreachable;
  });
}

void BeginErrands() { open = true; }

void EndErrands() {
  open = false;
  while (leaving) sched_yield();
}

ReplyStatus InterpreterAnswerer::Answer(const Inquiry& inquiry, Pace& pace,
                                        JsonText& text) noexcept {
  if (!Leave(kind_))
    return Fail(ReplyStatus::kUnable, "the interpreter takes nothing on now", text);
  bool going_on = true;
  while (going_on && errand.stage != Stage::kDone && Now() < inquiry.deadline) {
    bool late = Now() > inquiry.deadline - kTimeToReply;
    if (late && Take(Stage::kLeft, Stage::kNone))
      return Fail(ReplyStatus::kLate, "not run: the main thread did not come by", text);
    going_on = pace.RestUntil(Now() + kLook);
  }
  if (!Take(Stage::kDone, Stage::kNone)) {
    Take(Stage::kLeft, Stage::kNone);
    return going_on ? ReplyStatus::kLate : ReplyStatus::kInterrupted;
  }
  const InterpreterRelief& result = errand.result;
  if (!result.done)
    return Fail(ReplyStatus::kUnable, "the interpreter raised an exception", text);
  Write(result.relief, text.Begin('{'));
  text.Row("unreachable_objects", result.unreachable_objects);
  text.Row("freelist_before_bytes", result.freelist_before_bytes);
  text.Row("freelist_after_bytes", result.freelist_after_bytes).End('}');
  return ReplyStatus::kDone;
}

}  // namespace pymalloc_exporter
