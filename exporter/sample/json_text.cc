#include "exporter/sample/json_text.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>

namespace pymalloc_exporter {
namespace {

constexpr int kMostLevels = 16;
constexpr std::string_view kReplacement = "\xef\xbf\xbd";

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Takes one text from its start on, level by level.
class Reader {
 public:
  explicit Reader(std::string_view rest) : rest_(rest) {}

  bool Object(int level) { return Members('{', '}', level); }
  bool AtEnd() {
    Blanks();
    return rest_.empty();
  }

 private:
  void Blanks() {
    size_t end = rest_.find_first_not_of(" \t\r\n");
    rest_.remove_prefix(end == rest_.npos ? rest_.size() : end);
  }
  bool Take(std::string_view token) {
    Blanks();
    if (!rest_.starts_with(token)) return false;
    rest_.remove_prefix(token.size());
    return true;
  }
  bool Members(char open, char close, int level) {
    if (level > kMostLevels || !Take({&open, 1})) return false;
    if (Take({&close, 1})) return true;
    do {
      if (open == '{' && !(String() && Take(":"))) return false;
      if (!Value(level)) return false;
    } while (Take(","));
    return Take({&close, 1});
  }
  bool Value(int level) {
    Blanks();
    char first = rest_.empty() ? '\0' : rest_[0];
    if (first == '{') return Members('{', '}', level + 1);
    if (first == '[') return Members('[', ']', level + 1);
    if (first == '"') return String();
    return Take("true") || Take("false") || Take("null") || Number();
  }
  bool Escape() {
    if (rest_.size() < 2) return false;
    bool unicode = rest_[1] == 'u';
    size_t bytes = unicode ? 6 : 2;
    bool right = unicode
                     ? rest_.size() >= 6 && rest_.substr(2, 4).find_first_not_of(
                                                "0123456789abcdefABCDEF") == rest_.npos
                     : strchr("\"\\/bfnrt", rest_[1]) != nullptr;
    if (right) rest_.remove_prefix(bytes);
    return right;
  }
  bool String() {
    if (!Take("\"")) return false;
    while (!rest_.empty() && rest_[0] != '"') {
      if (rest_[0] == '\\') {
        if (!Escape()) return false;
        continue;
      }
      size_t bytes = SequenceBytes(rest_);
      if (bytes == 0 || static_cast<unsigned char>(rest_[0]) < 0x20) return false;
      rest_.remove_prefix(bytes);
    }
    if (rest_.empty()) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool Digits() {
    size_t count = 0;
    while (count < rest_.size() && IsDigit(rest_[count])) ++count;
    rest_.remove_prefix(count);
    return count > 0;
  }
  bool Optional(std::string_view any) {
    bool there = !rest_.empty() && any.find(rest_[0]) != any.npos;
    if (there) rest_.remove_prefix(1);
    return there;
  }
  bool Number() {
    Optional("-");
    bool zero = Optional("0");
    if (!zero && !Digits()) return false;
    if (Optional(".") && !Digits()) return false;
    if (!Optional("eE")) return true;
    Optional("+-");
    return Digits();
  }

  std::string_view rest_;
};

}  // namespace

size_t SequenceBytes(std::string_view text) {
  if (text.empty()) return 0;
  auto at = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  unsigned char first = at(0);
  size_t bytes = first < 0x80   ? 1
                 : first < 0xc2 ? 0
                 : first < 0xe0 ? 2
                 : first < 0xf0 ? 3
                 : first < 0xf5 ? 4
                                : 0;
  if (bytes == 0 || bytes > text.size()) return 0;
  for (size_t i = 1; i < bytes; ++i) {
    if ((at(i) & 0xc0) != 0x80) return 0;
  }
  bool overlong = (first == 0xe0 && at(1) < 0xa0) || (first == 0xf0 && at(1) < 0x90);
  bool surrogate = first == 0xed && at(1) >= 0xa0;
  bool too_large = first == 0xf4 && at(1) >= 0x90;
  return overlong || surrogate || too_large ? 0 : bytes;
}

bool IsJsonObject(std::string_view text) {
  Reader reader(text);
  return reader.Object(1) && reader.AtEnd();
}

void JsonText::Append(std::string_view piece) {
  if (piece.size() > bytes_ - used_) overflowed_ = true;
  if (overflowed_) return;
  memcpy(buffer_ + used_, piece.data(), piece.size());
  used_ += piece.size();
}

void JsonText::Separate() {
  if (comma_) Append(",");
  comma_ = true;
}

JsonText& JsonText::Begin(char bracket) {
  Separate();
  Append({&bracket, 1});
  comma_ = false;
  return *this;
}

JsonText& JsonText::End(char bracket) {
  Append({&bracket, 1});
  comma_ = true;
  return *this;
}

JsonText& JsonText::Key(std::string_view name) {
  String(name);
  Append(":");
  comma_ = false;
  return *this;
}

JsonText& JsonText::String(std::string_view text) {
  Separate();
  Append("\"");
  while (!text.empty()) {
    size_t bytes = SequenceBytes(text);
    auto first = static_cast<unsigned char>(text[0]);
    if (bytes == 0) {
      Append(kReplacement);
    } else if (first < 0x20) {
      char escape[8];
      Append({escape, static_cast<size_t>(snprintf(escape, 8, "\\u%04x", first))});
    } else {
      if (first == '"' || first == '\\') Append("\\");
      Append(text.substr(0, bytes));
    }
    text.remove_prefix(bytes == 0 ? 1 : bytes);
  }
  Append("\"");
  return *this;
}

JsonText& JsonText::Number(uint64_t value) {
  char digits[24];
  Separate();
  char* end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  Append({digits, static_cast<size_t>(end - digits)});
  return *this;
}

JsonText& JsonText::Number(int64_t value) {
  char digits[24];
  Separate();
  char* end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  Append({digits, static_cast<size_t>(end - digits)});
  return *this;
}

JsonText& JsonText::Number(double value) {
  char digits[32];
  Separate();
  char* end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  bool finite = std::isfinite(value);
  Append(finite ? std::string_view(digits, static_cast<size_t>(end - digits)) : "null");
  return *this;
}

JsonText& JsonText::Bool(bool value) {
  Separate();
  Append(value ? "true" : "false");
  return *this;
}

}  // namespace pymalloc_exporter
