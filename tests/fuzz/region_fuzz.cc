// A region that another process handed over or wrote: adopting it, reading every slot,
// scraping it, claiming in it, succeeding it.

#include "exporter/publish/exposition.h"
#include "exporter/publish/page.h"
#include "exporter/publish/scrape.h"
#include "tests/fuzz/fuzz.h"

using namespace pymalloc_exporter;

namespace {

void Use(const Region& region) {
  Scrape scrape = ReadRegion(region);
  for (const LiveSample& live : scrape.workers) Check(Valid(live.sample));
  CheckExposition(WriteMetrics(scrape));
  Check(!WritePage(scrape, 1.7e9).empty());
  int slot = region.Claim(4711, 1);
  if (slot != kNoSlot) {
    Check(region.Write(slot, HealthySample(4711)));
    region.SetGoodbye(slot, 4711, true);
  }
  int fd;
  Region successor = Region::Create(region, &fd);
  Check(successor.mapped());
  ReadRegion(successor);
  successor.Unmap();
  close(fd);
  if (slot != kNoSlot) Check(region.Release(slot, 4711));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzedDataProvider input(data, size);
  int fd = StrangeDescriptor(input);
  Region region = Region::Adopt(fd);
  close(fd);
  if (region.mapped()) Use(region);
  region.Unmap();
  return 0;
}
