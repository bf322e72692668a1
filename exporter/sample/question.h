// What can be asked of a process, and by what interface it answers.
//
// Whoever holds the port asks any worker's sampler (region/question_desk.h), which
// answers with one JSON object that it writes then, into a buffer of fixed size. A new
// kind is appended to QuestionKind with its row in kQuestions, given a path in
// publish/request.cc, and answered by an Answerer that is registered where the sampler is
// made (bindings/native.cc).
//
// Plain data: no thread, no GIL, no allocation.

#pragma once

#include <cstddef>
#include <cstdint>

#include "exporter/sample/collector.h"
#include "exporter/sample/json_text.h"
#include "exporter/system/clock.h"

namespace pymalloc_exporter {

// The order is part of the messages between processes (see kLayoutVersion).
enum class QuestionKind : uint32_t {
  kSample,
  kTrim,
  kCollect,
  kClearFreeLists,
  kCensus,
  kDiff,
  kPins,
  kCount
};

struct QuestionRow {
  const char* name;      // the last part of its path
  Nanoseconds patience;  // within this there is an answer, or it is too late
  bool remedy;           // it changes the process: a POST, and only where that is enabled
};

inline constexpr QuestionRow kQuestions[] = {
    {"sample", 2 * kSecond, false},  {"trim", 10 * kSecond, true},
    {"collect", 10 * kSecond, true}, {"clear-free-lists", 10 * kSecond, true},
    {"census", 2 * kSecond, false},  {"diff", 2 * kSecond, false},
    {"pins", 2 * kSecond, false},
};
static_assert(sizeof kQuestions / sizeof *kQuestions ==
              static_cast<size_t>(QuestionKind::kCount));

inline constexpr const QuestionRow& RowOf(QuestionKind kind) {
  return kQuestions[static_cast<size_t>(kind)];
}

// Text of an answer, at most.
inline constexpr size_t kMostReplyBytes = 256 * 1024;

enum class ReplyStatus : uint32_t {
  kDone,         // the text is the answer
  kUnable,       // not in this process, or not now; the text says why
  kNotEnabled,   // a remedy, and this process' settings allow none
  kBusy,         // as many questions as there may be are being answered
  kNoWorker,     // nobody has that number, or it cannot be reached
  kLate,         // no answer in time: stopped, or at something long
  kInterrupted,  // it forked or ended meanwhile; may be asked again at once
  kBad,          // what came is no answer
  kCount
};

struct Inquiry {
  uint64_t argument;     // what it means is the kind's
  Nanoseconds deadline;  // CLOCK_MONOTONIC: nobody waits for longer
  const Sample& sample;  // the last one; the fast collectors have just run for it
};

class Answerer {
 public:
  virtual ~Answerer() = default;

  virtual QuestionKind kind() const = 0;

  // Writes one JSON object and returns kDone, or {"error": "..."} and kUnable or kLate.
  // kInterrupted (pace.Rest() said false) needs no text; one that does not fit in is
  // kBad. Runs on the sampler's thread under the terms of SlowCollector::Collect: no GIL,
  // no malloc, pace.Rest() at least every 0.2 ms, and no longer than until the deadline.
  // Never amid another answer, and a remedy not amid a slow pass; whatever else is
  // answered there shows what is kept. Never throws.
  virtual ReplyStatus Answer(const Inquiry& inquiry, Pace& pace,
                             JsonText& text) noexcept = 0;
};

}  // namespace pymalloc_exporter
