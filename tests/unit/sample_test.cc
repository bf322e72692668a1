#include "exporter/sample/sample.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "tests/unit/samples.h"

namespace pymalloc_exporter {
namespace {

TEST(Valid, AcceptsAHealthySample) { EXPECT_TRUE(Valid(HealthySample())); }

TEST(Valid, RefusesTextWithoutEnd) {
  Sample sample = HealthySample();
  memset(sample.identity.app, 'x', sizeof sample.identity.app);
  EXPECT_FALSE(Valid(sample));
}

TEST(Valid, RefusesTextThatIsNoUtf8) {
  for (const char* text :
       {"\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "a\xe2\x82"}) {
    Sample sample = HealthySample();
    strcpy(sample.identity.app, text);
    EXPECT_FALSE(Valid(sample)) << text;
  }
}

TEST(Valid, AcceptsTextOutsideAscii) {
  Sample sample = HealthySample();
  strcpy(sample.identity.app, "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x8d");
  EXPECT_TRUE(Valid(sample));
}

TEST(Valid, RefusesAllocatorsThatDoNotExist) {
  Sample sample = HealthySample();
  sample.malloc.allocator = static_cast<Allocator>(99);
  EXPECT_FALSE(Valid(sample));
}

TEST(Valid, RefusesReasonsThatDoNotExist) {
  Sample sample = HealthySample();
  sample.collectors[0].reason = static_cast<Reason>(200);
  EXPECT_FALSE(Valid(sample));
}

TEST(Valid, RefusesOriginsThatDoNotExist) {
  Sample sample = HealthySample();
  sample.identity.origin = Origin::kCount;
  EXPECT_FALSE(Valid(sample));
}

TEST(Valid, RefusesTimesThatAreNone) {
  for (double time : {double{NAN}, double{INFINITY}, -1.0}) {
    Sample sample = HealthySample();
    sample.timestamp_seconds = time;
    EXPECT_FALSE(Valid(sample)) << time;
  }
}

TEST(Valid, RefusesPartsThatDoNotAddUp) {
  Sample sample = HealthySample();
  ++sample.pymalloc.live_bytes;
  EXPECT_FALSE(Valid(sample));
}

TEST(Valid, RefusesTruthsThatAreNone) {
  Sample sample = HealthySample();
  *reinterpret_cast<unsigned char*>(&sample.residency.page_map) = 2;
  EXPECT_FALSE(Valid(sample));
}

TEST(Valid, LooksAtRandomBytesWithoutHarm) {
  std::mt19937 random(1);
  for (int i = 0; i < 2000; ++i) {
    Sample sample;
    auto* bytes = reinterpret_cast<unsigned char*>(&sample);
    for (size_t at = 0; at < sizeof sample; ++at)
      bytes[at] = static_cast<unsigned char>(random());
    EXPECT_FALSE(Valid(sample));
  }
}

}  // namespace
}  // namespace pymalloc_exporter
