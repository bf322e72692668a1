#include "exporter/system/malloc/trim.h"

#include <dlfcn.h>
#include <malloc.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

#include "exporter/system/clock.h"
#include "exporter/system/files.h"

namespace pymalloc_exporter {
namespace {

// Whether the malloc that is called here comes from where malloc_trim does.
bool FoundWhereTrimIs() {
  Dl_info malloc_source, trim_source;
  return dladdr(reinterpret_cast<void*>(&malloc), &malloc_source) != 0 &&
         dladdr(reinterpret_cast<void*>(&malloc_trim), &trim_source) != 0 &&
         malloc_source.dli_fbase == trim_source.dli_fbase;
}

// Asked once, at load: the loader's lock may be held for long.
const bool malloc_is_glibcs = FoundWhereTrimIs();

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
