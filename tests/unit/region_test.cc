#include "exporter/region/region.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <random>
#include <thread>

#include "tests/unit/samples.h"

namespace pymalloc_exporter {
namespace {

class RegionTest : public testing::Test {
 protected:
  void SetUp() override {
    region_ = Region::Create({}, &fd_);
    ASSERT_TRUE(region_.mapped());
  }
  void TearDown() override {
    region_.Unmap();
    close(fd_);
  }
  int Claimed(uint64_t nonce) { return region_.Claim(nonce, kNoSlot); }

  int fd_ = -1;
  Region region_;
  Sample read_;
};

TEST_F(RegionTest, GivesTheLowestFreeSlot) {
  EXPECT_EQ(Claimed(11), 0);
  EXPECT_EQ(Claimed(12), 1);
  EXPECT_TRUE(region_.Release(0, 11));
  EXPECT_EQ(Claimed(13), 0);
}

TEST_F(RegionTest, TurnsGoAroundFromTheFirst) {
  for (uint64_t nonce : {11, 12, 13, 14}) Claimed(nonce);
  EXPECT_EQ(region_.HeldBetween(12, 2), 0);
  EXPECT_EQ(region_.HeldBetween(12, 3), 1);
  EXPECT_EQ(region_.HeldBetween(12, 0), 2);
  EXPECT_EQ(region_.HeldBetween(14, 0), 0);
  region_.Release(2, 13);
  EXPECT_EQ(region_.HeldBetween(12, 3), 0);
}

TEST_F(RegionTest, TurnsBeginWithTheLowestSlotAfterOneThatIsGone) {
  for (uint64_t nonce : {11, 12, 13}) Claimed(nonce);
  EXPECT_EQ(region_.HeldBetween(99, 0), 0);
  EXPECT_EQ(region_.HeldBetween(99, 2), 2);
  EXPECT_EQ(region_.HeldBetween(0, 2), 2);
}

TEST_F(RegionTest, GivesTheWantedSlotIfItIsFree) {
  EXPECT_EQ(region_.Claim(11, 5), 5);
  EXPECT_EQ(region_.Claim(11, 5), 5);
  EXPECT_EQ(region_.Claim(12, 5), 0);
  EXPECT_EQ(region_.Claim(13, 99999), 1);
}

TEST_F(RegionTest, SaysWhenEverySlotIsTaken) {
  for (uint64_t nonce = 1; nonce <= kSlots; ++nonce) ASSERT_NE(Claimed(nonce), kNoSlot);
  EXPECT_EQ(Claimed(9999), kNoSlot);
}

TEST_F(RegionTest, ReadsWhatWasWritten) {
  Sample sample = HealthySample(11);
  sample.process.resident_bytes = 4711;
  int slot = Claimed(11);
  EXPECT_EQ(region_.Read(slot, &read_), SlotState::kEmpty);
  ASSERT_TRUE(region_.Write(slot, sample));
  ASSERT_EQ(region_.Read(slot, &read_), SlotState::kGood);
  EXPECT_EQ(read_.process.resident_bytes, 4711u);
}

TEST_F(RegionTest, RefusesToWriteInSomebodyElsesSlot) {
  int slot = Claimed(11);
  EXPECT_FALSE(region_.Write(slot, HealthySample(12)));
  EXPECT_FALSE(region_.Release(slot, 12));
}

TEST_F(RegionTest, ASlotOfTheNextHolderIsEmptyUntilItWrites) {
  int slot = Claimed(11);
  region_.Write(slot, HealthySample(11));
  region_.Release(slot, 11);
  EXPECT_EQ(region_.Claim(12, slot), slot);
  EXPECT_EQ(region_.Read(slot, &read_), SlotState::kEmpty);
}

TEST_F(RegionTest, TheNextHolderHasNotSaidGoodbye) {
  int slot = Claimed(11);
  region_.SetGoodbye(slot, 12, true);
  EXPECT_FALSE(region_.Goodbye(slot));
  region_.SetGoodbye(slot, 11, true);
  EXPECT_TRUE(region_.Goodbye(slot));
  region_.Release(slot, 11);
  region_.Claim(12, slot);
  EXPECT_FALSE(region_.Goodbye(slot));
}

TEST_F(RegionTest, AnotherMappingSeesTheSame) {
  Region other = Region::Adopt(fd_);
  ASSERT_TRUE(other.mapped());
  EXPECT_EQ(other.id(), region_.id());
  int slot = other.Claim(11, kNoSlot);
  other.Write(slot, HealthySample(11));
  EXPECT_EQ(region_.Read(slot, &read_), SlotState::kGood);
  other.Unmap();
}

TEST_F(RegionTest, ASuccessorGoesOnWithKeyCountersAndSamples) {
  int slot = Claimed(11);
  region_.Write(slot, HealthySample(11));
  region_.SetGoodbye(slot, 11, true);
  region_.counters().leader_changes = 42;
  int fd;
  Region successor = Region::Create(region_, &fd);
  ASSERT_TRUE(successor.mapped());
  EXPECT_NE(successor.id(), region_.id());
  EXPECT_EQ(memcmp(successor.key().words, region_.key().words, sizeof(RegionKey)), 0);
  EXPECT_EQ(successor.counters().leader_changes, 42u);
  EXPECT_EQ(successor.Owner(slot), 11u);
  EXPECT_TRUE(successor.Goodbye(slot));
  EXPECT_EQ(successor.Read(slot, &read_), SlotState::kGood);
  successor.Unmap();
  close(fd);
}

// What another process may hand over in place of a region.
int MemfdOf(size_t bytes, int seals) {
  int fd = memfd_create("false", MFD_ALLOW_SEALING | MFD_CLOEXEC);
  EXPECT_EQ(ftruncate(fd, static_cast<off_t>(bytes)), 0);
  if (seals != 0) {
    EXPECT_EQ(fcntl(fd, F_ADD_SEALS, seals), 0);
  }
  return fd;
}

TEST_F(RegionTest, RefusesWhatIsNoRegion) {
  constexpr int kSealed = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
  int pipe_fds[2];
  ASSERT_EQ(pipe(pipe_fds), 0);
  int fds[] = {MemfdOf(kRegionBytes, 0),                          // could be truncated
               MemfdOf(kRegionBytes, F_SEAL_GROW | F_SEAL_SEAL),  // likewise
               MemfdOf(kRegionBytes - 4096, kSealed),             // too short
               MemfdOf(kRegionBytes, kSealed),                    // nothing in it
               open("/dev/zero", O_RDWR | O_CLOEXEC),
               pipe_fds[0],
               pipe_fds[1],
               -1};
  for (int fd : fds) {
    EXPECT_FALSE(Region::Adopt(fd).mapped()) << fd;
    if (fd >= 0) close(fd);
  }
}

TEST_F(RegionTest, AWriterKilledInTheMiddleLeavesARejectedSlot) {
  int slot = Claimed(11);
  pid_t child = fork();
  if (child == 0) {
    Sample sample = HealthySample(11);
    for (;;) region_.Write(slot, sample);
  }
  usleep(20'000);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  SlotState state = region_.Read(slot, &read_);
  EXPECT_TRUE(state == SlotState::kGood || state == SlotState::kRejected);
  // The next holder is not hindered by what was left.
  region_.Release(slot, 11);
  ASSERT_EQ(region_.Claim(12, slot), slot);
  ASSERT_TRUE(region_.Write(slot, HealthySample(12)));
  EXPECT_EQ(region_.Read(slot, &read_), SlotState::kGood);
}

TEST_F(RegionTest, NoReaderSeesHalfASample) {
  int slot = Claimed(11);
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    Sample sample = HealthySample(11);
    for (uint64_t i = 0; !stop; ++i) {
      sample.process.resident_bytes = sample.process.max_fds = i;
      region_.Write(slot, sample);
    }
  });
  int good = 0;
  while (region_.Read(slot, &read_) == SlotState::kEmpty) continue;
  for (int i = 0; i < 300; ++i) {
    if (region_.Read(slot, &read_) != SlotState::kGood) continue;
    ++good;
    ASSERT_EQ(read_.process.resident_bytes, read_.process.max_fds);
  }
  stop = true;
  writer.join();
  EXPECT_GT(good, 0);
}

TEST_F(RegionTest, GarbageIsNeverGood) {
  std::mt19937_64 random(1);
  auto* bytes = static_cast<unsigned char*>(
      mmap(nullptr, kRegionBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0));
  ASSERT_NE(bytes, MAP_FAILED);
  int slot = Claimed(11);
  for (int round = 0; round < 200; ++round) {
    region_.Write(slot, HealthySample(11));
    unsigned char* words =
        bytes + kSlotBytes * static_cast<size_t>(slot + 1) + sizeof(uint64_t);
    for (int i = 0; i < 40; ++i)
      words[random() % sizeof(Sample)] = static_cast<unsigned char>(random());
    if (region_.Read(slot, &read_) == SlotState::kGood) {
      EXPECT_TRUE(Valid(read_));
    }
  }
  munmap(bytes, kRegionBytes);
}

}  // namespace
}  // namespace pymalloc_exporter
