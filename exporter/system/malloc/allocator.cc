#include "exporter/system/malloc/allocator.h"

#include <dlfcn.h>
#include <link.h>
#include <sys/auxv.h>

#include <cstdio>
#include <cstring>
#include <utility>

#include "exporter/system/module_data.h"

namespace pymalloc_exporter {
namespace {

// The symbol, if the library defines the one in force.
void* SymbolOf(const AddressRange& library, const char* name) {
  void* symbol = dlsym(RTLD_DEFAULT, name);
  return library.Holds(reinterpret_cast<uintptr_t>(symbol)) ? symbol : nullptr;
}

void CopyVersion(const char* text, AllocatorFound* found) {
  if (text != nullptr) snprintf(found->version, sizeof found->version, "%s", text);
}

// "5.3.0-0-g54eaed1d..." is 5.3.0.
bool IsJemalloc(const AddressRange& library, AllocatorFound* found) {
  using Control = int (*)(const char*, void*, size_t*, void*, size_t);
  auto control = reinterpret_cast<Control>(SymbolOf(library, "mallctl"));
  if (control == nullptr) return false;
  const char* version = nullptr;
  size_t bytes = sizeof version;
  if (control("version", &version, &bytes, nullptr, 0) == 0) CopyVersion(version, found);
  found->version[strcspn(found->version, "-")] = '\0';
  return true;
}

bool IsTcmalloc(const AddressRange& library, AllocatorFound* found) {
  if (SymbolOf(library, "MallocExtension_GetNumericProperty") == nullptr) return false;
  using Version = const char* (*)(int*, int*, const char**);
  auto version = reinterpret_cast<Version>(SymbolOf(library, "tc_version"));
  int major = 0, minor = 0;
  const char* patch = "";
  if (version != nullptr) {
    version(&major, &minor, &patch);
    snprintf(found->version, sizeof found->version, "%d.%d%s", major, minor, patch);
  }
  return true;
}

// 209 is 2.0.9, 2216 is 2.2.16.
bool IsMimalloc(const AddressRange& library, AllocatorFound* found) {
  auto version = reinterpret_cast<int (*)()>(SymbolOf(library, "mi_version"));
  if (version == nullptr) return false;
  int number = version();
  bool long_form = number >= 1000;
  snprintf(found->version, sizeof found->version, "%d.%d.%d",
           number / (long_form ? 1000 : 100), number / (long_form ? 100 : 10) % 10,
           number % (long_form ? 100 : 10));
  return true;
}

bool IsGlibc(const AddressRange& library, AllocatorFound* found) {
  auto version =
      reinterpret_cast<const char* (*)()>(SymbolOf(library, "gnu_get_libc_version"));
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

// Whether it lies in the executable file, as its program headers do.
bool IsInProgram(void* code) {
  AddressRange module = FindModule(reinterpret_cast<uintptr_t>(code)).all;
  return module.Holds(getauxval(AT_PHDR));
}

// In a program that is not position-independent the symbol may be no more than its entry
// in the program's own table of jumps; the first library that has one is behind it.
void* FindMalloc() {
  void* code = dlsym(RTLD_DEFAULT, "malloc");
  Dl_info info;
  ElfW(Sym)* symbol = nullptr;
  bool jump = IsInProgram(code) &&
              dladdr1(code, &info, reinterpret_cast<void**>(&symbol), RTLD_DL_SYMENT) &&
              (symbol == nullptr || symbol->st_shndx == SHN_UNDEF);
  if (!jump) return code;
  Search search{nullptr, true};
  dl_iterate_phdr(VisitLibrary, &search);
  return search.code;
}

bool IsMusl(void* code) {
  Dl_info info;
  return dladdr(code, &info) != 0 && info.dli_fname != nullptr &&
         strstr(info.dli_fname, "musl") != nullptr;
}

}  // namespace

AllocatorFound FindAllocator() {
  AllocatorFound found;
  void* code = FindMalloc();
  if (code == nullptr) return found;
  found.malloc_code = reinterpret_cast<uintptr_t>(code);
  AddressRange library = FindModule(found.malloc_code).all;
  found.allocator = IsGlibc(library, &found)      ? Allocator::kGlibc
                    : IsJemalloc(library, &found) ? Allocator::kJemalloc
                    : IsTcmalloc(library, &found) ? Allocator::kTcmalloc
                    : IsMimalloc(library, &found) ? Allocator::kMimalloc
                    : IsMusl(code)                ? Allocator::kMusl
                                                  : Allocator::kUnknown;
  return found;
}

}  // namespace pymalloc_exporter
