// Writes JSON (RFC 8259) into memory of fixed size, and tells what is JSON.
//
// Thread safety: none, no state but the object's. No GIL, no malloc, no exception.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pymalloc_exporter {

// A writer for one text. What does not fit in is left out, and then complete() is false.
//
//   JsonText text(buffer, sizeof buffer);
//   text.Begin('{').Key("rss").Number(1u).Key("rows").Begin('[');
//   ...
//   text.End(']').End('}');
class JsonText {
 public:
  JsonText(char* buffer, size_t bytes) : buffer_(buffer), bytes_(bytes) {}

  JsonText& Begin(char bracket);
  JsonText& End(char bracket);
  JsonText& Key(std::string_view name);
  // Escapes; each byte that is not valid UTF-8 becomes U+FFFD.
  JsonText& String(std::string_view text);
  JsonText& Number(uint64_t value);
  JsonText& Number(int64_t value);
  JsonText& Number(double value);  // null unless finite
  JsonText& Bool(bool value);

  template <typename Value>
  JsonText& Row(std::string_view name, Value value) {
    return Key(name).Number(value);
  }

  std::string_view text() const { return {buffer_, used_}; }
  bool complete() const { return !overflowed_; }
  void Clear() { *this = JsonText(buffer_, bytes_); }

 private:
  void Separate();
  void Append(std::string_view piece);

  char* buffer_;
  size_t bytes_;
  size_t used_ = 0;
  bool overflowed_ = false;
  bool comma_ = false;  // the next value or key needs one before it
};

// Whether `text` is one JSON object in valid UTF-8, of at most 16 levels, with no control
// character but line ends, blanks and tabs between its tokens.
bool IsJsonObject(std::string_view text);

// Bytes of the UTF-8 sequence at the start of `text` (Unicode 15, table 3-7), 0 if it is
// none.
size_t SequenceBytes(std::string_view text);

}  // namespace pymalloc_exporter
