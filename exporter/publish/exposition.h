// What /metrics answers: the whole scrape as text.
//
// Thread safety: pure. No GIL. Allocates; may throw std::bad_alloc.

#pragma once

#include <string>

#include "exporter/publish/scrape.h"

namespace pymalloc_exporter {

std::string WriteMetrics(const Scrape& scrape);

}  // namespace pymalloc_exporter
