#include "exporter/system/process_status.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

namespace pymalloc_exporter {
namespace {

constexpr char kStatus[] =
    "Name:\tpython\nVmPeak:\t  30000 kB\nVmSize:\t   29000 kB\nVmHWM:\t   12000 kB\n"
    "VmRSS:\t   11000 kB\nRssAnon:\t    4000 kB\nRssFile:\t    6000 kB\nRssShmem:\t    "
    "1000 kB\n"
    "VmSwap:\t      16 kB\nThreads:\t3\n";

TEST(ParseStatus, ReadsKilobytesAndCounts) {
  ProcessSample process;
  ASSERT_TRUE(ParseStatus(kStatus, &process));
  EXPECT_EQ(process.resident_bytes, 11000u * 1024);
  EXPECT_EQ(process.resident_anon_bytes, 4000u * 1024);
  EXPECT_EQ(process.resident_peak_bytes, 12000u * 1024);
  EXPECT_EQ(process.virtual_bytes, 29000u * 1024);
  EXPECT_EQ(process.swap_bytes, 16u * 1024);
  EXPECT_EQ(process.threads, 3u);
}

TEST(ParseStatus, RefusesTextThatLacksARow) {
  std::string text = kStatus;
  for (const char* row : {"VmRSS:", "RssShmem:", "Threads:"}) {
    std::string cut = text;
    cut.erase(cut.find(row), 3);
    ProcessSample process;
    EXPECT_FALSE(ParseStatus(cut, &process)) << row;
  }
  ProcessSample process;
  EXPECT_FALSE(ParseStatus("", &process));
}

TEST(ParseStat, CountsFieldsBehindACommandWithBlanksAndBrackets) {
  std::string text =
      "42 (a ) (b c) S 1 42 42 0 -1 4194560 111 0 222 0 5 6 0 0 20 0 1 0 987654 1 2";
  ProcessSample process;
  uint64_t start_ticks;
  ASSERT_TRUE(ParseStat(text, &process, &start_ticks));
  EXPECT_EQ(process.minor_faults, 111u);
  EXPECT_EQ(process.major_faults, 222u);
  EXPECT_EQ(start_ticks, 987654u);
}

TEST(ParseStat, RefusesATruncatedLine) {
  ProcessSample process;
  uint64_t start_ticks;
  EXPECT_FALSE(ParseStat("42 (python) S 1 42", &process, &start_ticks));
  EXPECT_FALSE(ParseStat("no such line", &process, &start_ticks));
}

TEST(ProcessCollector, ReadsThisVeryProcess) {
  ProcessCollector collector;
  ASSERT_EQ(collector.Calibrate(), Reason::kNone);
  Sample sample;
  StopFlag stop{false};
  ASSERT_EQ(collector.Collect(sample, stop), Reason::kNone);
  EXPECT_GT(sample.process.resident_bytes, 1u << 20);
  EXPECT_EQ(sample.process.threads, 1u);
  EXPECT_EQ(sample.identity.parent_pid, getppid());
  EXPECT_GT(sample.process.start_time_seconds, 1.6e9);
}

TEST(ProcessCollector, CountsDescriptors) {
  ProcessCollector collector;
  Sample sample;
  StopFlag stop{false};
  collector.Collect(sample, stop);
  uint64_t before = sample.process.open_fds;
  int fd = dup(0);
  collector.Collect(sample, stop);
  close(fd);
  EXPECT_EQ(sample.process.open_fds, before + 1);
}

TEST(ProcessCollector, SaysWhenFilesAreMissing) {
  KernelPaths nowhere{"/nonexistent", "/nonexistent"};
  ProcessCollector collector(nowhere);
  Sample sample;
  StopFlag stop{false};
  EXPECT_EQ(collector.Calibrate(), Reason::kUnreadable);
  EXPECT_EQ(collector.Collect(sample, stop), Reason::kUnreadable);
}

}  // namespace
}  // namespace pymalloc_exporter
