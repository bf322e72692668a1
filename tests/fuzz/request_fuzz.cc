// Paths and Accept-Encoding headers.

#include "exporter/publish/request.h"
#include "tests/fuzz/fuzz.h"

using namespace pymalloc_exporter;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<char> bytes(data, data + size);
  std::string_view text(bytes.data(), bytes.size());
  Target target = TargetOf(text);
  Check(target.worker >= kNoSlot && target.worker < kSlots);
  QuestionKind kind;
  QuestionOf(target.path, &kind);
  // A coding that is named decides, whatever stands behind it.
  bool accepted = AcceptsGzip(text);
  Check(AcceptsGzip("gzip," + std::string(text)));
  Check(!AcceptsGzip("gzip;q=0," + std::string(text)));
  Check(AcceptsGzip(std::string(text) + ",") == accepted);
  return 0;
}
