// Answers from the censuses that are kept: what lives (kCensus), what there is more of
// than in each of the earlier ones (kDiff), and what pins memory (kPins). None is made
// for the question: who asks often costs the application nothing.
//
// Names of types and figures only: no object, value or address leaves the process.

#pragma once

#include "exporter/sample/census_snapshot.h"
#include "exporter/sample/question.h"

namespace pymalloc_exporter {

class CensusAnswerer final : public Answerer {
 public:
  // `history` stays.
  CensusAnswerer(QuestionKind kind, const CensusHistory& history)
      : kind_(kind), history_(history) {}

  QuestionKind kind() const override { return kind_; }
  ReplyStatus Answer(const Inquiry& inquiry, Pace& pace,
                     JsonText& text) noexcept override;

 private:
  QuestionKind kind_;
  const CensusHistory& history_;
};

}  // namespace pymalloc_exporter
