#include "exporter/system/malloc/allocator.h"

#include <dlfcn.h>
#include <link.h>

#include <cstdio>
#include <cstring>
#include <utility>

namespace pymalloc_exporter {
namespace {

// The symbol, if the module that is loaded at `base` defines the one in force.
void* SymbolOf(const void* base, const char* name) {
  void* symbol = dlsym(RTLD_DEFAULT, name);
  Dl_info info;
  if (symbol == nullptr || dladdr(symbol, &info) == 0) return nullptr;
  return info.dli_fbase == base ? symbol : nullptr;
}

void CopyVersion(const char* text, AllocatorFound* found) {
  if (text != nullptr) snprintf(found->version, sizeof found->version, "%s", text);
}

// "5.3.0-0-g54eaed1d..." is 5.3.0.
bool IsJemalloc(const void* base, AllocatorFound* found) {
  using Control = int (*)(const char*, void*, size_t*, void*, size_t);
  auto control = reinterpret_cast<Control>(SymbolOf(base, "mallctl"));
  if (control == nullptr) return false;
  const char* version = nullptr;
  size_t bytes = sizeof version;
  if (control("version", &version, &bytes, nullptr, 0) == 0) CopyVersion(version, found);
  found->version[strcspn(found->version, "-")] = '\0';
  return true;
}

bool IsTcmalloc(const void* base, AllocatorFound* found) {
  if (SymbolOf(base, "MallocExtension_GetNumericProperty") == nullptr) return false;
  using Version = const char* (*)(int*, int*, const char**);
  auto version = reinterpret_cast<Version>(SymbolOf(base, "tc_version"));
  int major = 0, minor = 0;
  const char* patch = "";
  if (version != nullptr) {
    version(&major, &minor, &patch);
    snprintf(found->version, sizeof found->version, "%d.%d%s", major, minor, patch);
  }
  return true;
}

// 209 is 2.0.9, 2216 is 2.2.16.
bool IsMimalloc(const void* base, AllocatorFound* found) {
  auto version = reinterpret_cast<int (*)()>(SymbolOf(base, "mi_version"));
  if (version == nullptr) return false;
  int number = version();
  bool long_form = number >= 1000;
  snprintf(found->version, sizeof found->version, "%d.%d.%d",
           number / (long_form ? 1000 : 100), number / (long_form ? 100 : 10) % 10,
           number % (long_form ? 100 : 10));
  return true;
}

bool IsGlibc(const void* base, AllocatorFound* found) {
  auto version =
      reinterpret_cast<const char* (*)()>(SymbolOf(base, "gnu_get_libc_version"));
  if (version == nullptr) return false;
  CopyVersion(version(), found);
  return true;
}

struct Search {
  void* code;
  bool program;  // the first object, whose own symbol is looked at elsewhere
};

int VisitLibrary(dl_phdr_info* object, size_t, void* data) {
  auto* search = static_cast<Search*>(data);
  if (std::exchange(search->program, false)) return 0;
  void* handle = dlopen(object->dlpi_name, RTLD_LAZY | RTLD_NOLOAD);
  if (handle == nullptr) return 0;
  void* code = dlsym(handle, "malloc");
  dlclose(handle);
  Dl_info info;
  bool own = code != nullptr && dladdr(code, &info) != 0 && info.dli_fname != nullptr &&
             strcmp(info.dli_fname, object->dlpi_name) == 0;
  if (own) search->code = code;
  return own;
}

// In a program that is not position-independent the symbol may be no more than its entry
// in the program's own table of jumps; the first library that has one is behind it.
void* FindMalloc() {
  void* code = dlsym(RTLD_DEFAULT, "malloc");
  Dl_info info;
  ElfW(Sym)* symbol = nullptr;
  bool jump = code != nullptr &&
              dladdr1(code, &info, reinterpret_cast<void**>(&symbol), RTLD_DL_SYMENT) &&
              (symbol == nullptr || symbol->st_shndx == SHN_UNDEF);
  if (!jump) return code;
  Search search{nullptr, true};
  dl_iterate_phdr(VisitLibrary, &search);
  return search.code;
}

bool IsMusl(const char* file) {
  return file != nullptr && strstr(file, "musl") != nullptr;
}

}  // namespace

AllocatorFound FindAllocator() {
  AllocatorFound found;
  void* code = FindMalloc();
  Dl_info info;
  if (code == nullptr || dladdr(code, &info) == 0) return found;
  found.malloc_code = reinterpret_cast<uintptr_t>(code);
  const void* base = info.dli_fbase;
  found.allocator = IsGlibc(base, &found)      ? Allocator::kGlibc
                    : IsJemalloc(base, &found) ? Allocator::kJemalloc
                    : IsTcmalloc(base, &found) ? Allocator::kTcmalloc
                    : IsMimalloc(base, &found) ? Allocator::kMimalloc
                    : IsMusl(info.dli_fname)   ? Allocator::kMusl
                                               : Allocator::kUnknown;
  return found;
}

}  // namespace pymalloc_exporter
