#include "exporter/sample/auto_trim.h"

#include <gtest/gtest.h>

namespace pymalloc_exporter {
namespace {

TEST(AutoTrim, IsOffUnlessAskedFor) { EXPECT_FALSE(AutoTrim().Due(UINT64_MAX, kSecond)); }

TEST(AutoTrim, WaitsForItsThresholdAndPauses) {
  AutoTrim trim;
  trim.SetThreshold(100);
  Nanoseconds now = kSecond;
  EXPECT_FALSE(trim.Due(99, now));
  EXPECT_TRUE(trim.Due(100, now));
  EXPECT_FALSE(trim.Due(1000, now + kAutoTrimPause - 1));
  EXPECT_FALSE(trim.Due(99, now + kAutoTrimPause));
  EXPECT_TRUE(trim.Due(100, now + kAutoTrimPause));
  EXPECT_FALSE(trim.Due(100, now + kAutoTrimPause + 1));
}

}  // namespace
}  // namespace pymalloc_exporter
