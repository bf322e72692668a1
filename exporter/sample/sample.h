// What one look at a process found.
//
// Plain, trivially copyable data of a fixed layout: a Sample is copied into a slot of the
// shared region and read there by another process, which trusts nothing in it (Valid()).
// All byte counts are bytes, all times Unix seconds, all texts NUL-terminated UTF-8.

#pragma once

#include <array>
#include <cstdint>
#include <type_traits>

#include "exporter/sample/census.h"
#include "exporter/sample/collectors.h"
#include "exporter/sample/free_lists.h"
#include "exporter/sample/ledger.h"
#include "exporter/sample/malloc.h"
#include "exporter/sample/residency.h"
#include "exporter/sample/verdict.h"

namespace pymalloc_exporter {

// Raised with every change of Sample or of the region: processes with another layout keep
// a region of their own.
inline constexpr uint32_t kLayoutVersion = 14;

inline constexpr int kSizeClasses = 32;         // pymalloc's, 16 bytes apart
inline constexpr int kSizeClassStepBytes = 16;  // size of class i is (i + 1) * 16
inline constexpr int kOccupancyBands = 11;      // [0,10) ... [90,100) and 100 percent
inline constexpr int kGcGenerations = 3;

enum class Detail : uint8_t { kDefault, kFull };

// What an interpreter was started for. A forked child is a program: who its parent is
// tells the rest.
enum class Origin : uint8_t {
  kProgram,
  kSpawned,  // by multiprocessing, to work for the process that started it
  kHelper,   // by multiprocessing, for itself: resource tracker, fork server
  kCount,
};
inline constexpr const char* kOriginNames[] = {"program", "spawned", "helper"};

// Who the process is. `nonce` is drawn at random by each process (a forked child draws
// its own) and names it where pids collide; `parent_nonce` is the nonce of the process it
// was forked from, 0 where that one carried no exporter.
struct Identity {
  uint64_t nonce = 0;
  uint64_t parent_nonce = 0;
  uint64_t pid_namespace = 0;  // in which the pids hold; 0: not known
  int32_t pid = 0;
  int32_t parent_pid = 0;
  char app[64] = {};
  char implementation[16] = {};  // "CPython"
  char version[32] = {};         // "3.11.7"
  int32_t version_major = 0;
  int32_t version_minor = 0;
  char version_patchlevel[16] = {};
  Detail detail = Detail::kDefault;
  Origin origin = Origin::kProgram;
  bool serving = false;  // holds the port
};

// Source: /proc/self/status, stat, fd; getrlimit; see exporter/system/process_status.h.
struct ProcessSample {
  uint64_t resident_bytes = 0;
  uint64_t resident_anon_bytes = 0;
  uint64_t resident_file_bytes = 0;
  uint64_t resident_shmem_bytes = 0;
  uint64_t resident_peak_bytes = 0;
  uint64_t virtual_bytes = 0;
  uint64_t swap_bytes = 0;
  uint64_t threads = 0;
  uint64_t minor_faults = 0;
  uint64_t major_faults = 0;
  uint64_t open_fds = 0;
  uint64_t max_fds = 0;  // soft limit; UINT64_MAX: unlimited
  double cpu_seconds = 0;
  double start_time_seconds = 0;
};

// Source: the memory controller of the process' cgroup, v2 or v1. kCgroupAbsent where the
// file does not exist or says "max".
inline constexpr uint64_t kCgroupAbsent = UINT64_MAX;
struct CgroupSample {
  uint64_t usage_bytes = kCgroupAbsent;
  uint64_t limit_bytes = kCgroupAbsent;
  uint64_t high_bytes = kCgroupAbsent;
  uint64_t inactive_file_bytes = kCgroupAbsent;
  uint64_t oom_kills = kCgroupAbsent;
  double pressure_stalled_seconds = -1;  // "some" total; negative: absent
};

// What the pool headers say. Adds up:
//   live + free_block + free_pool + uncarved + overhead == arenas * arena_size
struct PymallocSample {
  uint64_t arena_size_bytes = 0;
  uint64_t pool_size_bytes = 0;
  uint64_t arenas = 0;
  uint64_t arenas_highwater = 0;
  uint64_t arenas_allocated = 0;  // ever, those before the exporter included
  uint64_t arenas_freed = 0;
  uint64_t live_bytes = 0;
  uint64_t free_block_bytes = 0;  // in used pools, carved or not
  uint64_t free_pool_bytes = 0;
  uint64_t uncarved_bytes = 0;
  uint64_t overhead_bytes = 0;  // pool headers, remainders, arena alignment
  uint64_t used_pools = 0;
  uint64_t free_pools = 0;
  uint64_t uncarved_pools = 0;
  std::array<uint64_t, kSizeClasses> class_live_blocks{};
  std::array<uint64_t, kSizeClasses> class_free_blocks{};
  std::array<uint64_t, kSizeClasses> class_pools{};
  std::array<uint64_t, kOccupancyBands> arenas_by_occupancy{};  // live / usable bytes
};

struct GcGeneration {
  uint64_t collections = 0;
  uint64_t collected = 0;
  uint64_t uncollectable = 0;
};
struct GcSample {
  std::array<GcGeneration, kGcGenerations> generations{};
};

// Freed objects kept for reuse; bytes with gc headers, without what objects point to.
// capacity 0: this interpreter has no such list.
struct FreeListFigure {
  uint64_t objects = 0;
  uint64_t bytes = 0;
  uint64_t capacity = 0;
};
struct FreeListSample {
  std::array<FreeListFigure, kFreeListKinds> kinds{};
  std::array<FreeListFigure, kMostTupleFreeLists> tuples{};  // of length i + 1
};

// The ledger and what follows from it, of one moment.
struct LedgerSample {
  Ledger ledger;
  Judgement judgement;
  uint64_t unpin_bytes = 0;     // what mostly free arenas would give back if unpinned
  uint64_t freelist_bytes = 0;  // what a full collection of garbage would free
};

struct Sample {
  Identity identity;
  double timestamp_seconds = 0;
  double exporter_cpu_seconds = 0;  // of all our threads, ended ones included
  double clock_offset_seconds = 0;  // Unix time less time since boot; see FollowClock()
  uint64_t time_namespace = 0;
  std::array<CollectorStatus, kCollectorCount> collectors{};
  ProcessSample process;
  CgroupSample cgroup;
  PymallocSample pymalloc;
  GcSample gc;
  FreeListSample free_lists;
  MallocSample malloc;
  ResidencySample residency;
  LedgerSample ledger;
  CensusSample census;

  CollectorStatus& status(CollectorId id) { return collectors[static_cast<int>(id)]; }
  const CollectorStatus& status(CollectorId id) const {
    return collectors[static_cast<int>(id)];
  }
};
static_assert(std::is_trivially_copyable_v<Sample>);

// Moves every timestamp along with a clock that was set meanwhile, so that their ages
// stay what they are: `offset` is Unix time less the time since boot, now. The start of
// the process stands: it is a name rather than an age. Pure.
void FollowClock(Sample& sample, double offset);

// Whether a sample that came out of shared memory can be published: texts terminated and
// valid UTF-8, enumerations in range, times and figures finite. Pure.
bool Valid(const Sample& sample);

}  // namespace pymalloc_exporter
