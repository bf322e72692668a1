#include "exporter/cpython/oracle.h"

namespace pymalloc_exporter {
namespace {

constexpr bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Takes the next number from the front of `text`; commas group its digits.
bool TakeNumber(std::string_view* text, uint64_t* value) {
  size_t at = 0;
  while (at < text->size() && !IsDigit((*text)[at])) ++at;
  if (at == text->size()) return false;
  *value = 0;
  for (; at < text->size() && (IsDigit((*text)[at]) || (*text)[at] == ','); ++at) {
    if ((*text)[at] != ',')
      *value = *value * 10 + static_cast<uint64_t>((*text)[at] - '0');
  }
  text->remove_prefix(at);
  return true;
}

// "    3     64        12        800       216": class, size, pools, in use, free.
bool ParseClassLine(std::string_view line, OracleReading* out) {
  uint64_t index, size, pools, live, free;
  bool numbers = TakeNumber(&line, &index) && TakeNumber(&line, &size) &&
                 TakeNumber(&line, &pools) && TakeNumber(&line, &live) &&
                 TakeNumber(&line, &free);
  if (!numbers || index >= kSizeClasses) return false;
  out->class_pools[index] = pools;
  out->class_live_blocks[index] = live;
  out->class_free_blocks[index] = free;
  return true;
}

// The number right of the "=" in the line that starts with `name`.
bool ParseTotal(std::string_view text, std::string_view name, uint64_t* value) {
  size_t at = text.find(name);
  if (at == text.npos) return false;
  std::string_view line = text.substr(at, text.find('\n', at) - at);
  size_t equals = line.find('=');
  if (equals == line.npos) return false;
  line.remove_prefix(equals);
  return TakeNumber(&line, value);
}

// "11 arenas * 1048576 bytes/arena": the size.
bool ParseSize(std::string_view text, std::string_view what, uint64_t* bytes) {
  size_t at = text.find(what);
  if (at == text.npos) return false;
  text.remove_prefix(at);
  return TakeNumber(&text, bytes);
}

bool ParseClasses(std::string_view text, OracleReading* out) {
  size_t at = text.find("-----\n");
  if (at == text.npos) return false;
  at = text.find('\n', at) + 1;
  // Classes without a pool have no line; a blank line ends the table.
  while (at < text.size() && text[at] != '\n') {
    std::string_view line = text.substr(at, text.find('\n', at) - at);
    if (!ParseClassLine(line, out)) return false;
    at += line.size() + 1;
  }
  return true;
}

}  // namespace

bool ParseOracle(std::string_view text, OracleReading* out) {
  *out = OracleReading{};
  uint64_t unused_bytes = 0;
  bool whole = ParseClasses(text, out) &&
               ParseTotal(text, "# arenas allocated total", &out->arenas_allocated) &&
               ParseTotal(text, "# arenas reclaimed", &out->arenas_freed) &&
               ParseTotal(text, "# arenas highwater mark", &out->arenas_highwater) &&
               ParseTotal(text, "# arenas allocated current", &out->arenas) &&
               ParseSize(text, "arenas * ", &out->arena_bytes) &&
               ParseTotal(text, "# bytes in allocated blocks", &out->live_bytes) &&
               ParseTotal(text, "# bytes in available blocks", &out->free_block_bytes) &&
               ParseSize(text, "unused pools * ", &out->pool_bytes) &&
               ParseTotal(text, "unused pools * ", &unused_bytes) && out->pool_bytes > 0;
  if (whole) out->unused_pools = unused_bytes / out->pool_bytes;
  return whole;
}

bool Agrees(const OracleReading& oracle, const PymallocSample& ours) {
  return oracle.arena_bytes == ours.arena_size_bytes &&
         oracle.pool_bytes == ours.pool_size_bytes && oracle.arenas == ours.arenas &&
         oracle.unused_pools == ours.free_pools + ours.uncarved_pools &&
         oracle.live_bytes == ours.live_bytes &&
         oracle.free_block_bytes == ours.free_block_bytes &&
         oracle.class_pools == ours.class_pools &&
         oracle.class_live_blocks == ours.class_live_blocks &&
         oracle.class_free_blocks == ours.class_free_blocks;
}

}  // namespace pymalloc_exporter
