#include "exporter/system/malloc/statistics.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstddef>

namespace pymalloc_exporter {
namespace {

using JemallocControl = int (*)(const char* name, void* old, size_t* old_bytes, void* set,
                                size_t set_bytes);
using TcmallocProperty = int (*)(const char* name, size_t* value);
using MimallocInfo = void (*)(size_t* elapsed, size_t* user, size_t* system,
                              size_t* resident, size_t* peak_resident, size_t* commit,
                              size_t* peak_commit, size_t* faults);

uint64_t Beyond(uint64_t whole, uint64_t part) { return whole > part ? whole - part : 0; }

template <typename Value>
bool AskJemalloc(JemallocControl control, const char* name, Value* value) {
  size_t bytes = sizeof *value;
  return control(name, value, &bytes, nullptr, 0) == 0 && bytes == sizeof *value;
}

bool ReadJemalloc(void* function, MallocSample* sample) {
  auto control = reinterpret_cast<JemallocControl>(function);
  uint64_t epoch = 1;
  size_t epoch_bytes = sizeof epoch;
  if (control("epoch", &epoch, &epoch_bytes, &epoch, sizeof epoch) != 0) return false;
  size_t allocated, metadata, resident;
  unsigned arenas;
  if (!AskJemalloc(control, "stats.allocated", &allocated) ||
      !AskJemalloc(control, "stats.metadata", &metadata) ||
      !AskJemalloc(control, "stats.resident", &resident) ||
      !AskJemalloc(control, "arenas.narenas", &arenas)) {
    return false;
  }
  sample->in_use.bytes = sample->in_use.resident_bytes = allocated;
  sample->overhead_bytes = sample->overhead_resident_bytes = metadata;
  // Kept for reuse, in the rest of used pages and in pages not given back yet.
  sample->free.bytes = sample->free.resident_bytes =
      Beyond(resident, allocated + metadata);
  sample->arenas = arenas;
  return true;
}

bool ReadTcmalloc(void* function, MallocSample* sample) {
  auto property = reinterpret_cast<TcmallocProperty>(function);
  size_t in_use;
  if (!property("generic.current_allocated_bytes", &in_use)) return false;
  sample->in_use.bytes = sample->in_use.resident_bytes = in_use;
  for (const char* name :
       {"tcmalloc.pageheap_free_bytes", "tcmalloc.central_cache_free_bytes",
        "tcmalloc.transfer_cache_free_bytes", "tcmalloc.thread_cache_free_bytes"}) {
    size_t bytes;
    if (!property(name, &bytes)) return false;
    sample->free.bytes += bytes;
  }
  sample->free.resident_bytes = sample->free.bytes;
  return true;
}

bool ReadMimalloc(void* function, MallocSample* sample) {
  size_t ignored, commit = 0;
  reinterpret_cast<MimallocInfo>(function)(&ignored, &ignored, &ignored, &ignored,
                                           &ignored, &commit, &ignored, &ignored);
  sample->undivided_bytes = commit;
  return commit > 0;
}

}  // namespace

Reason MallocStatistics::Begin(Allocator allocator) {
  allocator_ = allocator;
  const char* name = allocator == Allocator::kJemalloc ? "mallctl"
                     : allocator == Allocator::kTcmalloc
                         ? "MallocExtension_GetNumericProperty"
                         : "mi_process_info";
  function_ = dlsym(RTLD_DEFAULT, name);
  MallocSample sample;
  return function_ == nullptr ? Reason::kUnreadable : Read(&sample);
}

Reason MallocStatistics::Read(MallocSample* sample) const {
  bool read = allocator_ == Allocator::kJemalloc   ? ReadJemalloc(function_, sample)
              : allocator_ == Allocator::kTcmalloc ? ReadTcmalloc(function_, sample)
                                                   : ReadMimalloc(function_, sample);
  return read ? Reason::kNone : Reason::kUnreadable;
}

}  // namespace pymalloc_exporter
