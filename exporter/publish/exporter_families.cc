// pymalloc_exporter_* and the endpoint's rows: what the exporter says of itself.

#include "exporter/publish/families.h"

namespace pymalloc_exporter {
namespace {

void AddCollector(CollectorId id, const CollectorStatus& status, FamilyBuilder& builder) {
  const char* name = kCollectorNames[static_cast<int>(id)];
  builder.Add(Metric::kCollectorUp, status.up(), {{"collector", name}});
  builder.Add(Metric::kCollectorDuration, status.duration_seconds, {{"collector", name}});
  builder.Add(Metric::kCollectorTimestamp, status.timestamp_seconds,
              {{"collector", name}});
  if (status.up()) return;
  const char* reason = kReasonNames[static_cast<int>(status.reason)];
  builder.Add(Metric::kCollectorInfo, 1, {{"collector", name}, {"reason", reason}});
}

void AddPresent(Metric metric, uint64_t value, FamilyBuilder& builder) {
  if (value != kCgroupAbsent) builder.Add(metric, Number(value));
}

void AddCgroup(const CgroupSample& cgroup, FamilyBuilder& builder) {
  AddPresent(Metric::kCgroupUsage, cgroup.usage_bytes, builder);
  AddPresent(Metric::kCgroupLimit, cgroup.limit_bytes, builder);
  AddPresent(Metric::kCgroupHigh, cgroup.high_bytes, builder);
  AddPresent(Metric::kCgroupInactiveFile, cgroup.inactive_file_bytes, builder);
  AddPresent(Metric::kCgroupOomKills, cgroup.oom_kills, builder);
  if (cgroup.pressure_stalled_seconds >= 0) {
    builder.Add(Metric::kCgroupPressure, cgroup.pressure_stalled_seconds);
  }
}

void AddRequests(const Scrape& scrape, FamilyBuilder& builder) {
  for (int path = 0; path < static_cast<int>(HttpPath::kCount); ++path) {
    for (int code = 0; code < static_cast<int>(HttpCode::kCount); ++code) {
      uint64_t requests = scrape.http_requests[path][code];
      if (requests == 0) continue;
      builder.Add(Metric::kHttpRequests, Number(requests),
                  {{"path", kHttpPathNames[path]},
                   {"code", std::to_string(kHttpCodeValues[code])}});
    }
  }
}

}  // namespace

void AddExporter(const LiveSample& live, FamilyBuilder& builder) {
  const Sample& sample = live.sample;
  builder.Add(Metric::kBuildInfo, 1, {{"version", PYMALLOC_EXPORTER_VERSION}});
  for (int i = 0; i < kCollectorCount; ++i) {
    AddCollector(static_cast<CollectorId>(i), sample.collectors[i], builder);
  }
  builder.Add(Metric::kExporterCpu, sample.exporter_cpu_seconds);
  builder.Add(Metric::kSampleTimestamp, sample.timestamp_seconds);
}

void AddEndpoint(const Scrape& scrape, FamilyBuilder& builder) {
  builder.Add(Metric::kProcesses,
              Number(scrape.workers.size() + scrape.processes_without_slot));
  builder.Add(Metric::kProcessesWithoutSlot, Number(scrape.processes_without_slot));
  builder.Add(Metric::kProcessesEnded, Number(scrape.ended_announced),
              {{"announced", "true"}});
  builder.Add(Metric::kProcessesEnded, Number(scrape.ended_unannounced),
              {{"announced", "false"}});
  builder.Add(Metric::kSlotsRejected, Number(scrape.slots_rejected));
  builder.Add(Metric::kLeaderChanges, Number(scrape.leader_changes));
  AddRequests(scrape, builder);
  for (const LiveSample& live : scrape.workers) {
    if (live.sample.identity.serving) {
      AddCgroup(live.sample.cgroup, builder);
      return;
    }
  }
}

}  // namespace pymalloc_exporter
