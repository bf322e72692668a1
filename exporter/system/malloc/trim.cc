#include "exporter/system/malloc/trim.h"

#include <dlfcn.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <string_view>

#include "exporter/system/clock.h"
#include "exporter/system/files.h"

namespace pymalloc_exporter {
namespace {

// Symbols of the allocators that take malloc's place: jemalloc, tcmalloc, mimalloc. The
// address of malloc itself tells nothing in a program that is not position-independent.
constexpr const char* kForeignSymbols[] = {
    "mallctl", "MallocExtension_GetNumericProperty", "mi_version"};

bool NoneIsForeign() {
  return std::none_of(
      std::begin(kForeignSymbols), std::end(kForeignSymbols),
      [](const char* name) { return dlsym(RTLD_DEFAULT, name) != nullptr; });
}

// Asked once, at load: the loader's lock may be held for long.
const bool malloc_is_glibcs = NoneIsForeign();

}  // namespace

uint64_t ResidentBytes() {
  char buffer[128];
  std::string_view text = ReadFile("/proc/self", "statm", buffer, sizeof buffer);
  uint64_t pages = 0;
  size_t second = text.find(' ');
  if (second == text.npos || !ParseNumber(text.substr(second), &pages)) return 0;
  return pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

bool TrimHeap(Relief* relief) {
  if (!malloc_is_glibcs) return false;
  relief->resident_before_bytes = ResidentBytes();
  Nanoseconds start = Now();
  malloc_trim(0);
  relief->stalled_seconds = static_cast<double>(Now() - start) / kSecond;
  relief->resident_after_bytes = ResidentBytes();
  return true;
}

ReplyStatus TrimAnswerer::Answer(const Inquiry&, Pace&, JsonText& text) noexcept {
  Relief relief;
  if (!TrimHeap(&relief)) {
    text.Begin('{').Key("error").String("malloc is not glibc's").End('}');
    return ReplyStatus::kUnable;
  }
  Write(relief, text.Begin('{'));
  text.End('}');
  return ReplyStatus::kDone;
}

}  // namespace pymalloc_exporter
