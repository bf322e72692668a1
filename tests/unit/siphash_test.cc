#include "exporter/region/siphash.h"

#include <gtest/gtest.h>

namespace pymalloc_exporter {
namespace {

// From the reference: key 00 01 ... 0f, message 00 01 ... of increasing length.
TEST(SipHash, GivesTheReferenceValues) {
  const uint64_t key[2] = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
  unsigned char message[15];
  for (unsigned char i = 0; i < sizeof message; ++i) message[i] = i;
  EXPECT_EQ(SipHash(key, message, 0), 0x726fdb47dd0e0e31u);
  EXPECT_EQ(SipHash(key, message, 1), 0x74f839c593dc67fdu);
  EXPECT_EQ(SipHash(key, message, 8), 0x93f5f5799a932462u);
  EXPECT_EQ(SipHash(key, message, 15), 0xa129ca6149be45e5u);
}

}  // namespace
}  // namespace pymalloc_exporter
