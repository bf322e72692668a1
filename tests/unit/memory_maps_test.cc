#include "exporter/system/memory_maps.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace pymalloc_exporter {
namespace {

// Captured from a Python 3.13 on Linux 6.18.
constexpr char kCaptured[] =
    "55d0a31c6000-55d0a31c7000 rw-p 00003000 fe:00 131079      "
    "             /root/.pyenv/versions/3.13.0/bin/python3.13\n"
    "55d0ca6b8000-55d0ca742000 rw-p 00000000 00:00 0                          [heap]\n"
    "7f2b60000000-7f2b60021000 rw-p 00000000 00:00 0 \n"
    "7f2b60021000-7f2b64000000 ---p 00000000 00:00 0 \n"
    "7f2b67c00000-7f2b68400000 rw-s 00000000 00:01 2052               "
    "        /memfd:with a blank (deleted)\n"
    "7f2b69a1d000-7f2b69b73000 r-xp 00026000 fe:00 1311   /lib/libc.so.6\n"
    "7fff2a5c2000-7fff2a5e4000 rw-p 00000000 00:00 0                          [stack]\n"
    "7fff2a5f1000-7fff2a5f3000 r-xp 00000000 00:00 0                          [vdso]\n"
    "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0        [vsyscall]\n";

TEST(ParseMapping, ReadsWhatMattersOfALine) {
  Mapping mapping;
  ASSERT_TRUE(ParseMapping("7f2b60000000-7f2b60021000 rw-p 00000000 00:00 0 ", &mapping));
  EXPECT_EQ(mapping.start, 0x7f2b60000000u);
  EXPECT_EQ(mapping.bytes(), 0x21000u);
  EXPECT_TRUE(mapping.readable && mapping.writable);
  EXPECT_FALSE(mapping.executable || mapping.shared || mapping.of_file);
  EXPECT_EQ(mapping.name, Mapping::Name::kNone);
}

TEST(ParseMapping, TakesReservedHugePagesForNoFile) {
  Mapping mapping;
  ASSERT_TRUE(
      ParseMapping("7f9179a00000-7f9179c00000 rw-p 00000000 00:11 490771         "
                   "            /anon_hugepage (deleted)",
                   &mapping));
  EXPECT_EQ(mapping.name, Mapping::Name::kHugePages);
  EXPECT_FALSE(mapping.of_file);
}

TEST(ParseMapping, RefusesWhatIsNoLine) {
  Mapping mapping;
  for (const char* line : {"", "7f-", "x-y rw-p 0 0:0 0", "7f00-8000 rw 0 00:00 0 ",
                           "8000-7000 rw-p 0 00:00 0 ", "7000-8000 rw-p 0 00:00"}) {
    EXPECT_FALSE(ParseMapping(line, &mapping)) << line;
  }
}

// A proc folder with a maps file of the test's own.
class MapsFile : public testing::Test {
 protected:
  MapsFile() {
    char name[] = "/tmp/memory_maps_test_XXXXXX";
    root_ = mkdtemp(name);
    std::filesystem::create_directories(root_ / "self");
  }
  ~MapsFile() override { std::filesystem::remove_all(root_); }

  std::vector<Mapping> Read(const std::string& text) {
    std::ofstream(root_ / "self/maps") << text;
    std::string root = root_;
    MapsReader reader;
    EXPECT_TRUE(reader.Open({root.c_str(), ""}));
    std::vector<Mapping> found;
    for (Mapping mapping; reader.Next(&mapping);) found.push_back(mapping);
    failed_ = reader.failed();
    return found;
  }

  std::filesystem::path root_;
  bool failed_ = false;
};

TEST_F(MapsFile, TellsWhatEachMappingIs) {
  std::vector<Mapping> found = Read(kCaptured);
  ASSERT_EQ(found.size(), 9u);
  EXPECT_FALSE(failed_);
  EXPECT_TRUE(found[0].of_file);
  EXPECT_EQ(found[1].name, Mapping::Name::kHeap);
  EXPECT_FALSE(found[3].readable);
  EXPECT_TRUE(found[4].shared && found[4].of_file);
  EXPECT_TRUE(found[5].executable && !found[5].writable);
  EXPECT_EQ(found[6].name, Mapping::Name::kStack);
  EXPECT_EQ(found[7].name, Mapping::Name::kKernel);
  EXPECT_EQ(found[8].start, 0xffffffffff600000u);
}

TEST_F(MapsFile, ReadsAcrossPieces) {
  std::string text;
  for (int i = 0; i < 500; ++i) text += kCaptured;
  EXPECT_EQ(Read(text).size(), 4500u);
  EXPECT_FALSE(failed_);
  text += "7000-8000 rw-p 0 00:00 12 /" + std::string(4095, 'x') + "\n";
  EXPECT_EQ(Read(text).size(), 4501u);
}

TEST_F(MapsFile, FailsOnGarbage) {
  EXPECT_EQ(Read(std::string(kCaptured) + "garbage\n").size(), 9u);
  EXPECT_TRUE(failed_);
  Read(std::string(100'000, 'x'));
  EXPECT_TRUE(failed_);
}

TEST(MapsReader, ReadsThisProcess) {
  MapsReader reader;
  ASSERT_TRUE(reader.Open({}));
  auto here = reinterpret_cast<uintptr_t>(&reader);
  bool found = false;
  for (Mapping mapping; reader.Next(&mapping);) {
    found |= mapping.start <= here && here < mapping.end;
  }
  EXPECT_TRUE(found);
  EXPECT_FALSE(reader.failed());
}

}  // namespace
}  // namespace pymalloc_exporter
