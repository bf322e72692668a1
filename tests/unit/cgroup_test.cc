#include "exporter/system/cgroup.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace pymalloc_exporter {
namespace {

TEST(ParseCgroupFolder, KnowsBothVersions) {
  CgroupFolder folder;
  ASSERT_TRUE(ParseCgroupFolder("0::/system.slice/web.service\n", &folder));
  EXPECT_FALSE(folder.version1);
  EXPECT_STREQ(folder.path, "/system.slice/web.service");
  ASSERT_TRUE(
      ParseCgroupFolder("5:cpu,cpuacct:/a\n4:memory:/docker/1f\n0::/b\n", &folder));
  EXPECT_TRUE(folder.version1);
  EXPECT_STREQ(folder.path, "/docker/1f");
}

TEST(ParseCgroupFolder, FindsMemoryAmongControllers) {
  CgroupFolder folder;
  ASSERT_TRUE(ParseCgroupFolder("0::/b\n5:cpu,memory,pids:/a\n", &folder));
  EXPECT_TRUE(folder.version1);
  EXPECT_STREQ(folder.path, "/a");
  ASSERT_TRUE(ParseCgroupFolder("3:memoryless:/x\n1:name=systemd:/y\n0::/\n", &folder));
  EXPECT_FALSE(folder.version1);
  EXPECT_STREQ(folder.path, "");
}

TEST(ParseCgroupFolder, RefusesWhatNamesNoFolder) {
  CgroupFolder folder;
  EXPECT_FALSE(ParseCgroupFolder("", &folder));
  EXPECT_FALSE(ParseCgroupFolder("3:cpu:/x\n", &folder));
  for (const char* part : {":", "0:", "0", "4:memory", "0::\n:\n"}) {
    EXPECT_FALSE(ParseCgroupFolder(part, &folder)) << part;
  }
  EXPECT_FALSE(ParseCgroupFolder("0::/" + std::string(1000, 'x'), &folder));
}

// A proc and a cgroup folder of the test's own.
class CgroupFiles : public testing::Test {
 protected:
  CgroupFiles() {
    char name[] = "/tmp/cgroup_test_XXXXXX";
    root_ = mkdtemp(name);
    sample_.identity.serving = true;
  }
  ~CgroupFiles() override { std::filesystem::remove_all(root_); }

  void Write(const std::string& file, const std::string& text) {
    std::filesystem::create_directories((root_ / file).parent_path());
    std::ofstream(root_ / file) << text;
  }
  Reason Collect() {
    std::string root = root_;
    StopFlag stop{false};
    return CgroupCollector({root.c_str(), root.c_str()}).Collect(sample_, stop);
  }

  std::filesystem::path root_;
  Sample sample_;
};

TEST_F(CgroupFiles, ReadsVersion2) {
  Write("self/cgroup", "0::/web\n");
  Write("web/memory.current", "1000\n");
  Write("web/memory.max", "max\n");
  Write("web/memory.high", "5000\n");
  Write("web/memory.stat", "anon 1\ninactive_file 77\n");
  Write("web/memory.events", "low 0\noom 4\noom_kill 3\n");
  Write("web/memory.pressure", "some avg10=0.00 avg60=0.00 avg300=0.00 total=2500000\n");
  ASSERT_EQ(Collect(), Reason::kNone);
  EXPECT_EQ(sample_.cgroup.usage_bytes, 1000u);
  EXPECT_EQ(sample_.cgroup.limit_bytes, kCgroupAbsent);
  EXPECT_EQ(sample_.cgroup.high_bytes, 5000u);
  EXPECT_EQ(sample_.cgroup.inactive_file_bytes, 77u);
  EXPECT_EQ(sample_.cgroup.oom_kills, 3u);
  EXPECT_DOUBLE_EQ(sample_.cgroup.pressure_stalled_seconds, 2.5);
}

// All that a kernel writes: rows whose names begin alike stand around those that are
// meant.
TEST_F(CgroupFiles, ReadsWholeTextsOfVersion2) {
  Write("self/cgroup", "0::/system.slice/web.service\n");
  const std::string web = "system.slice/web.service/";
  Write(web + "memory.current", "151236608\n");
  Write(web + "memory.max", "268435456\n");
  Write(web + "memory.high", "max\n");
  Write(web + "memory.stat",
        "anon 18337792\nfile 126124032\nkernel 6316032\nkernel_stack 98304\n"
        "pagetables 1142784\nsec_pagetables 0\npercpu 1152\nsock 0\nvmalloc 0\n"
        "shmem 0\nzswap 0\nzswapped 0\nfile_mapped 41984000\nfile_dirty 0\n"
        "file_writeback 0\nswapcached 0\nanon_thp 0\nfile_thp 0\nshmem_thp 0\n"
        "inactive_anon 18272256\nactive_anon 12288\ninactive_file 91234304\n"
        "active_file 34889728\nunevictable 0\nslab_reclaimable 4459000\n"
        "slab_unreclaimable 506952\nslab 4965952\nworkingset_refault_anon 0\n"
        "workingset_refault_file 0\nworkingset_activate_anon 0\n"
        "workingset_activate_file 0\nworkingset_restore_anon 0\n"
        "workingset_restore_file 0\nworkingset_nodereclaim 0\npgscan 0\npgsteal 0\n"
        "pgscan_kswapd 0\npgscan_direct 0\npgscan_khugepaged 0\npgsteal_kswapd 0\n"
        "pgsteal_direct 0\npgsteal_khugepaged 0\npgfault 79411\npgmajfault 355\n"
        "pgrefill 0\npgactivate 8471\npgdeactivate 0\npglazyfree 0\npglazyfreed 0\n"
        "zswpin 0\nzswpout 0\nthp_fault_alloc 0\nthp_collapse_alloc 0\n");
  Write(web + "memory.events",
        "low 0\nhigh 21\nmax 1507\noom 5\noom_kill 4\noom_group_kill 1\n");
  Write(web + "memory.pressure",
        "some avg10=0.00 avg60=1.43 avg300=0.58 total=2841093\n"
        "full avg10=0.00 avg60=1.21 avg300=0.49 total=2402218\n");
  ASSERT_EQ(Collect(), Reason::kNone);
  EXPECT_EQ(sample_.cgroup.usage_bytes, 151236608u);
  EXPECT_EQ(sample_.cgroup.limit_bytes, 268435456u);
  EXPECT_EQ(sample_.cgroup.high_bytes, kCgroupAbsent);
  EXPECT_EQ(sample_.cgroup.inactive_file_bytes, 91234304u);
  EXPECT_EQ(sample_.cgroup.oom_kills, 4u);
  EXPECT_DOUBLE_EQ(sample_.cgroup.pressure_stalled_seconds, 2.841093);
}

// Kernels without pressure stall information, or before memory.events had kills.
TEST_F(CgroupFiles, LeavesRowsOfVersion2AbsentThatAreNotThere) {
  Write("self/cgroup", "0::/web\n");
  Write("web/memory.current", "1000\n");
  Write("web/memory.max", "5000\n");
  Write("web/memory.events", "low 0\nhigh 0\nmax 3\noom 2\n");
  Write("web/memory.pressure", "");
  ASSERT_EQ(Collect(), Reason::kNone);
  EXPECT_EQ(sample_.cgroup.high_bytes, kCgroupAbsent);
  EXPECT_EQ(sample_.cgroup.inactive_file_bytes, kCgroupAbsent);
  EXPECT_EQ(sample_.cgroup.oom_kills, kCgroupAbsent);
  EXPECT_LT(sample_.cgroup.pressure_stalled_seconds, 0);
}

TEST_F(CgroupFiles, ReadsVersion1) {
  Write("self/cgroup", "4:memory:/web\n");
  Write("memory/web/memory.usage_in_bytes", "1000\n");
  Write("memory/web/memory.limit_in_bytes", "9223372036854771712\n");
  Write("memory/web/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n");
  ASSERT_EQ(Collect(), Reason::kNone);
  EXPECT_EQ(sample_.cgroup.usage_bytes, 1000u);
  EXPECT_EQ(sample_.cgroup.limit_bytes, kCgroupAbsent);
  EXPECT_EQ(sample_.cgroup.oom_kills, 2u);
}

TEST_F(CgroupFiles, TheLowestLimitOnTheWayBinds) {
  Write("self/cgroup", "0::/slice/pod/web\n");
  Write("slice/pod/web/memory.current", "1000\n");
  Write("slice/pod/web/memory.max", "9000\n");
  Write("slice/pod/web/memory.high", "8000\n");
  Write("slice/pod/web/memory.events", "oom_kill 3\n");
  Write("slice/pod/memory.current", "2000\n");
  Write("slice/pod/memory.max", "5000\n");
  Write("slice/pod/memory.stat", "inactive_file 70\n");
  Write("slice/pod/memory.events", "oom_kill 4\n");
  Write("slice/memory.current", "3000\n");
  Write("slice/memory.max", "max\n");
  ASSERT_EQ(Collect(), Reason::kNone);
  EXPECT_EQ(sample_.cgroup.usage_bytes, 2000u);
  EXPECT_EQ(sample_.cgroup.limit_bytes, 5000u);
  EXPECT_EQ(sample_.cgroup.inactive_file_bytes, 70u);
  EXPECT_EQ(sample_.cgroup.high_bytes, 8000u);
  EXPECT_EQ(sample_.cgroup.oom_kills, 3u);
}

TEST_F(CgroupFiles, ItsOwnLimitBindsWhereItIsTheLowest) {
  Write("self/cgroup", "4:memory:/pod/web\n");
  Write("memory/pod/web/memory.usage_in_bytes", "1000\n");
  Write("memory/pod/web/memory.limit_in_bytes", "5000\n");
  Write("memory/pod/memory.usage_in_bytes", "2000\n");
  Write("memory/pod/memory.limit_in_bytes", "5000\n");
  Write("memory/memory.usage_in_bytes", "3000\n");
  Write("memory/memory.limit_in_bytes", "9223372036854771712\n");
  ASSERT_EQ(Collect(), Reason::kNone);
  EXPECT_EQ(sample_.cgroup.usage_bytes, 1000u);
  EXPECT_EQ(sample_.cgroup.limit_bytes, 5000u);
}

// A container without a namespace of control groups: the path is the host's, the mount
// is its own group.
TEST_F(CgroupFiles, FindsItsGroupAtTheMountOfAContainer) {
  Write("self/cgroup", "4:memory:/docker/1f\n");
  Write("memory/memory.usage_in_bytes", "1000\n");
  Write("memory/memory.limit_in_bytes", "5000\n");
  Write("memory/memory.oom_control", "oom_kill 2\n");
  ASSERT_EQ(Collect(), Reason::kNone);
  EXPECT_EQ(sample_.cgroup.usage_bytes, 1000u);
  EXPECT_EQ(sample_.cgroup.limit_bytes, 5000u);
  EXPECT_EQ(sample_.cgroup.oom_kills, 2u);
}

TEST_F(CgroupFiles, FindsVersion2BesideVersion1) {
  Write("self/cgroup", "7:pids:/web\n0::/web\n");
  Write("unified/web/memory.current", "1000\n");
  Write("unified/web/memory.max", "5000\n");
  ASSERT_EQ(Collect(), Reason::kNone);
  EXPECT_EQ(sample_.cgroup.usage_bytes, 1000u);
  EXPECT_EQ(sample_.cgroup.limit_bytes, 5000u);
}

TEST_F(CgroupFiles, IsDownWhereThereIsNone) {
  EXPECT_EQ(Collect(), Reason::kNotPresent);
  Write("self/cgroup", "0::/\n");
  EXPECT_EQ(Collect(), Reason::kNotPresent);
  EXPECT_EQ(sample_.cgroup.usage_bytes, kCgroupAbsent);
}

TEST_F(CgroupFiles, IsLeftToTheProcessThatServes) {
  sample_.identity.serving = false;
  EXPECT_EQ(Collect(), Reason::kNone);
}

}  // namespace
}  // namespace pymalloc_exporter
