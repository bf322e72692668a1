// Reading type objects and their names from the outside: without the GIL, without
// following a pointer that may lead nowhere.
//
// Names are as Python shows them: "module.qualname", without "builtins."; of a type made
// in C what it calls itself (tp_name). Cut at 127 bytes of valid UTF-8.
//
// Thread safety: one thread each. No GIL, no malloc. A type that changes meanwhile reads
// as garbage at worst: then its name is tp_name, and `resolved` is false.

#pragma once

#include <cstdint>

#include "exporter/cpython/object_layout.h"
#include "exporter/sample/census.h"
#include "exporter/system/safe_read.h"

namespace pymalloc_exporter {

// What a type object says of its instances.
struct TypeFacts {
  uintptr_t metatype;
  uint64_t flags;
  uint32_t basic_bytes;   // the least an instance takes
  uint32_t bytes_before;  // what lies before an instance
  uint64_t fingerprint;   // another one: another type at the same address
  uintptr_t name;         // what it calls itself in C
  uintptr_t dict;
  uintptr_t qualname;  // of a heap type, else 0
};

class TypeReader {
 public:
  // `module_key`: the address of the interned str "__module__".
  TypeReader(const PymallocExporterObjectLayout& layout, uintptr_t module_key)
      : layout_(layout), module_key_(module_key) {}

  bool usable() const { return reader_.usable(); }
  const SafeReader& memory() const { return reader_; }

  // False if no type stands at `address`; whether `metatype` is one is the caller's.
  bool Read(uintptr_t address, TypeFacts* out) const;

  // The name of a type that Read() took. False: it is not the final one.
  bool ReadName(const TypeFacts& facts, TypeName* out) const;

 private:
  bool ReadWord(uintptr_t address, uint64_t* out) const;
  template <size_t kMost>
  size_t ReadWindow(uintptr_t address, size_t least, char (&copy)[kMost]) const;
  bool AppendCName(uintptr_t name, TypeName* out) const;
  bool AppendText(uintptr_t text, TypeName* out) const;
  uintptr_t FindModule(uintptr_t dict) const;

  const PymallocExporterObjectLayout& layout_;
  const uintptr_t module_key_;
  SafeReader reader_;
};

}  // namespace pymalloc_exporter
