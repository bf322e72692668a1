#include "exporter/system/memory_maps.h"

#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstring>

namespace pymalloc_exporter {
namespace {

// Takes a hexadecimal number and the character behind it off the front of `text`.
bool TakeAddress(std::string_view* text, char behind, uintptr_t* value) {
  const char* end = text->data() + text->size();
  auto [stop, error] = std::from_chars(text->data(), end, *value, 16);
  if (error != std::errc() || stop == end || *stop != behind) return false;
  text->remove_prefix(static_cast<size_t>(stop + 1 - text->data()));
  return true;
}

// Takes a word and the blanks behind it.
std::string_view TakeWord(std::string_view* text) {
  std::string_view word = text->substr(0, text->find(' '));
  text->remove_prefix(word.size());
  size_t blanks = text->find_first_not_of(' ');
  text->remove_prefix(blanks == text->npos ? text->size() : blanks);
  return word;
}

Mapping::Name NameOf(std::string_view name) {
  if (name == "[heap]") return Mapping::Name::kHeap;
  if (name == "[stack]") return Mapping::Name::kStack;
  if (name.starts_with("/anon_hugepage")) return Mapping::Name::kHugePages;
  bool kernel =
      name.starts_with("[v") || name.starts_with("[uprobes") || name.starts_with("[sig");
  return kernel ? Mapping::Name::kKernel : Mapping::Name::kNone;
}

}  // namespace

bool ParseMapping(std::string_view line, Mapping* out) {
  if (!TakeAddress(&line, '-', &out->start) || !TakeAddress(&line, ' ', &out->end)) {
    return false;
  }
  std::string_view rights = TakeWord(&line);
  if (rights.size() != 4 || out->end < out->start) return false;
  out->readable = rights[0] == 'r';
  out->writable = rights[1] == 'w';
  out->executable = rights[2] == 'x';
  out->shared = rights[3] == 's';
  TakeWord(&line);  // offset
  TakeWord(&line);  // device
  std::string_view inode = TakeWord(&line);
  if (inode.empty()) return false;
  out->name = NameOf(line);
  out->of_file = inode != "0" && out->name != Mapping::Name::kHugePages;
  return true;
}

uintptr_t LowestAddress() {
  char text[64];
  std::string_view line = ReadFile("/proc/self", "maps", text, sizeof text - 1);
  text[line.size()] = 0;
  unsigned long address = 0;
  return sscanf(text, "%lx-", &address) == 1 ? address : 0;
}

MapsReader::~MapsReader() {
  if (fd_ >= 0) close(fd_);
}

bool MapsReader::Open(const KernelPaths& paths) {
  char path[512];
  snprintf(path, sizeof path, "%s/self/maps", paths.proc);
  fd_ = open(path, O_RDONLY | O_CLOEXEC);
  return fd_ >= 0;
}

bool MapsReader::NeedsPiece() const { return !ended_ && Line().empty(); }

// The next whole line with its end, or nothing.
std::string_view MapsReader::Line() const {
  std::string_view rest(text_ + at_, filled_ - at_);
  size_t end = rest.find('\n');
  return end == rest.npos ? std::string_view() : rest.substr(0, end + 1);
}

bool MapsReader::ReadPiece() {
  memmove(text_, text_ + at_, filled_ - at_);
  filled_ -= at_;
  at_ = 0;
  if (filled_ + kPieceBytes > sizeof text_) return false;
  ssize_t bytes = read(fd_, text_ + filled_, kPieceBytes);
  if (bytes < 0) return false;
  ended_ = bytes == 0;
  filled_ += static_cast<size_t>(bytes);
  return true;
}

bool MapsReader::Next(Mapping* out) {
  while (NeedsPiece()) {
    if (!ReadPiece()) {
      failed_ = true;
      return false;
    }
  }
  std::string_view line = Line();
  if (line.empty()) return false;
  at_ += line.size();
  failed_ = !ParseMapping(line.substr(0, line.size() - 1), out);
  return !failed_;
}

}  // namespace pymalloc_exporter
