#include "exporter/region/siphash.h"

#include <bit>
#include <cstring>

namespace pymalloc_exporter {
namespace {

struct State {
  uint64_t v0, v1, v2, v3;

  void Rounds(int count) {
    for (int i = 0; i < count; ++i) {
      v0 += v1, v1 = std::rotl(v1, 13) ^ v0, v0 = std::rotl(v0, 32);
      v2 += v3, v3 = std::rotl(v3, 16) ^ v2;
      v0 += v3, v3 = std::rotl(v3, 21) ^ v0;
      v2 += v1, v1 = std::rotl(v1, 17) ^ v2, v2 = std::rotl(v2, 32);
    }
  }
  void Absorb(uint64_t word) {
    v3 ^= word;
    Rounds(2);
    v0 ^= word;
  }
};

}  // namespace

uint64_t SipHash(const uint64_t key[2], const void* message, size_t bytes) {
  State state{key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d,
              key[0] ^ 0x6c7967656e657261, key[1] ^ 0x7465646279746573};
  const auto* at = static_cast<const unsigned char*>(message);
  uint64_t word;
  size_t rest = bytes;
  for (; rest >= sizeof word; rest -= sizeof word, at += sizeof word) {
    memcpy(&word, at, sizeof word);
    state.Absorb(word);
  }
  word = uint64_t{bytes} << 56;
  for (size_t i = 0; i < rest; ++i) word |= uint64_t{at[i]} << (8 * i);
  state.Absorb(word);
  state.v2 ^= 0xff;
  state.Rounds(4);
  return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

}  // namespace pymalloc_exporter
