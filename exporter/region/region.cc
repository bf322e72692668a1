#include "exporter/region/region.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <new>

#include "exporter/system/clock.h"
#include "exporter/system/filters.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U  // Linux 6.3
#endif

namespace pymalloc_exporter {
namespace {

constexpr uint64_t kMagic = 0x726f7065'6c6c616d;  // "mallepor"
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

// A writer needs microseconds; one that was descheduled in the middle gets some
// milliseconds.
constexpr int kReadAttempts = 40;
constexpr Nanoseconds kReadPause = 50 * kMicrosecond;

// Who holds a slot. All of them stand in the header, so that looking for the slots in use
// touches no page of the others.
struct Holder {
  std::atomic<uint64_t> nonce;  // 0: nobody
  std::atomic<uint64_t> goodbye;
};

struct Header {
  uint64_t magic;
  uint32_t layout_version;
  uint32_t sample_bytes;
  uint64_t id;
  RegionKey key;
  EndpointCounters counters;
  Holder holders[kSlots];
};
static_assert(sizeof(Header) <= kSlotBytes);
static_assert(std::atomic<uint64_t>::is_always_lock_free);

constexpr size_t kSampleWords =
    (sizeof(Sample) + sizeof(uint64_t) - 1) / sizeof(uint64_t);

// A sequence lock: odd while its holder writes. The words are atomics, since reader and
// writer meet in them by design.
struct Slot {
  std::atomic<uint64_t> sequence;
  std::atomic<uint64_t> words[kSampleWords];
};
static_assert(sizeof(Slot) <= kSlotBytes);

Header& HeaderOf(std::byte* base) { return *reinterpret_cast<Header*>(base); }
Slot& SlotOf(std::byte* base, int slot) {
  return *reinterpret_cast<Slot*>(base + kSlotBytes * static_cast<size_t>(slot + 1));
}

bool InRange(int slot) { return slot >= 0 && slot < kSlots; }

void Fill(void* into, size_t bytes) {
  if (getrandom(into, bytes, GRND_NONBLOCK) == static_cast<ssize_t>(bytes)) return;
  // Before the kernel's pool is ready: unequal is what matters then.
  uint64_t time = static_cast<uint64_t>(Now()) ^ static_cast<uint64_t>(getpid()) << 40;
  for (size_t at = 0; at + sizeof time <= bytes;
       at += sizeof time, time = time * 6364136223846793005u + 1) {
    memcpy(static_cast<char*>(into) + at, &time, sizeof time);
  }
}

int MakeDescriptor() {
  if (!Survives(UnusualCall::kMemfdCreate)) return -1;
  int fd = memfd_create("pymalloc_exporter",
                        MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
  if (fd < 0 && errno == EINVAL)
    fd = memfd_create("pymalloc_exporter", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  return fd;
}

std::byte* Map(int fd) {
  void* memory = mmap(nullptr, kRegionBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  return memory == MAP_FAILED ? nullptr : static_cast<std::byte*>(memory);
}

// The header's page exists before it is written: full memory is an error here, no signal.
bool Prepare(int fd) {
  return Survives(UnusualCall::kFallocate) && Survives(UnusualCall::kSeals) &&
         ftruncate(fd, kRegionBytes) == 0 && fallocate(fd, 0, 0, kSlotBytes) == 0 &&
         fcntl(fd, F_ADD_SEALS, kSeals) == 0;
}

bool IsSealedMemfd(int fd) {
  if (!Survives(UnusualCall::kSeals)) return false;
  struct stat status;
  int seals = fcntl(fd, F_GET_SEALS);
  return seals >= 0 && (seals & kSeals) == kSeals && fstat(fd, &status) == 0 &&
         S_ISREG(status.st_mode) && status.st_size == static_cast<off_t>(kRegionBytes);
}

void CopyCounters(const EndpointCounters& from, EndpointCounters& to) {
  // All of it is atomic words: copied one by one.
  auto* source = reinterpret_cast<const std::atomic<uint64_t>*>(&from);
  auto* target = reinterpret_cast<std::atomic<uint64_t>*>(&to);
  for (size_t i = 0; i < sizeof from / sizeof *source; ++i) target[i] = source[i].load();
}

}  // namespace

Region Region::Create(const Region& predecessor, int* fd) {
  *fd = MakeDescriptor();
  if (*fd < 0) return {};
  std::byte* base = Prepare(*fd) ? Map(*fd) : nullptr;
  if (base == nullptr) {
    close(*fd);
    *fd = -1;
    return {};
  }
  Region region = Begin(base);
  if (predecessor.mapped()) region.Inherit(predecessor);
  return region;
}

Region Region::CreatePrivate() {
  void* memory = mmap(nullptr, kRegionBytes, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? Region() : Begin(static_cast<std::byte*>(memory));
}

Region Region::Begin(std::byte* base) {
  Header& header = HeaderOf(base);
  header.magic = kMagic;
  header.layout_version = kLayoutVersion;
  header.sample_bytes = sizeof(Sample);
  Fill(&header.id, sizeof header.id);
  header.key = DrawKey();
  return Region(base);
}

bool Region::Reserve(int fd, int slot) {
  off_t offset = static_cast<off_t>(kSlotBytes) * (slot + 1);
  if (fd < 0) return true;
  return Survives(UnusualCall::kFallocate) && fallocate(fd, 0, offset, kSlotBytes) == 0;
}

// So that a scrape right after a change of leader shows every process still.
void Region::Inherit(const Region& predecessor) {
  Header& header = HeaderOf(base_);
  Header& before = HeaderOf(predecessor.base_);
  header.key = before.key;
  CopyCounters(before.counters, header.counters);
  for (int slot = 0; slot < kSlots; ++slot) {
    Sample sample;
    uint64_t nonce = predecessor.Owner(slot);
    if (nonce == 0) continue;
    header.holders[slot].nonce = nonce;
    header.holders[slot].goodbye = before.holders[slot].goodbye.load();
    if (predecessor.Read(slot, &sample) == SlotState::kGood) Write(slot, sample);
  }
}

Region Region::Adopt(int fd) {
  if (!IsSealedMemfd(fd)) return {};
  std::byte* base = Map(fd);
  if (base == nullptr) return {};
  const Header& header = HeaderOf(base);
  bool ours = header.magic == kMagic && header.layout_version == kLayoutVersion &&
              header.sample_bytes == sizeof(Sample);
  if (ours) return Region(base);
  munmap(base, kRegionBytes);
  return {};
}

void Region::Unmap() {
  if (base_ != nullptr) munmap(base_, kRegionBytes);
  base_ = nullptr;
}

uint64_t Region::id() const { return HeaderOf(base_).id; }
RegionKey Region::key() const { return HeaderOf(base_).key; }
void Region::SetKey(const RegionKey& key) const { HeaderOf(base_).key = key; }

RegionKey Region::DrawKey() {
  RegionKey key;
  Fill(&key, sizeof key);
  return key;
}

EndpointCounters& Region::counters() const { return HeaderOf(base_).counters; }

int Region::Claim(uint64_t nonce, int wanted) const {
  Holder* holders = HeaderOf(base_).holders;
  auto claim = [&](int slot) {
    uint64_t nobody = 0;
    if (!holders[slot].nonce.compare_exchange_strong(nobody, nonce))
      return nobody == nonce;
    holders[slot].goodbye = 0;
    return true;
  };
  if (InRange(wanted) && claim(wanted)) return wanted;
  for (int slot = 0; slot < kSlots; ++slot) {
    if (holders[slot].nonce.load(std::memory_order_relaxed) == 0 && claim(slot))
      return slot;
  }
  return kNoSlot;
}

uint64_t Region::Owner(int slot) const {
  return InRange(slot) ? HeaderOf(base_).holders[slot].nonce.load() : 0;
}

int Region::HeldBetween(uint64_t first, int slot) const {
  const Holder* holders = HeaderOf(base_).holders;
  int start = 0;
  for (int i = 0; first != 0 && i < kSlots; ++i)
    if (holders[i].nonce == first) start = i + 1;
  int held = 0;
  for (int i = start; i < start + kSlots && i % kSlots != slot; ++i)
    held += holders[i % kSlots].nonce != 0;
  return held;
}

bool Region::Release(int slot, uint64_t nonce) const {
  return InRange(slot) && nonce != 0 &&
         HeaderOf(base_).holders[slot].nonce.compare_exchange_strong(nonce, 0);
}

void Region::SetGoodbye(int slot, uint64_t nonce, bool goodbye) const {
  if (Owner(slot) == nonce) HeaderOf(base_).holders[slot].goodbye = goodbye;
}

bool Region::Goodbye(int slot) const {
  return InRange(slot) && HeaderOf(base_).holders[slot].goodbye != 0;
}

bool Region::Write(int slot, const Sample& sample) const {
  if (Owner(slot) != sample.identity.nonce) return false;
  uint64_t words[kSampleWords] = {};
  memcpy(words, &sample, sizeof sample);
  Slot& target = SlotOf(base_, slot);
  // Odd even if the last holder of the slot was killed in the middle.
  uint64_t sequence = target.sequence.load(std::memory_order_relaxed) | 1;
  target.sequence.store(sequence, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  for (size_t i = 0; i < kSampleWords; ++i) {
    target.words[i].store(words[i], std::memory_order_relaxed);
  }
  target.sequence.store(sequence + 1, std::memory_order_release);
  return true;
}

// False while it is being written; kEmpty was never written.
bool Region::Copy(int slot, Sample* sample, bool* written) const {
  const Slot& source = SlotOf(base_, slot);
  uint64_t before = source.sequence.load(std::memory_order_acquire);
  if (before & 1) return false;
  uint64_t words[kSampleWords];
  for (size_t i = 0; i < kSampleWords; ++i) {
    words[i] = source.words[i].load(std::memory_order_relaxed);
  }
  std::atomic_thread_fence(std::memory_order_acquire);
  if (source.sequence.load(std::memory_order_relaxed) != before) return false;
  memcpy(static_cast<void*>(sample), words, sizeof *sample);
  *written = before != 0;
  return true;
}

SlotState Region::Read(int slot, Sample* sample) const {
  uint64_t owner = Owner(slot);
  if (owner == 0) return SlotState::kEmpty;
  bool written = false;
  for (int attempt = 0; !Copy(slot, sample, &written); ++attempt) {
    if (attempt == kReadAttempts) return SlotState::kRejected;
    Sleep(kReadPause);
  }
  // Another nonce: its holder ended, and the one that claimed it has not written yet.
  if (!written || sample->identity.nonce != owner) return SlotState::kEmpty;
  return Valid(*sample) ? SlotState::kGood : SlotState::kRejected;
}

}  // namespace pymalloc_exporter
