#include "exporter/cpython/type_reader.h"

#include <algorithm>
#include <cstring>

#include "exporter/system/page_map.h"

namespace pymalloc_exporter {
namespace {

constexpr size_t kMostTypeBytes = 512;
constexpr uint64_t kMostBasicBytes = 1 << 20;
constexpr uint64_t kMostReferences = uint64_t{1} << 40;
constexpr uintptr_t kLeastAddress = 1 << 16;
constexpr uintptr_t kEndOfAddresses = uintptr_t{1} << 47;
constexpr uint64_t kMostKeys = 4096;  // that are looked through for __module__
constexpr uint64_t kWindowBytes = 2048;
// Most tables and names are no longer than this.
constexpr size_t kKeysWindowBytes = 512;
constexpr size_t kTextWindowBytes = 128;

uint64_t WordOf(const char* copy, uint32_t offset) {
  uint64_t word;
  memcpy(&word, copy + offset, sizeof word);
  return word;
}

uint64_t Mix(uint64_t hash, uint64_t word) {
  return (hash ^ word) * 0x9e3779b97f4a7c15 ^ hash >> 29;
}

bool AppendCharacter(uint32_t character, TypeName* out) {
  char bytes[4];
  int count = 0;
  if (character < 0x80) {
    bytes[count++] = static_cast<char>(character);
  } else if (character < 0x800) {
    bytes[count++] = static_cast<char>(0xc0 | character >> 6);
    bytes[count++] = static_cast<char>(0x80 | (character & 0x3f));
  } else if (character < 0x10000) {
    bytes[count++] = static_cast<char>(0xe0 | character >> 12);
    bytes[count++] = static_cast<char>(0x80 | (character >> 6 & 0x3f));
    bytes[count++] = static_cast<char>(0x80 | (character & 0x3f));
  } else {
    bytes[count++] = static_cast<char>(0xf0 | character >> 18);
    bytes[count++] = static_cast<char>(0x80 | (character >> 12 & 0x3f));
    bytes[count++] = static_cast<char>(0x80 | (character >> 6 & 0x3f));
    bytes[count++] = static_cast<char>(0x80 | (character & 0x3f));
  }
  if (out->length + count >= static_cast<int>(sizeof out->text)) return false;
  memcpy(out->text + out->length, bytes, static_cast<size_t>(count));
  out->length += count;
  out->text[out->length] = 0;
  return true;
}

bool IsCharacter(uint32_t character) {
  bool surrogate = character >= 0xd800 && character < 0xe000;
  return character >= 0x20 && character != 0x7f && !surrogate && character < 0x110000;
}

uint32_t CharacterAt(const char* data, uint32_t width, uint64_t index) {
  uint32_t character = 0;
  memcpy(&character, data + index * width, width);
  return character;
}

}  // namespace

// `least` bytes, and as many more as the page has that is known to be there. How many; 0
// if they are not there.
template <size_t kMost>
size_t TypeReader::ReadWindow(uintptr_t address, size_t least,
                              char (&copy)[kMost]) const {
  size_t on_page = kPageBytes - address % kPageBytes;
  size_t bytes = std::max(least, std::min(kMost, on_page));
  return reader_.Read(address, copy, bytes) ? bytes : 0;
}

bool TypeReader::ReadWord(uintptr_t address, uint64_t* out) const {
  return reader_.Read(address, out, sizeof *out);
}

bool TypeReader::Read(uintptr_t address, TypeFacts* out) const {
  char copy[kMostTypeBytes];
  bool in_range = address % sizeof(void*) == 0 && address >= kLeastAddress &&
                  address < kEndOfAddresses && layout_.type_bytes <= sizeof copy;
  if (!in_range || !reader_.Read(address, copy, layout_.type_bytes)) return false;
  uint64_t refcount = WordOf(copy, layout_.refcount_offset) & layout_.refcount_mask;
  uint64_t basic_bytes = WordOf(copy, layout_.type_basic_bytes_offset);
  out->metatype = WordOf(copy, layout_.type_offset);
  out->flags = WordOf(copy, layout_.type_flags_offset);
  // Each instance counts as a reference.
  bool sound = refcount != 0 && refcount < kMostReferences &&
               (out->flags & layout_.ready_flag) != 0 && basic_bytes >= sizeof(void*) &&
               basic_bytes < kMostBasicBytes;
  if (!sound) return false;
  out->basic_bytes = static_cast<uint32_t>(basic_bytes);
  out->bytes_before = layout_.bytes_before(out->flags);
  out->name = WordOf(copy, layout_.type_name_offset);
  out->dict = WordOf(copy, layout_.type_dict_offset);
  out->qualname = 0;
  out->fingerprint =
      Mix(Mix(Mix(out->metatype, out->name), basic_bytes), out->bytes_before);
  if ((out->flags & layout_.heap_type_flag) != 0) {
    if (!ReadWord(address + layout_.type_qualname_offset, &out->qualname)) return false;
    out->fingerprint = Mix(Mix(out->fingerprint, out->qualname), out->dict);
  }
  return true;
}

bool TypeReader::ReadName(const TypeFacts& facts, TypeName* out) const {
  *out = TypeName{};
  if ((facts.flags & layout_.heap_type_flag) == 0) return AppendCName(facts.name, out);
  uintptr_t module = FindModule(facts.dict);
  TypeName whole;
  bool resolved = module != 0 && AppendText(module, &whole);
  if (resolved && strcmp(whole.text, "builtins") == 0) {
    whole = TypeName{};
  } else {
    resolved = resolved && AppendCharacter('.', &whole);
  }
  if (resolved && AppendText(facts.qualname, &whole)) {
    *out = whole;
    return true;
  }
  AppendCName(facts.name, out);
  return false;
}

// What the type calls itself in C.
bool TypeReader::AppendCName(uintptr_t name, TypeName* out) const {
  // To its end at most, and no further than the page that is known to be there.
  for (size_t at = 0; at + 1 < sizeof out->text;) {
    char piece[64];
    size_t bytes = sizeof piece - (name + at) % sizeof piece;
    if (!reader_.Read(name + at, piece, bytes)) return false;
    for (size_t i = 0; i < bytes; ++i, ++at) {
      auto letter = static_cast<unsigned char>(piece[i]);
      if (letter == 0) return out->length > 0;
      // Names in C are ASCII; what is not shows as such.
      if (!AppendCharacter(letter < 0x80 && IsCharacter(letter) ? letter : '?', out))
        return true;
    }
  }
  return true;
}

// The str at `text`, as UTF-8. A name that is too long is cut.
bool TypeReader::AppendText(uintptr_t text, TypeName* out) const {
  char copy[kTextWindowBytes];
  PymallocExporterText found;
  size_t there = ReadWindow(text, kPymallocExporterTextBytes, copy);
  if (there == 0 || WordOf(copy, layout_.type_offset) != layout_.str_type ||
      !layout_.read_text(copy, &found) || found.length == 0) {
    return false;
  }
  char longer[sizeof out->text * 4];
  uint64_t count = std::min<uint64_t>(found.length, sizeof out->text);
  uint64_t bytes = count * found.character_bytes;
  bool in_copy = found.data_offset + bytes <= there;
  if (!in_copy && !reader_.Read(text + found.data_offset, longer, bytes)) return false;
  const char* data = in_copy ? copy + found.data_offset : longer;
  for (uint64_t i = 0; i < count; ++i) {
    uint32_t character = CharacterAt(data, found.character_bytes, i);
    if (!AppendCharacter(IsCharacter(character) ? character : '?', out)) break;
  }
  return true;
}

// The value of "__module__" in a type's own dict, 0 if there is none.
uintptr_t TypeReader::FindModule(uintptr_t dict) const {
  uint64_t keys = 0;
  char copy[kKeysWindowBytes];
  PymallocExporterKeys table;
  if (dict < kLeastAddress || !ReadWord(dict + layout_.dict_keys_offset, &keys)) return 0;
  size_t there = ReadWindow(keys, kPymallocExporterKeysBytes, copy);
  if (there == 0 || !layout_.read_keys(copy, &table)) return 0;
  uint64_t count = std::min(table.used_entries, kMostKeys);
  uint64_t a_window = kWindowBytes / table.entry_bytes;
  for (uint64_t first = 0; first < count; first += a_window) {
    char window[kWindowBytes];
    uint64_t entries = std::min(a_window, count - first);
    uint64_t offset = table.entries_offset + first * table.entry_bytes;
    uint64_t bytes = entries * table.entry_bytes;
    bool in_copy = offset + bytes <= there;
    if (!in_copy && !reader_.Read(keys + offset, window, bytes)) return 0;
    for (uint64_t i = 0; i < entries; ++i) {
      const char* entry =
          (in_copy ? copy + offset : window) + i * table.entry_bytes + table.key_offset;
      if (WordOf(entry, 0) == module_key_) return WordOf(entry, sizeof(void*));
    }
  }
  return 0;
}

}  // namespace pymalloc_exporter
