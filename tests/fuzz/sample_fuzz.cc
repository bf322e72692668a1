// A sample that another process wrote: whatever Valid() lets pass has to make a sound
// exposition and a page without the text of others as markup.

#include <cstring>

#include "exporter/publish/exposition.h"
#include "exporter/publish/families.h"
#include "exporter/publish/page.h"
#include "tests/fuzz/fuzz.h"

using namespace pymalloc_exporter;

namespace {

size_t CountOf(const std::string& text, char wanted) {
  size_t count = 0;
  for (char c : text) count += c == wanted;
  return count;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const size_t tags = [] {
    Scrape healthy;
    healthy.workers.push_back(Live(0, HealthySample()));
    return CountOf(WritePage(healthy, 1.7e9), '<');
  }();
  FuzzedDataProvider input(data, size);
  std::vector<char> bytes(sizeof(Sample));
  Sample sample = HealthySample();
  memcpy(bytes.data(), &sample, sizeof sample);
  Patch(input, bytes);
  memcpy(static_cast<void*>(&sample), bytes.data(), sizeof sample);
  if (!Valid(sample)) return 0;
  Scrape scrape;
  scrape.workers.push_back(Live(0, sample));
  CheckExposition(WriteMetrics(scrape));
  // A verdict stands out, in a tag that opens and closes.
  bool stands_out = HasFigures(sample, CollectorId::kLedger) &&
                    sample.ledger.judgement.verdict != Verdict::kHealthy;
  Check(CountOf(WritePage(scrape, 1.7e9), '<') == tags + (stands_out ? 2 : 0));
  return 0;
}
