// The collectors, the reasons why one can be down, and what each reports of itself.
//
// Plain data: no thread, no GIL, no allocation.

#pragma once

#include <cstdint>

namespace pymalloc_exporter {

// A new collector is appended here, named in kCollectorNames, and registered where the
// sampler is made. The order is part of the region's layout (see kLayoutVersion).
enum class CollectorId : uint8_t {
  kProcess,
  kCgroup,
  kPymalloc,
  kGc,
  kRegion,
  kFreeLists,
  kResidency,
  kCensus,
  kMalloc,
  kCount
};

inline constexpr int kCollectorCount = static_cast<int>(CollectorId::kCount);

inline constexpr const char* kCollectorNames[kCollectorCount] = {
    "process",   "cgroup",    "pymalloc", "gc",    "region",
    "freelists", "residency", "census",   "malloc"};

// Why a collector is down. The fixed list behind the label `reason`.
enum class Reason : uint8_t {
  kNone,                   // it is up
  kStarting,               // has not run yet
  kNotPresent,             // the system has no such thing (no cgroup, no file)
  kUnreadable,             // a file or system call it needs was refused
  kAllocatorMalloc,        // PYTHONMALLOC=malloc: there are no arenas
  kFreeThreaded,           // a free-threaded build allocates with mimalloc
  kUnsupportedVersion,     // no layout is known for this interpreter
  kArenasNotFound,         // the interpreter's table of arenas was not found
  kForeignArenaAllocator,  // the arena allocator is not the interpreter's own
  kNoOracle,               // the independent source says nothing (tracemalloc at start)
  kOracleMismatch,         // did not agree with the independent source at start
  kInconsistent,           // the parts did not add up; the last good figures stand
  kOutOfMemory,            // memory for its own bookkeeping was refused
  kSwapped,                // what it would read is swapped out
  kInterpreterGone,        // the interpreter was finalized
  kNameTaken,              // another user holds the rendezvous name
  kRefused,                // the leader took this process for a stranger
  kLeaderSilent,           // the leader does not answer (stopped?)
  kNoSlot,                 // every slot of the region is taken
  kPrivate,                // no shared region could be had: this process stands alone
  kFreeListsNotFound,  // the interpreter's free lists (static variables) were not found
  kIncomplete,         // a walk did not end where the heap does; the last good one stands
  kUnknownAllocator,   // malloc() is answered by a library that is not known
  kCount
};

inline constexpr int kReasonCount = static_cast<int>(Reason::kCount);

inline constexpr const char* kReasonNames[kReasonCount] = {"none",
                                                           "starting",
                                                           "not_present",
                                                           "unreadable",
                                                           "allocator_malloc",
                                                           "free_threaded",
                                                           "unsupported_version",
                                                           "arenas_not_found",
                                                           "foreign_arena_allocator",
                                                           "no_oracle",
                                                           "oracle_mismatch",
                                                           "inconsistent",
                                                           "out_of_memory",
                                                           "swapped",
                                                           "interpreter_gone",
                                                           "name_taken",
                                                           "refused",
                                                           "leader_silent",
                                                           "no_slot",
                                                           "private",
                                                           "freelists_not_found",
                                                           "incomplete",
                                                           "unknown_allocator"};

// What one collector reports of itself with every sample.
struct CollectorStatus {
  Reason reason = Reason::kStarting;  // kNone: up
  double duration_seconds = 0;        // of its last run
  double timestamp_seconds = 0;       // Unix time of its last good run; 0: never

  bool up() const { return reason == Reason::kNone; }
};

}  // namespace pymalloc_exporter
