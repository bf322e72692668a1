#include "exporter/publish/exposition.h"

#include "exporter/publish/families.h"
#include "exporter/publish/text_writer.h"

namespace pymalloc_exporter {
namespace {

void Move(FamilyBuilder& builder, TextWriter& writer) {
  for (size_t i = 0; i < kMetricCount; ++i) writer.Add(i, builder.families()[i]);
  builder.Clear();
}

}  // namespace

std::string WriteMetrics(const Scrape& scrape) {
  FamilyBuilder builder;
  TextWriter writer(kMetricCount);
  for (const LiveSample& live : scrape.workers) {
    AddWorker(live, builder);
    Move(builder, writer);
    // The first has shown how much text a worker makes.
    if (&live == &scrape.workers.front()) writer.Reserve(scrape.workers.size());
  }
  AddEndpoint(scrape, builder);
  Move(builder, writer);
  return writer.Text();
}

}  // namespace pymalloc_exporter
