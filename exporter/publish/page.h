// The landing page: a table of the workers, for people. No script, nothing from
// elsewhere.
//
// Thread safety: pure. Allocates; may throw std::bad_alloc.

#pragma once

#include <string>

#include "exporter/publish/scrape.h"

namespace pymalloc_exporter {

// `now`: Unix time, for the age of samples.
std::string WritePage(const Scrape& scrape, double now);

}  // namespace pymalloc_exporter
