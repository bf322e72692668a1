// Remedies that need the interpreter: collecting garbage, and clearing its free lists.
//
// The sampler never waits for the GIL. It leaves an errand (Py_AddPendingCall), which the
// main thread runs between two bytecodes, and looks now and then whether that is done. A
// main thread that is blocked in a system call does not come by: then the errand is taken
// back, and the call that is still in the interpreter's queue will find none.
//
// Free lists are cleared by the collector, in a full collection and in no other way from
// 3.10 on: 3.9 to 3.12 by clear_freelists() (Modules/gcmodule.c, gc_collect_main), 3.13
// and later by _PyGC_ClearAllFreeLists() (Python/gc.c). So that it finds nothing to
// traverse, all objects are moved to the permanent generation first (gc.freeze()), and
// back again. Where the application has frozen objects itself, which that would thaw, the
// collection is an ordinary one.

#pragma once

#include <string>

#include "exporter/sample/question.h"
#include "exporter/sample/relief.h"

namespace pymalloc_exporter {

struct InterpreterRelief {
  Relief relief;
  bool done = false;                   // else the interpreter raised an exception
  int64_t unreachable_objects = 0;     // as gc.collect() counts
  uint64_t freelist_before_bytes = 0;  // 0 where free lists cannot be read
  uint64_t freelist_after_bytes = 0;
};

// Both under the GIL of the main interpreter, with no exception set.
InterpreterRelief CollectGarbage();
InterpreterRelief ClearFreeLists();

// The same for whoever asks this process for it, on the sampler's thread.
class InterpreterAnswerer final : public Answerer {
 public:
  // `kind`: kCollect or kClearFreeLists.
  explicit InterpreterAnswerer(QuestionKind kind) : kind_(kind) {}

  QuestionKind kind() const override { return kind_; }
  ReplyStatus Answer(const Inquiry& inquiry, Pace& pace,
                     JsonText& text) noexcept override;

 private:
  QuestionKind kind_;
};

// Under the GIL: errands may be left from now on; no more, and none is being left.
void BeginErrands();
void EndErrands();

}  // namespace pymalloc_exporter
