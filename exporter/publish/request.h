// What a request asks for. Pure: text in, values out.

#pragma once

#include <string_view>

#include "exporter/region/region.h"
#include "exporter/sample/question.h"

namespace pymalloc_exporter {

struct Target {
  HttpPath path;
  int worker = kNoSlot;  // of /api/v1/workers/N/...
};

// The fixed path that `uri` (undecoded; a query is ignored) names exactly, else kOther.
// A number of a worker is written without leading zeros.
Target TargetOf(std::string_view uri);

// What of a worker a path asks for; false where it asks for nothing of the kind.
bool QuestionOf(HttpPath path, QuestionKind* kind);

// Whether an Accept-Encoding header allows gzip: by name or by "*", and not at q=0
// (RFC 9110, 12.5.3).
bool AcceptsGzip(std::string_view header);

}  // namespace pymalloc_exporter
