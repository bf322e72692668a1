// Answers with the figures of a look that was made for the question.

#pragma once

#include "exporter/sample/question.h"

namespace pymalloc_exporter {

class SampleAnswerer final : public Answerer {
 public:
  QuestionKind kind() const override { return QuestionKind::kSample; }
  ReplyStatus Answer(const Inquiry& inquiry, Pace& pace,
                     JsonText& text) noexcept override;
};

}  // namespace pymalloc_exporter
