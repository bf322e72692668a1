// Every metric: its name, its type and what it means. The one place where they stand; the
// README's table, the golden scrapes and the dashboards are checked against it.

#pragma once

#include <prometheus/metric_family.h>

namespace pymalloc_exporter {

enum class Metric {
  // As client_python.
  kResidentMemory,
  kVirtualMemory,
  kCpuSeconds,
  kStartTime,
  kOpenFds,
  kMaxFds,
  kPythonInfo,
  kGcCollected,
  kGcUncollectable,
  kGcCollections,
  // Process memory, more.
  kPid,
  kParentPid,
  kRole,
  kServing,
  kResidentAnon,
  kResidentFile,
  kResidentShmem,
  kResidentPeak,
  kResidentHuge,
  kUnique,
  kSwap,
  kThreads,
  kPageFaults,
  kCgroupUsage,
  kCgroupLimit,
  kCgroupHigh,
  kCgroupInactiveFile,
  kCgroupOomKills,
  kCgroupPressure,
  // pymalloc.
  kArenas,
  kArenasHighwater,
  kArenasAllocated,
  kArenasFreed,
  kArenaSize,
  kPoolSize,
  kPymallocBytes,
  kPools,
  kClassBlocks,
  kClassPools,
  kArenasByOccupancy,
  kArenaBytesByOccupancy,
  kFragmentation,
  // Free lists.
  kFreeListObjects,
  kFreeListBytes,
  kFreeListCapacity,
  // C heap.
  kMallocInfo,
  kMallocBytes,
  kMallocChunks,
  kMallocArenas,
  kMallocLargestFree,
  kMallocFreeBySize,
  // Ledger.
  kMemoryBytes,
  kLiveBytes,
  kRssToLive,
  kReclaimable,
  kVerdict,
  kVerdictBytes,
  kVerdictRatio,
  kVerdictGain,
  // Census.
  kLiveObjects,
  kLiveObjectBytes,
  kLiveUntypedBytes,
  kLiveErrorRatio,
  kPinnedBytes,
  kHeapTopPinBytes,
  // The exporter itself.
  kBuildInfo,
  kCollectorUp,
  kCollectorInfo,
  kCollectorDuration,
  kCollectorTimestamp,
  kExporterCpu,
  kSampleTimestamp,
  kProcesses,
  kProcessesWithoutSlot,
  kProcessesEnded,
  kSlotsRejected,
  kLeaderChanges,
  kHttpRequests,
  kCount
};

inline constexpr int kMetricCount = static_cast<int>(Metric::kCount);

enum class Shown {
  kOfWorker,            // a series of each worker: labels app and worker
  kOfWorkerFullDetail,  // the same, of workers with `--detail full` only
  kOfEndpoint,          // one for all of them, without these labels
};

struct MetricDefinition {
  Metric metric;
  const char* name;
  prometheus::MetricType type;
  const char* help;
  Shown shown = Shown::kOfWorker;
};

// In the order of Metric.
extern const MetricDefinition kMetricTable[kMetricCount];

}  // namespace pymalloc_exporter
