// process_* and python_*: the names and meanings of client_python, and more of the same
// kind.

#include "exporter/publish/families.h"

namespace pymalloc_exporter {
namespace {

void AddIdentity(const LiveSample& live, FamilyBuilder& builder) {
  const Identity& identity = live.sample.identity;
  builder.Add(Metric::kPythonInfo, 1,
              {{"implementation", identity.implementation},
               {"major", std::to_string(identity.version_major)},
               {"minor", std::to_string(identity.version_minor)},
               {"patchlevel", identity.version_patchlevel},
               {"version", identity.version}});
  builder.Add(Metric::kPid, identity.pid);
  builder.Add(Metric::kParentPid, identity.parent_pid);
  builder.Add(Metric::kRole, 1, {{"role", kRoleNames[static_cast<int>(live.role)]}});
  builder.Add(Metric::kServing, identity.serving);
}

void AddMemory(const ProcessSample& process, FamilyBuilder& builder) {
  builder.Add(Metric::kResidentMemory, Number(process.resident_bytes));
  builder.Add(Metric::kResidentAnon, Number(process.resident_anon_bytes));
  builder.Add(Metric::kResidentFile, Number(process.resident_file_bytes));
  builder.Add(Metric::kResidentShmem, Number(process.resident_shmem_bytes));
  builder.Add(Metric::kResidentPeak, Number(process.resident_peak_bytes));
  builder.Add(Metric::kVirtualMemory, Number(process.virtual_bytes));
  builder.Add(Metric::kSwap, Number(process.swap_bytes));
}

void AddResidency(const ResidencySample& residency, FamilyBuilder& builder) {
  if (!residency.page_map) return;
  builder.Add(Metric::kUnique, Number(residency.total().exclusive_bytes));
  if (residency.huge_known)
    builder.Add(Metric::kResidentHuge, Number(residency.huge_bytes));
}

void AddActivity(const ProcessSample& process, FamilyBuilder& builder) {
  builder.Add(Metric::kCpuSeconds, process.cpu_seconds);
  builder.Add(Metric::kStartTime, process.start_time_seconds);
  builder.Add(Metric::kOpenFds, Number(process.open_fds));
  builder.Add(Metric::kMaxFds, Number(process.max_fds));
  builder.Add(Metric::kThreads, Number(process.threads));
  builder.Add(Metric::kPageFaults, Number(process.minor_faults), {{"kind", "minor"}});
  builder.Add(Metric::kPageFaults, Number(process.major_faults), {{"kind", "major"}});
}

void AddGc(const GcSample& gc, FamilyBuilder& builder) {
  for (int i = 0; i < kGcGenerations; ++i) {
    const GcGeneration& generation = gc.generations[i];
    std::string name = std::to_string(i);
    builder.Add(Metric::kGcCollections, Number(generation.collections),
                {{"generation", name}});
    builder.Add(Metric::kGcCollected, Number(generation.collected),
                {{"generation", name}});
    builder.Add(Metric::kGcUncollectable, Number(generation.uncollectable),
                {{"generation", name}});
  }
}

}  // namespace

void AddProcess(const LiveSample& live, FamilyBuilder& builder) {
  AddIdentity(live, builder);
  if (HasFigures(live.sample, CollectorId::kProcess)) {
    AddMemory(live.sample.process, builder);
    AddActivity(live.sample.process, builder);
  }
  if (HasFigures(live.sample, CollectorId::kResidency)) {
    AddResidency(live.sample.residency, builder);
  }
  if (HasFigures(live.sample, CollectorId::kGc)) AddGc(live.sample.gc, builder);
}

}  // namespace pymalloc_exporter
