// What is the matter with a process' memory, judged from what several looks found.
//
// Each verdict but healthy holds only where a share AND an amount of bytes are exceeded,
// for several looks on end; a small heap is always healthy. Pure: no thread, no GIL, no
// allocation.

#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace pymalloc_exporter {

// The order is part of the region's layout.
enum class Verdict : uint8_t {
  kHealthy,
  kLeak,
  kPymallocFragmentation,
  kMallocRetention,
  kCopyOnWrite,
  kNativeGrowth,
  kCount
};

inline constexpr int kVerdicts = static_cast<int>(Verdict::kCount);

inline constexpr const char* kVerdictNames[kVerdicts] = {
    "healthy",          "leak",          "pymalloc_fragmentation",
    "malloc_retention", "copy_on_write", "native_growth"};

struct VerdictText {
  const char* finding;  // what `bytes` are, for "X bytes of ..."
  const char* remedy;
};

// The order of Verdict.
extern const VerdictText kVerdictTexts[kVerdicts];

inline constexpr int kMostLookTypes = 20;

// The live bytes of a type; `hash` names it.
struct TypeBytes {
  uint64_t hash = 0;
  uint64_t bytes = 0;
};

// FNV-1a. Never 0.
inline uint64_t TypeHash(const char* type) {
  uint64_t hash = 0xcbf29ce484222325;
  for (; *type != 0; ++type) {
    hash = (hash ^ static_cast<unsigned char>(*type)) * 0x100000001b3;
  }
  return hash | 1;
}

// What one slow look found; all on resident pages.
struct MemoryLook {
  double seconds = 0;             // when
  uint64_t resident_bytes = 0;    // RSS
  uint64_t python_bytes = 0;      // live Python objects, small and large
  uint64_t native_bytes = 0;      // C heap in use, no Python objects; others' mappings
  uint64_t arena_free_bytes = 0;  // holes and free pools
  uint64_t unpin_bytes = 0;       // of them, in arenas that are mostly free
  uint64_t heap_free_bytes = 0;   // freed memory that the C library keeps
  uint64_t trim_bytes = 0;        // of it, what trimming would give back
  uint64_t inherited_bytes = 0;   // anonymous memory at the fork; 0: not forked
  uint64_t unshared_bytes = 0;    // of it, now this process' own copy
  std::array<TypeBytes, kMostLookTypes> types{};
};

// A share and an amount; both have to be reached.
struct DoubleThreshold {
  double ratio;
  uint64_t bytes;
};

inline constexpr uint64_t kSmallHeapBytes = uint64_t{64} << 20;
// Growth in an hour's looks, by RSS at their beginning.
inline constexpr DoubleThreshold kGrowthThreshold{0.10, uint64_t{32} << 20};
// Free memory that stays, by RSS.
inline constexpr DoubleThreshold kRetentionThreshold{0.20, uint64_t{48} << 20};
// Copies made of inherited memory, by what was inherited.
inline constexpr DoubleThreshold kCopyThreshold{0.25, uint64_t{32} << 20};

inline constexpr int kMostLooks = 60;       // kept
inline constexpr int kLooksForGrowth = 15;  // below, nothing is said of growth
inline constexpr int kLooksForState = 3;    // what lasts shorter is not worth a verdict

// The verdict, and the numbers that led to it. For healthy all but `resident_bytes` are
// 0.
struct Judgement {
  Verdict verdict = Verdict::kHealthy;
  uint64_t bytes = 0;  // that exceeded the threshold
  double ratio = 0;
  uint64_t threshold_bytes = 0;
  double threshold_ratio = 0;
  uint64_t gain_bytes = 0;    // what the remedy would give back
  double window_seconds = 0;  // the time over which it was seen
  uint64_t resident_bytes = 0;
  uint64_t type_hash = 0;  // of a leak: the type that grew most; 0: not known
};

// Of looks in the order of time.
Judgement Judge(std::span<const MemoryLook> looks);

// The last looks; plain data with an order.
class LookHistory {
 public:
  void Add(const MemoryLook& look);
  void Clear() { count_ = 0; }
  std::span<const MemoryLook> looks() const {
    return {looks_.data(), static_cast<size_t>(count_)};
  }

 private:
  std::array<MemoryLook, kMostLooks> looks_{};
  int count_ = 0;
};

}  // namespace pymalloc_exporter
