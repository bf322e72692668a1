#include "exporter/publish/scrape.h"

#include <algorithm>
#include <unordered_set>

#include "exporter/system/clock.h"

namespace pymalloc_exporter {
namespace {

void ReadCounters(const EndpointCounters& counters, Scrape& scrape) {
  scrape.processes_without_slot = counters.processes_without_slot;
  scrape.ended_announced = counters.ended_announced;
  scrape.ended_unannounced = counters.ended_unannounced;
  scrape.slots_rejected = counters.slots_rejected;
  scrape.leader_changes = counters.leader_changes;
  for (int path = 0; path < static_cast<int>(HttpPath::kCount); ++path) {
    for (int code = 0; code < static_cast<int>(HttpCode::kCount); ++code) {
      scrape.http_requests[path][code] = counters.http_requests[path][code];
    }
  }
}

// The clock may have been set since the sample was written; and none is from the future.
void FollowClockOfHere(Sample& sample) {
  if (sample.time_namespace == TimeNamespace()) FollowClock(sample, ClockOffset());
  double now = Seconds(CLOCK_REALTIME);
  sample.timestamp_seconds = std::min(sample.timestamp_seconds, now);
  for (CollectorStatus& status : sample.collectors) {
    status.timestamp_seconds = std::min(status.timestamp_seconds, now);
  }
}

}  // namespace

Scrape ReadRegion(const Region& region) {
  Scrape scrape;
  LiveSample live{};
  // A killed leader's slot says for a while that it serves.
  uint64_t leader = region.counters().leader;
  for (live.worker = 0; live.worker < kSlots; ++live.worker) {
    SlotState state = region.Read(live.worker, &live.sample);
    if (state == SlotState::kRejected) ++region.counters().slots_rejected;
    if (state != SlotState::kGood) continue;
    if (live.sample.identity.nonce != leader) live.sample.identity.serving = false;
    FollowClockOfHere(live.sample);
    scrape.workers.push_back(live);
  }
  AssignRoles(scrape.workers);
  ReadCounters(region.counters(), scrape);
  return scrape;
}

void AssignRoles(std::vector<LiveSample>& workers) {
  std::unordered_set<uint64_t> alive, parents;
  for (const LiveSample& live : workers) {
    alive.insert(live.sample.identity.nonce);
    parents.insert(live.sample.identity.parent_nonce);
  }
  for (LiveSample& live : workers) {
    const Identity& identity = live.sample.identity;
    live.role = parents.count(identity.nonce)        ? Role::kMaster
                : alive.count(identity.parent_nonce) ? Role::kWorker
                                                     : Role::kProcess;
  }
}

}  // namespace pymalloc_exporter
