#include "exporter/sample/json_text.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

namespace pymalloc_exporter {
namespace {

TEST(JsonText, WritesNestedRows) {
  char buffer[256];
  JsonText text(buffer, sizeof buffer);
  text.Begin('{').Row("a", uint64_t{1}).Row("b", int64_t{-2}).Row("c", 0.5);
  text.Key("d").Begin('[').Number(uint64_t{3}).Begin('{').End('}').String("x").End(']');
  text.Key("e").Bool(true).Row("f", std::nan("")).End('}');
  EXPECT_EQ(text.text(), R"({"a":1,"b":-2,"c":0.5,"d":[3,{},"x"],"e":true,"f":null})");
  EXPECT_TRUE(text.complete());
  EXPECT_TRUE(IsJsonObject(text.text()));
}

TEST(JsonText, EscapesWhateverANameHolds) {
  char buffer[256];
  JsonText text(buffer, sizeof buffer);
  text.Begin('{').Key("\"\\\n\x01").String("caf\xc3\xa9 \xff\xc3").End('}');
  EXPECT_EQ(text.text(),
            "{\"\\\"\\\\\\u000a\\u0001\":\"caf\xc3\xa9 \xef\xbf\xbd\xef\xbf\xbd\"}");
  EXPECT_TRUE(IsJsonObject(text.text()));
}

TEST(JsonText, SaysThatItDidNotFit) {
  for (size_t bytes = 0; bytes < 13; ++bytes) {
    char buffer[16] = "untouched";
    JsonText text(buffer, bytes);
    text.Begin('{').Row("number", uint64_t{123}).End('}');
    EXPECT_FALSE(text.complete()) << bytes;
    EXPECT_LE(text.text().size(), bytes);
  }
}

TEST(IsJsonObject, TakesWhatIs) {
  for (const char* text :
       {"{}", " { } \n", R"({"a":[1,-0.5e+3,true,false,null,"\u00e9\n"],"b":{"c":[]}})",
        R"({"a":0})", R"({"a":-1E5})"}) {
    EXPECT_TRUE(IsJsonObject(text)) << text;
  }
}

TEST(IsJsonObject, RefusesWhatIsNot) {
  for (const char* text : {"",
                           "[]",
                           "1",
                           "{",
                           "}",
                           "{}{}",
                           "{}x",
                           "{a:1}",
                           R"({"a"})",
                           R"({"a":})",
                           R"({"a":1,})",
                           R"({,"a":1})",
                           R"({"a":01})",
                           R"({"a":1.})",
                           R"({"a":.5})",
                           R"({"a":1e})",
                           R"({"a":+1})",
                           R"({"a":NaN})",
                           R"({"a":"\x"})",
                           R"({"a":"\u12"})",
                           R"({"a":"b)",
                           R"({"a":[1 2]})",
                           R"({"a":[1,]})",
                           R"({"a":truex})",
                           "{\"a\":\"\n\"}",
                           "{\"a\":\"\xff\"}",
                           "{\"a\":\"\xc0\x80\"}",
                           "{\"a\":\"\xed\xa0\x80\"}",
                           "\xef\xbb\xbf{}"}) {
    EXPECT_FALSE(IsJsonObject(text)) << text;
  }
}

TEST(IsJsonObject, BoundsItsDepth) {
  auto nested = [](size_t levels) {
    return R"({"a":)" + std::string(levels, '[') + std::string(levels, ']') + "}";
  };
  EXPECT_TRUE(IsJsonObject(nested(15)));
  EXPECT_FALSE(IsJsonObject(nested(16)));
  EXPECT_FALSE(IsJsonObject(nested(100'000)));
}

}  // namespace
}  // namespace pymalloc_exporter
