// The remedy for a C heap that keeps what was freed: malloc_trim(3).
//
// glibc gives back every whole free page, in all its arenas, one arena's lock at a time:
// 20 ms for 200,000 free chunks, 130 ms for 1,000,000; who allocates meanwhile waits.

#pragma once

#include "exporter/sample/question.h"
#include "exporter/sample/relief.h"

namespace pymalloc_exporter {

// Trims and measures. False where malloc is not glibc's, which has nothing to trim then.
// Any thread; no GIL: who has it gives it up first. Allocates nothing.
bool TrimHeap(Relief* relief);

// RSS of the own process right now; 0 if /proc does not say. Source: /proc/self/statm.
uint64_t ResidentBytes();

// The same for whoever asks this process for it, on the sampler's thread.
class TrimAnswerer final : public Answerer {
 public:
  QuestionKind kind() const override { return QuestionKind::kTrim; }
  ReplyStatus Answer(const Inquiry& inquiry, Pace& pace,
                     JsonText& text) noexcept override;
};

}  // namespace pymalloc_exporter
