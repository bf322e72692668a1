// What a request asks for. Pure: text in, values out.

#pragma once

#include <string_view>

#include "exporter/region/region.h"

namespace pymalloc_exporter {

// The fixed path that `uri` (undecoded; a query is ignored) names exactly, else kOther.
HttpPath PathOf(std::string_view uri);

// Whether an Accept-Encoding header allows gzip: by name or by "*", and not at q=0
// (RFC 9110, 12.5.3).
bool AcceptsGzip(std::string_view header);

}  // namespace pymalloc_exporter
