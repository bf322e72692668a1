#include "exporter/cpython/oracle.h"

#include <gtest/gtest.h>

#include <string>

namespace pymalloc_exporter {
namespace {

constexpr char kText[] = R"(Small block threshold = 512, in 32 size classes.

class   size   num pools   blocks in use  avail blocks
-----   ----   ---------   -------------  ------------
    0     16           1              24           997
   31    512         153           4,711            32

# arenas allocated total           =                1,006
# arenas reclaimed                 =                    2
# arenas highwater mark            =                1,005
# arenas allocated current         =                1,004
1004 arenas * 1048576 bytes/arena  =        1,052,770,304

# bytes in allocated blocks        =            1,290,448
# bytes in available blocks        =               74,912
43 unused pools * 16384 bytes      =              704,512
# bytes lost to pool headers       =               16,368
# bytes lost to quantization       =               15,008
# bytes lost to arena alignment    =                    0
Total                              =            1,572,864
)";

TEST(ParseOracle, ReadsClassesAndTotals) {
  OracleReading reading;
  ASSERT_TRUE(ParseOracle(kText, &reading));
  EXPECT_EQ(reading.arenas_allocated, 1006u);
  EXPECT_EQ(reading.arenas_freed, 2u);
  EXPECT_EQ(reading.arenas_highwater, 1005u);
  EXPECT_EQ(reading.arenas, 1004u);
  EXPECT_EQ(reading.arena_bytes, 1048576u);
  EXPECT_EQ(reading.pool_bytes, 16384u);
  EXPECT_EQ(reading.unused_pools, 43u);
  EXPECT_EQ(reading.live_bytes, 1290448u);
  EXPECT_EQ(reading.class_pools[31], 153u);
  EXPECT_EQ(reading.class_live_blocks[31], 4711u);
  EXPECT_EQ(reading.class_free_blocks[0], 997u);
}

TEST(ParseOracle, RefusesTextThatLacksALine) {
  OracleReading reading;
  EXPECT_FALSE(ParseOracle("", &reading));
  for (const char* line :
       {"-----", "# arenas reclaimed", "unused pools", "bytes in available"}) {
    std::string text = kText;
    size_t start = text.rfind('\n', text.find(line)) + 1;
    text.erase(start, text.find('\n', start) + 1 - start);
    EXPECT_FALSE(ParseOracle(text, &reading)) << line;
  }
}

TEST(ParseOracle, RefusesASizeClassThatDoesNotExist) {
  std::string text = kText;
  text.replace(text.find("   31  "), 5, "   32");
  OracleReading reading;
  EXPECT_FALSE(ParseOracle(text, &reading));
}

}  // namespace
}  // namespace pymalloc_exporter
