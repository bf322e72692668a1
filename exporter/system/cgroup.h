// The memory controller of the process' cgroup, v2 or v1.
//
// Sources: the kernel's cgroup-v2.rst (memory.current, .max, .high, .stat, .events,
// .pressure) and cgroup-v1/memory.rst (usage_in_bytes, limit_in_bytes, oom_control).
// A file that is not there leaves its row absent; no file at all is kNotPresent.
//
// A limit of a group around the process' own binds as well: usage, limit and inactive
// file pages are those of the group on the way to the root that has the lowest limit, its
// own where none has one. Kills, pressure and "high" are its own group's.

#pragma once

#include <string_view>

#include "exporter/sample/collector.h"
#include "exporter/system/files.h"

namespace pymalloc_exporter {

// The group below the memory controller's mount, from /proc/self/cgroup: "" and v2 for
// "0::/", "/docker/1f" and v1 for "5:memory:/docker/1f" or "5:cpu,memory:/docker/1f".
struct CgroupFolder {
  char path[256];
  bool version1;
};
bool ParseCgroupFolder(std::string_view text, CgroupFolder* out);

// Collected by the process that holds the port only: the rows are the endpoint's.
class CgroupCollector final : public Collector {
 public:
  explicit CgroupCollector(KernelPaths paths = {}) : paths_(paths) {}

  CollectorId id() const override { return CollectorId::kCgroup; }
  bool ChangesWhileIdle() const override { return true; }
  Reason Collect(Sample& sample, const StopFlag& stop) noexcept override;

 private:
  KernelPaths paths_;
};

}  // namespace pymalloc_exporter
