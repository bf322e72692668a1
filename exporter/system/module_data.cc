#include "exporter/system/module_data.h"

#include <link.h>

#include <algorithm>

#include "exporter/system/page_map.h"

namespace pymalloc_exporter {
namespace {

struct Search {
  uintptr_t code;
  ModuleData found;
};

AddressRange SegmentOf(const dl_phdr_info& module, const ElfW(Phdr) & header) {
  uintptr_t start = module.dlpi_addr + header.p_vaddr;
  return {start, start + header.p_memsz};
}

int Visit(dl_phdr_info* info, size_t, void* data) {
  auto* search = static_cast<Search*>(data);
  AddressRange all{UINTPTR_MAX, 0};
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr) & header = info->dlpi_phdr[i];
    if (header.p_type != PT_LOAD) continue;
    AddressRange segment = SegmentOf(*info, header);
    all = {std::min(all.start, segment.start), std::max(all.end, segment.end)};
  }
  if (!all.Holds(search->code)) return 0;
  search->found.all = all;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr) & header = info->dlpi_phdr[i];
    if (header.p_type == PT_LOAD && (header.p_flags & PF_W))
      search->found.writable.push_back(SegmentOf(*info, header));
  }
  return 1;
}

// Appends the range, to the last one where it goes on.
void Append(AddressRange range, std::vector<AddressRange>* parts) {
  if (!parts->empty() && parts->back().end == range.start) {
    parts->back().end = range.end;
  } else {
    parts->push_back(range);
  }
}

void AppendWritten(const AddressRange& segment, const PageMap* pages,
                   std::vector<AddressRange>* parts) {
  constexpr uintptr_t kWindow = kPagesOfWindow * kPageBytes;
  bool written[kPagesOfWindow];
  for (uintptr_t at = segment.start & ~(kPageBytes - 1); at < segment.end;
       at += kWindow) {
    uintptr_t count =
        (std::min(at + kWindow, segment.end) - at + kPageBytes - 1) / kPageBytes;
    std::fill_n(written, count, true);
    if (pages != nullptr) pages->FindWritten(at, static_cast<int>(count), written);
    for (uintptr_t i = 0; i < count; ++i) {
      uintptr_t page = at + i * kPageBytes;
      if (!written[i]) continue;
      Append({std::max(page, segment.start), std::min(page + kPageBytes, segment.end)},
             parts);
    }
  }
}

}  // namespace

ModuleData FindModule(uintptr_t code) {
  Search search{code, {}};
  dl_iterate_phdr(Visit, &search);
  return search.found;
}

std::vector<AddressRange> WrittenParts(const ModuleData& module) {
  PageMap pages;
  bool known = pages.Open();
  std::vector<AddressRange> parts;
  for (const AddressRange& segment : module.writable) {
    AppendWritten(segment, known ? &pages : nullptr, &parts);
  }
  return parts;
}

}  // namespace pymalloc_exporter
