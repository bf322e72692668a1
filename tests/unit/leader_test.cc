// A leader, and the connections that members have with it: no process but this one.

#include "exporter/region/leader.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <vector>

namespace pymalloc_exporter {
namespace {

constexpr uint64_t kOwn = 1, kMember = 2;

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
  }
  int Watched() { return leader_.Watch(fds_.data(), now_); }

  // A member that says hello, and takes its welcome.
  int Join(uint64_t nonce, int slot) {
    int fd = ConnectTo(name_);
    Message hello = MakeMessage(MessageKind::kHello);
    hello.nonce = nonce;
    hello.slot = slot;
    EXPECT_TRUE(Send(fd, hello, -1));
    Turn();
    EXPECT_EQ(Hear(fd), MessageKind::kWelcome);
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
  Leader& leader_ = *new Leader;
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

TEST_F(LeaderTest, VisitsThoseWithASlotAndFreesWhatTheyHadAfterAWhile) {
  int fd = Join(kMember, slot_);
  EXPECT_LE(leader_.Deadline(), now_ + 250 * kMillisecond);
  close(fd);
  Turn();
  EXPECT_TRUE(leader_.HasMembers());
  Turn(250 * kMillisecond);
  EXPECT_FALSE(leader_.HasMembers());
  EXPECT_EQ(region_.Owner(slot_), kMember);
  Turn(kSuspectGrace);
  EXPECT_EQ(region_.Owner(slot_), 0u);
}

TEST_F(LeaderTest, AsksAMemberThatForkedByItsNewConnectionAtOnce) {
  int before = Join(kMember, slot_);
  EXPECT_TRUE(Ask());
  close(before);
  EXPECT_FALSE(Ask());
  int after = Join(kMember, slot_);
  EXPECT_TRUE(Ask());
  EXPECT_EQ(Hear(after), MessageKind::kQuestion);
  close(after);
}

TEST_F(LeaderTest, MakesRoomByTheEndsThatItHasNotHeardOf) {
  for (uint64_t i = 0; i < kMaxConnections; ++i) close(Join(100 + i, 10));
  int fd = Join(kMember, slot_);
  EXPECT_TRUE(Ask());
  close(fd);
}

}  // namespace
}  // namespace pymalloc_exporter
