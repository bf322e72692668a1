// What the fuzzing programs share: checks, and regions that others may hand over.

#pragma once

#include <fcntl.h>
#include <fuzzer/FuzzedDataProvider.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "exporter/region/region.h"
#include "tests/unit/samples.h"

namespace pymalloc_exporter {

// A finding, for what no sanitizer sees.
inline void Check(bool holds) {
  if (!holds) abort();
}

// Each line of an exposition is a comment or ends in a blank and a number.
inline void CheckExposition(std::string_view text) {
  while (!text.empty()) {
    size_t end = text.find('\n');
    Check(end != text.npos);
    std::string line(text.substr(0, end));
    text.remove_prefix(end + 1);
    if (line.starts_with("# HELP ") || line.starts_with("# TYPE ")) continue;
    size_t blank = line.rfind(' ');
    Check(blank != line.npos && blank + 1 < line.size());
    char* stop;
    strtod(line.c_str() + blank + 1, &stop);
    Check(*stop == '\0');
  }
}

// The first bytes of a sound region with two samples, as its descriptor gives them.
inline const std::vector<char>& SoundRegion() {
  static const std::vector<char>& bytes = []() -> const std::vector<char>& {
    auto& found = *new std::vector<char>(3 * kSlotBytes);
    int fd;
    Region region = Region::Create({}, &fd);
    for (uint64_t nonce = 11; nonce < 13; ++nonce)
      region.Write(region.Claim(nonce, kNoSlot), HealthySample(nonce));
    Check(pread(fd, found.data(), found.size(), 0) == static_cast<ssize_t>(found.size()));
    region.Unmap();
    close(fd);
    return found;
  }();
  return bytes;
}

// Overwrites pieces of `bytes` at places and with values that the input gives.
inline void Patch(FuzzedDataProvider& input, std::vector<char>& bytes) {
  while (input.remaining_bytes() > 4) {
    size_t at = input.ConsumeIntegralInRange<size_t>(0, bytes.size() - 1);
    auto piece = input.ConsumeBytes<char>(input.ConsumeIntegralInRange<size_t>(1, 64));
    for (size_t i = 0; i < piece.size() && at + i < bytes.size(); ++i)
      bytes[at + i] = piece[i];
  }
}

// A descriptor as a stranger may send it: of any kind and size, with any seals, and with
// a region in it that is more or less sound.
inline int StrangeDescriptor(FuzzedDataProvider& input) {
  constexpr size_t kSizes[] = {kRegionBytes, kRegionBytes - 1, kRegionBytes + 4096, 0, 1,
                               kSlotBytes};
  constexpr int kSealed = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
  if (input.ConsumeIntegral<uint8_t>() == 0)
    return open(input.ConsumeBool() ? "/dev/zero" : "/", O_RDONLY | O_CLOEXEC);
  int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  Check(fd >= 0);
  bool usual = input.ConsumeIntegral<uint8_t>() < 200;
  size_t size = usual ? kRegionBytes : input.PickValueInArray(kSizes);
  int seals = usual ? kSealed : input.ConsumeIntegral<uint8_t>() & 0x1f;
  std::vector<char> bytes = SoundRegion();
  Patch(input, bytes);
  ssize_t written = pwrite(fd, bytes.data(), bytes.size(), 0);
  Check(written == static_cast<ssize_t>(bytes.size()));
  Check(ftruncate(fd, static_cast<off_t>(size)) == 0);
  fcntl(fd, F_ADD_SEALS, seals);
  return fd;
}

}  // namespace pymalloc_exporter
