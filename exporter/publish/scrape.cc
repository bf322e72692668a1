#include "exporter/publish/scrape.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>

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

// Finds the parent of a process among those that are alive.
class Kin {
 public:
  explicit Kin(std::vector<LiveSample>& all) {
    for (LiveSample& live : all) {
      const Identity& identity = live.sample.identity;
      by_nonce_[identity.nonce] = &live;
      if (identity.pid_namespace != 0)
        by_pid_[{identity.pid_namespace, identity.pid}] = &live;
    }
  }

  LiveSample* ParentOf(const LiveSample& live) const {
    auto forked = by_nonce_.find(live.sample.identity.parent_nonce);
    if (forked != by_nonce_.end()) return forked->second;
    return live.sample.identity.origin == Origin::kProgram ? nullptr : Starter(live);
  }

  // Whom it works for: the parent, or the starter of the fork server that is its parent.
  LiveSample* MasterOf(const LiveSample& live) const {
    LiveSample* parent = ParentOf(live);
    bool helper = parent != nullptr && parent->sample.identity.origin == Origin::kHelper;
    return helper ? Starter(*parent) : parent;
  }

 private:
  // By its pid, which may have been given to a younger process since.
  LiveSample* Starter(const LiveSample& live) const {
    const Identity& identity = live.sample.identity;
    auto found = by_pid_.find({identity.pid_namespace, identity.parent_pid});
    if (found == by_pid_.end()) return nullptr;
    bool older = found->second->sample.process.start_time_seconds <=
                 live.sample.process.start_time_seconds;
    return older ? found->second : nullptr;
  }

  std::unordered_map<uint64_t, LiveSample*> by_nonce_;
  std::map<std::pair<uint64_t, int32_t>, LiveSample*> by_pid_;
};

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
  Kin kin(workers);
  for (LiveSample& live : workers) {
    bool helper = live.sample.identity.origin == Origin::kHelper;
    live.role = !helper && kin.ParentOf(live) ? Role::kWorker : Role::kProcess;
  }
  for (const LiveSample& live : workers) {
    LiveSample* master = live.role == Role::kWorker ? kin.MasterOf(live) : nullptr;
    if (master != nullptr) master->role = Role::kMaster;
  }
}

}  // namespace pymalloc_exporter
