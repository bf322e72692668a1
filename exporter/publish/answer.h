// What is answered to a request.
//
// Thread safety: reads the region only; any thread. No GIL. Allocates; may throw
// std::bad_alloc.

#pragma once

#include <string>
#include <string_view>

#include "exporter/region/region.h"

namespace pymalloc_exporter {

inline constexpr char kPlainType[] = "text/plain; charset=utf-8";

struct Answer {
  HttpCode code;
  const char* type;
  std::string body;
  const char* header = "";  // one more, with its line end
};

Answer AnswerTo(std::string_view method, HttpPath path, const Region& region);

// Compresses the body, if it is worth it, for a client that takes gzip.
void Compress(Answer& answer);

}  // namespace pymalloc_exporter
