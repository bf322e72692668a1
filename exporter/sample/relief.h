// What a remedy did to a process.
//
// Plain data: no thread, no GIL, no allocation.

#pragma once

#include <cstdint>

#include "exporter/sample/json_text.h"

namespace pymalloc_exporter {

struct Relief {
  uint64_t resident_before_bytes = 0;
  uint64_t resident_after_bytes = 0;
  // For how long others may have had to wait: whoever calls malloc for a trim, whoever
  // wants the GIL for the rest.
  double stalled_seconds = 0;
};

inline void Write(const Relief& relief, JsonText& text) {
  text.Row("resident_before_bytes", relief.resident_before_bytes);
  text.Row("resident_after_bytes", relief.resident_after_bytes);
  text.Row("stalled_seconds", relief.stalled_seconds);
}

}  // namespace pymalloc_exporter
