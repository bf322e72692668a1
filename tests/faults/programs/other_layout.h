// Included before all else in a build of the region whose layout is another version's.

#pragma once

#include "exporter/sample/sample.h"

#define kLayoutVersion (::pymalloc_exporter::kLayoutVersion + 1000)
