// A leader, and the connections that members have with it: no process but this one.

#include "exporter/region/leader.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <vector>

namespace pymalloc_exporter {
namespace {

constexpr uint64_t kOwn = 1, kMember = 2;
constexpr Nanoseconds kVisits = 250 * kMillisecond;

class LeaderTest : public testing::Test {
 protected:
  void SetUp() override {
    name_.uid = geteuid();
    snprintf(name_.address, sizeof name_.address, "test:%d:%ld", getpid(), Now());
    region_ = Region::Create({}, &descriptor_);
    ASSERT_TRUE(region_.mapped());
    slot_ = region_.Claim(kMember, kNoSlot);
    int listener = ListenUnder(name_);
    ASSERT_GE(listener, 0);
    leader_.Begin(listener, region_, descriptor_, kOwn);
    Turn();
  }
  void TearDown() override {
    leader_.End();
    close(descriptor_);
    region_.Unmap();
  }

  // What the sampler does at each turn. The time moves on by `step`.
  void Turn(Nanoseconds step = 0) {
    now_ += step;
    int count = leader_.Watch(fds_.data(), now_);
    poll(fds_.data(), static_cast<nfds_t>(count), 0);
    leader_.Handle(fds_.data(), count, now_);
    EXPECT_GT(leader_.Deadline(), now_);
  }
  int Watched() { return leader_.Watch(fds_.data(), now_); }

  // A member that says hello, takes its welcome, and says its slot, if it has one.
  int Join(uint64_t nonce, int slot) {
    int fd = ConnectTo(name_);
    Message hello = MakeMessage(MessageKind::kHello);
    hello.nonce = nonce;
    hello.slot = slot;
    EXPECT_TRUE(Send(fd, hello, -1));
    Turn();
    EXPECT_EQ(Hear(fd), MessageKind::kWelcome);
    Message told = MakeMessage(MessageKind::kSlot);
    told.slot = slot;
    EXPECT_TRUE(slot == kNoSlot || Send(fd, told, -1));
    return fd;
  }
  MessageKind Hear(int fd) {
    Message message;
    int descriptor;
    EXPECT_EQ(Receive(fd, &message, &descriptor), Received::kMessage);
    if (descriptor >= 0) close(descriptor);
    return message.kind;
  }
  bool Ask() {
    return leader_.Forward({QuestionKind::kSample, slot_, 0, 0, descriptor_});
  }

  MembershipName name_{};
  Region region_;
  int descriptor_ = -1;
  int slot_ = kNoSlot;
  const std::unique_ptr<Leader> owned_ = std::make_unique<Leader>();
  Leader& leader_ = *owned_;
  Nanoseconds now_ = kSecond;
  std::vector<pollfd> fds_ = std::vector<pollfd>(kMaxConnections + 1);
};

TEST_F(LeaderTest, WaitsForNothingFromAMemberWithASlot) {
  int without = Join(kOwn + 10, kNoSlot);
  EXPECT_EQ(Watched(), 2);
  int with = Join(kMember, slot_);
  EXPECT_EQ(Watched(), 2);
  close(without);
  close(with);
}

TEST_F(LeaderTest, LooksForTheEndOfAMemberWithASlotAndFreesItAfterAWhile) {
  EXPECT_GT(leader_.Deadline(), now_ + kSuspectGrace / 2);
  int fd = Join(kMember, slot_);
  EXPECT_LE(leader_.Deadline(), now_ + kVisits);
  close(fd);
  Turn(kVisits);
  Turn(kSuspectGrace - kMillisecond);
  EXPECT_EQ(region_.Owner(slot_), kMember);
  Turn(kMillisecond);
  EXPECT_EQ(region_.Owner(slot_), 0u);
  EXPECT_EQ(region_.counters().ended_unannounced, 1u);
}

TEST_F(LeaderTest, KnowsOfAnEndWhenItIsAskedForMembers) {
  int fd = Join(kMember, slot_);
  EXPECT_TRUE(leader_.HasMembers(now_));
  close(fd);
  EXPECT_FALSE(leader_.HasMembers(now_));
}

TEST_F(LeaderTest, AsksAMemberThatForkedByItsNewConnectionAtOnce) {
  for (int forks = 0; forks < 3; ++forks) {
    int fd = Join(kMember, slot_);
    ASSERT_TRUE(Ask());
    EXPECT_EQ(Hear(fd), MessageKind::kQuestion);
    close(fd);
    EXPECT_FALSE(Ask());
  }
}

TEST_F(LeaderTest, CountsThoseWithoutASlotOnce) {
  int fd = Join(kMember, kNoSlot);
  Message none = MakeMessage(MessageKind::kSlot);
  none.slot = kNoSlot;
  EXPECT_TRUE(Send(fd, none, -1));
  Turn();
  EXPECT_EQ(region_.counters().processes_without_slot, 1u);
  close(fd);
  fd = Join(kMember, kNoSlot);
  EXPECT_TRUE(Send(fd, none, -1));
  Turn();
  EXPECT_EQ(region_.counters().processes_without_slot, 1u);
  close(fd);
}

TEST_F(LeaderTest, MakesRoomByTheEndsThatItHasNotHeardOf) {
  for (uint64_t i = 0; i < kMaxConnections; ++i) close(Join(100 + i, 10));
  now_ += 10 * kMillisecond;
  int fd = Join(kMember, slot_);
  EXPECT_TRUE(Ask());
  close(fd);
}

}  // namespace
}  // namespace pymalloc_exporter
