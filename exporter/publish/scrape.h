// What one scrape sees: the samples of all live slots, and the endpoint's own figures.
//
// Thread safety: pure, over a region that stays mapped. No GIL. Allocates; may throw
// std::bad_alloc.

#pragma once

#include <cstdint>
#include <vector>

#include "exporter/region/region.h"

namespace pymalloc_exporter {

enum class Role : uint8_t { kMaster, kWorker, kProcess };
inline constexpr const char* kRoleNames[] = {"master", "worker", "process"};

struct LiveSample {
  int worker;  // slot number
  Role role;
  Sample sample;
};

struct Scrape {
  std::vector<LiveSample> workers;  // by slot number
  uint64_t processes_without_slot = 0;
  uint64_t ended_announced = 0;
  uint64_t ended_unannounced = 0;
  uint64_t slots_rejected = 0;
  uint64_t leader_changes = 0;
  uint64_t http_requests[static_cast<int>(HttpPath::kCount)]
                        [static_cast<int>(HttpCode::kCount)] = {};
};

// Reads every slot once. A sample that makes no sense is left out and counted in the
// region.
Scrape ReadRegion(const Region& region);

// Who was forked from whom, or spawned by whom, tells the parts that they play; see
// process_role. What a fork server forks works for the process that started it.
void AssignRoles(std::vector<LiveSample>& workers);

}  // namespace pymalloc_exporter
