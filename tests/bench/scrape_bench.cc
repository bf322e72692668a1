// CPU time of a scrape of 64 workers: region to families to text, as the server does it.
//
// Prints: number of series, microseconds a scrape, microseconds of the text alone, and of
// prometheus-cpp's serializer for the same families.

#include <prometheus/text_serializer.h>

#include <cstdio>
#include <vector>

#include "exporter/publish/exposition.h"
#include "exporter/publish/families.h"
#include "exporter/publish/text_writer.h"
#include "exporter/system/clock.h"
#include "tests/bench/timing.h"
#include "tests/unit/samples.h"

using namespace pymalloc_exporter;

namespace {

constexpr int kWorkers = 64;
constexpr int kRounds = 101;

Region FilledRegion() {
  int fd;
  Region region = Region::Create({}, &fd);
  for (uint64_t nonce = 1; nonce <= kWorkers; ++nonce) {
    Sample sample = HealthySample(nonce);
    sample.identity.parent_nonce = 1;
    sample.process.cpu_seconds = 1234.567 + static_cast<double>(nonce);
    sample.timestamp_seconds += 0.123456 * static_cast<double>(nonce);
    for (GcGeneration& generation : sample.gc.generations)
      generation.collections = nonce * 1000;
    region.Write(region.Claim(nonce, kNoSlot), sample);
  }
  return region;
}

template <typename Work>
double MedianMicroseconds(Work work) {
  return MedianCpuTime(kRounds, work) / kMicrosecond;
}

}  // namespace

int main() {
  Region region = FilledRegion();
  if (!region.mapped()) return 1;
  FamilyBuilder builder;
  Scrape scrape = ReadRegion(region);
  for (const LiveSample& live : scrape.workers) AddWorker(live, builder);
  AddEndpoint(scrape, builder);
  std::vector<prometheus::MetricFamily> families(builder.families().begin(),
                                                 builder.families().end());
  size_t series = 0, bytes = 0;
  for (const auto& family : families) series += family.metric.size();
  double whole =
      MedianMicroseconds([&] { bytes += WriteMetrics(ReadRegion(region)).size(); });
  double text = MedianMicroseconds([&] {
    TextWriter writer(families.size());
    for (size_t i = 0; i < families.size(); ++i) writer.Add(i, families[i]);
    bytes += writer.Text().size();
  });
  double theirs = MedianMicroseconds(
      [&] { bytes += prometheus::TextSerializer().Serialize(families).size(); });
  printf("%zu %.1f %.1f %.1f\n", series, whole, text, theirs);
  return bytes == 0;
}
