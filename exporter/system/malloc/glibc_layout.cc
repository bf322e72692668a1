#include "exporter/system/malloc/glibc_layout.h"

#include <dlfcn.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>
#include <vector>

#include "exporter/system/malloc/chunk.h"
#include "exporter/system/memory_maps.h"
#include "exporter/system/page_map.h"
#include "exporter/system/safe_read.h"

namespace pymalloc_exporter {
namespace {

// Within these distances the fields of an arena are looked for.
constexpr uintptr_t kMostTopOffset = 0x200;
constexpr uintptr_t kMostNextDistance = 0x1000;
constexpr uintptr_t kMostSystemDistance = 0x40;
constexpr int kMostArenas = 4096;
// malloc/arena.c: heaps are aligned to their largest size, 64 MiB, or with
// glibc.malloc.hugetlb to four huge pages.
constexpr uintptr_t kLeastHeapAlignment = uintptr_t{4} << 20;

// Larger than any threshold that mallopt() takes, so that it gets a mapping of its own.
constexpr size_t kMappedRequest = size_t{33} << 20;
constexpr int kTries = 3;

uint64_t WordAt(uintptr_t address) {
  return *reinterpret_cast<const volatile uint64_t*>(address);
}

template <typename Function>
void ForEachWord(const ModuleData& libc, Function function) {
  for (const AddressRange& segment : libc.writable) {
    for (uintptr_t at = AlignUp(segment.start, 8); at + 8 <= segment.end; at += 8) {
      function(at);
    }
  }
}

class ArenaSearch {
 public:
  ArenaSearch(const ModuleData& libc, const SafeReader& safe, uint64_t heap_bytes)
      : libc_(libc), safe_(safe), heap_bytes_(heap_bytes) {}

  // How many places hold; the last is in `layout`. Bins hold free chunks, of which one
  // may end with a page as a top does; the chunk behind it says that it is free. Those in
  // fast bins are outdone by a place whose chunk is the last before memory that is not
  // there.
  int Run(GlibcLayout* layout) {
    int found = 0, at_end = 0;
    for (const Place& place : FindTops()) {
      GlibcLayout candidate;
      Behind behind = LookBehind(place.chunk);
      if (behind == Behind::kSaysFree || !HasFieldsBehind(place.at, &candidate)) continue;
      bool last = behind == Behind::kNothing;
      ++(last ? at_end : found);
      if (last || at_end == 0) *layout = candidate;
    }
    return at_end > 0 ? at_end : found;
  }

 private:
  struct Place {
    uintptr_t at, chunk;  // a word, and where it points
  };

  // Something that could be one, at least.
  bool IsPointer(uintptr_t value) const {
    return value >= lowest_ && value < uintptr_t{1} << 47;
  }

  // Where chunks are pointed to that go to the end of a page. What could be one is read a
  // batch at a time.
  std::vector<Place> FindTops() const {
    std::vector<Place> tops;
    Place places[SafeReader::kMostAddresses];
    int count = 0;
    // It stands there, too, and is the one that cannot be read.
    auto brk = reinterpret_cast<uintptr_t>(sbrk(0));
    ForEachWord(libc_, [&](uintptr_t at) {
      uintptr_t chunk = WordAt(at);
      // The C library's own data are no chunk.
      if (chunk % kChunkAlignment != 0 || !IsPointer(chunk) || chunk == brk) return;
      if (libc_.all.Holds(chunk)) return;
      places[count++] = {at, chunk};
      if (count == SafeReader::kMostAddresses)
        TakeTops(places, std::exchange(count, 0), &tops);
    });
    if (count > 0) TakeTops(places, count, &tops);
    return tops;
  }

  void TakeTops(const Place* places, int count, std::vector<Place>* tops) const {
    uintptr_t chunks[SafeReader::kMostAddresses];
    ChunkHeader headers[SafeReader::kMostAddresses];
    bool readable[SafeReader::kMostAddresses];
    for (int i = 0; i < count; ++i) chunks[i] = places[i].chunk;
    safe_.ReadEach(chunks, count, sizeof *headers, headers, readable);
    for (int i = 0; i < count; ++i) {
      const ChunkHeader& header = headers[i];
      bool top = readable[i] && (header.word & kChunkFlags) == kPreviousInUse &&
                 header.bytes() >= kLeastChunkBytes &&
                 (chunks[i] + header.bytes()) % kPageBytes == 0;
      if (top) tops->push_back(places[i]);
    }
  }

  // What lies behind one of them: nothing, a chunk that says that this one is free, or
  // anything else.
  enum class Behind { kNothing, kSaysFree, kOther };

  Behind LookBehind(uintptr_t chunk) const {
    ChunkHeader header, beyond;
    if (!safe_.Read(chunk, &header, sizeof header)) return Behind::kOther;
    if (!safe_.Read(chunk + header.bytes(), &beyond, sizeof beyond))
      return Behind::kNothing;
    bool free = !beyond.previous_in_use() && beyond.previous_bytes == header.bytes();
    return free ? Behind::kSaysFree : Behind::kOther;
  }

  // `at`: where the top stands. The arenas are a ring through the main one: the next is
  // the main one itself, or lies at the start of a heap.
  bool HasFieldsBehind(uintptr_t at, GlibcLayout* layout) const {
    for (uintptr_t next = 8; next < kMostNextDistance; next += 8) {
      if (!libc_.all.Holds(at + next)) return false;
      uintptr_t arena = WordAt(at + next);
      bool main = arena <= at && at - arena < kMostTopOffset && arena % 8 == 0;
      if (!main && !IsThreadArena(arena)) continue;
      for (uintptr_t top = 0; top < kMostTopOffset; top += 8) {
        if (main && at - top != arena) continue;
        GlibcLayout candidate;
        candidate.main_arena = at - top;
        candidate.top_offset = static_cast<uint32_t>(top);
        candidate.next_offset = static_cast<uint32_t>(top + next);
        if (!HasSystemBytes(&candidate)) continue;
        *layout = candidate;
        return true;
      }
    }
    return false;
  }

  // At the start of a heap, which names it.
  bool IsThreadArena(uintptr_t arena) const {
    uintptr_t heap = AlignDown(arena, kLeastHeapAlignment), named;
    return arena != heap && arena - heap <= kMostHeapInfoBytes && IsPointer(heap) &&
           safe_.Read(heap, &named, sizeof named) && named == arena;
  }

  bool HasSystemBytes(GlibcLayout* layout) const {
    std::vector<uintptr_t> arenas;
    if (!FollowRing(*layout, &arenas)) return false;
    for (uint32_t distance = 8; distance < kMostSystemDistance; distance += 8) {
      uint32_t offset = layout->next_offset + distance;
      uint64_t sum = layout->MainWord(offset);
      for (uintptr_t arena : arenas) {
        uint64_t bytes;
        if (!safe_.Read(arena + offset, &bytes, sizeof bytes)) return false;
        sum += bytes;
      }
      if (sum != heap_bytes_) continue;
      layout->system_offset = offset;
      // Behind it the most that it ever was, the last field.
      layout->arena_bytes = offset + 16;
      return layout->MainWord(offset + 8) >= layout->MainWord(offset);
    }
    return false;
  }

  // The thread arenas, each at the start of a heap that names it.
  bool FollowRing(const GlibcLayout& layout, std::vector<uintptr_t>* arenas) const {
    uintptr_t arena = layout.MainWord(layout.next_offset);
    while (arena != layout.main_arena) {
      if (arenas->size() >= kMostArenas || !IsThreadArena(arena)) return false;
      arenas->push_back(arena);
      if (!safe_.Read(arena + layout.next_offset, &arena, sizeof arena)) return false;
    }
    return true;
  }

  const ModuleData& libc_;
  const SafeReader& safe_;
  const uint64_t heap_bytes_;
  const uintptr_t lowest_ = std::max(LowestAddress(), kPageBytes);
};

uintptr_t FindHeapMapping() {
  MapsReader mappings;
  Mapping mapping;
  if (!mappings.Open({})) return 0;
  while (mappings.Next(&mapping)) {
    if (mapping.name == Mapping::Name::kHeap) return mapping.start;
  }
  return 0;
}

// Whether one of its words has this value.
bool Notes(const ModuleData& libc, uintptr_t value) {
  bool noted = false;
  ForEachWord(libc, [&](uintptr_t at) { noted = noted || WordAt(at) == value; });
  return noted;
}

// Where the main heap begins: what it has of the system reaches from there to the end of
// its top. Where brk could not grow meanwhile, where [heap] does. 0 where brk never grew.
uintptr_t FindMainHeap(const ModuleData& libc, const SafeReader& safe,
                       const GlibcLayout& layout) {
  uintptr_t top = layout.MainWord(layout.top_offset);
  ChunkHeader header{};
  safe.Read(top, &header, sizeof header);
  uintptr_t start = top + header.bytes() - layout.MainWord(layout.system_offset);
  bool by_brk = start < reinterpret_cast<uintptr_t>(sbrk(0));
  if (by_brk && Notes(libc, start)) return AlignUp(start, kChunkAlignment);
  uintptr_t line = FindHeapMapping();
  return line != 0 && Notes(libc, line) ? line : 0;
}

// A word of the C library's that changes while there is a block of its own mapping.
struct Change {
  uintptr_t at;
  uint64_t before, during;
};

// What a block of its own mapping changes for as long as it is there.
struct Trial {
  // Malloc's own: two counts of bytes, two of blocks. Others may change beside them.
  static constexpr int kMostChanges = 256;

  ChunkHeader header{};  // of the block, which is never touched; zeros: it failed
  Change changes[kMostChanges];
  int count = 0;
};

size_t MostWords(const ModuleData& libc) {
  size_t bytes = 0;
  for (const AddressRange& segment : libc.writable) bytes += segment.end - segment.start;
  return bytes / sizeof(uint64_t);
}

// Nothing else is allocated between the looks.
void TryMappedBlock(const ModuleData& libc, Trial* trial) {
  std::vector<uint64_t> before(MostWords(libc));
  uint64_t* next = before.data();
  ForEachWord(libc, [&](uintptr_t at) { *next++ = WordAt(at); });
  void* block = malloc(kMappedRequest);
  if (block == nullptr) return;
  // The compiler must neither drop the pair nor mind what lies before the block.
  auto address = reinterpret_cast<uintptr_t>(block);
  asm volatile("" : "+r"(address) : : "memory");
  trial->header = {WordAt(address - 16), WordAt(address - 8)};
  next = before.data();
  bool all_noted = true;
  ForEachWord(libc, [&](uintptr_t at) {
    uint64_t was = *next++, is = WordAt(at);
    if (is == was) return;
    all_noted = all_noted && trial->count < Trial::kMostChanges;
    if (all_noted) trial->changes[trial->count++] = {at, was, is};
  });
  free(block);
  if (!all_noted) trial->header = {};
  Change* end = trial->changes + trial->count;
  end = std::remove_if(trial->changes, end, [](const Change& change) {
    return WordAt(change.at) != change.before;
  });
  trial->count = static_cast<int>(end - trial->changes);
}

// The block makes one word of the C library's grow by its mapping's size (and the most it
// ever was), and one int by one; its end makes these alone fall again.
bool FindMappedBlocks(const ModuleData& libc, uint64_t blocks, GlibcLayout* layout) {
  Trial trial;
  TryMappedBlock(libc, &trial);
  if (trial.header.bytes() == 0) return false;
  // MALLOC_MMAP_MAX_=0: there are none.
  if (!trial.header.own_mapping()) return true;
  int byte_counts = 0, block_counts = 0;
  for (int i = 0; i < trial.count; ++i) {
    const Change& change = trial.changes[i];
    uint64_t more = change.during - change.before;
    uint64_t extra = more - trial.header.bytes();
    if (extra == 0 || extra == kChunkHeaderBytes) {
      layout->mapped_bytes = reinterpret_cast<const volatile uint64_t*>(change.at);
      layout->mapping_extra_bytes = static_cast<uint32_t>(extra);
      ++byte_counts;
    }
    for (int half = 0; half < 2; ++half) {
      bool counts = more == uint64_t{1} << (32 * half) &&
                    static_cast<uint32_t>(change.before >> (32 * half)) == blocks;
      if (!counts) continue;
      layout->mapped_blocks = reinterpret_cast<const volatile int32_t*>(change.at) + half;
      ++block_counts;
    }
  }
  if (block_counts != 1) layout->mapped_blocks = nullptr;
  return byte_counts == 1 && (layout->mapped_bytes_exact() || block_counts == 1);
}

uint64_t SecondWordAfterFree(size_t bytes, uint64_t written) {
  auto* block = static_cast<volatile uint64_t*>(malloc(bytes));
  if (block == nullptr) return 0;
  block[1] = written;
  uintptr_t address = reinterpret_cast<uintptr_t>(block);
  free(const_cast<uint64_t*>(block));
  asm volatile("" : "+r"(address) : : "memory");
  return WordAt(address + 8);
}

// The same whatever was there before.
uint64_t FindCachedKey() {
  uint64_t one = SecondWordAfterFree(40, 1), other = SecondWordAfterFree(72, 2);
  return one == other && one > 2 ? one : 0;
}

}  // namespace

bool AskMalloc(MallocOracle* oracle) {
  using Ask = struct mallinfo2 (*)();
  auto ask = reinterpret_cast<Ask>(dlsym(RTLD_DEFAULT, "mallinfo2"));
  if (ask == nullptr) return false;
  struct mallinfo2 info = ask();
  *oracle = {info.arena,    info.hblkhd,   info.hblks,
             info.uordblks, info.fordblks, info.fsmblks};
  return true;
}

Reason ProveGlibc(uintptr_t malloc_code, GlibcLayout* layout) {
  ModuleData libc = FindModule(malloc_code);
  SafeReader safe;
  // Another thread may allocate beside.
  for (int i = 0; i < kTries; ++i) {
    MallocOracle oracle;
    if (!AskMalloc(&oracle)) return Reason::kNoOracle;
    GlibcLayout found;
    if (ArenaSearch(libc, safe, oracle.heap_bytes).Run(&found) != 1) continue;
    found.main_heap = FindMainHeap(libc, safe, found);
    if (!FindMappedBlocks(libc, oracle.mapped_blocks, &found)) continue;
    found.cached_key = FindCachedKey();
    *layout = found;
    return Reason::kNone;
  }
  return Reason::kOracleMismatch;
}

}  // namespace pymalloc_exporter
