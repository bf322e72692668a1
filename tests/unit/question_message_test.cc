// Questions on their way between a leader and a member, one of which tells nonsense.

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <climits>
#include <cstdio>
#include <memory>
#include <vector>

#include "exporter/region/membership.h"
#include "exporter/system/clock.h"

namespace pymalloc_exporter {
namespace {

constexpr uint64_t kOurs = 1001, kTheirs = 2002;

// This process' place in a group, moved on by hand.
class Place {
 public:
  explicit Place(const MembershipName& name) {
    membership_->Configure(name, kOurs, Now() - 2 * kSecond);
    membership_->Open(Now());
  }
  ~Place() { membership_->Close(); }

  // Until `holds`, or for ten seconds.
  template <typename Holds>
  bool Until(Holds holds) {
    std::vector<pollfd> fds(kMaxConnections + 1);
    bool held = holds();
    for (Nanoseconds end = Now() + 10 * kSecond; !held && Now() < end; held = holds()) {
      int count = membership_->Watch(fds.data(), Now());
      poll(fds.data(), static_cast<nfds_t>(count), 10);
      membership_->Handle(fds.data(), count, Now());
    }
    return held;
  }
  Membership& operator*() { return *membership_; }
  Membership* operator->() { return membership_.get(); }

 private:
  std::unique_ptr<Membership> membership_ = std::make_unique<Membership>();
};

class QuestionMessageTest : public testing::Test {
 protected:
  QuestionMessageTest() {
    name_.uid = geteuid();
    snprintf(name_.address, sizeof name_.address, "ask:%d:%ld", getpid(), Now());
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, replies_), 0);
  }
  ~QuestionMessageTest() override {
    close(replies_[0]);
    close(replies_[1]);
  }

  Question AskOf(int worker) const {
    return {QuestionKind::kSample, worker, 7, Now(CLOCK_REALTIME) + kSecond, replies_[1]};
  }
  static bool Hears(int fd) {
    pollfd readable{fd, POLLIN, 0};
    return poll(&readable, 1, 0) == 1;
  }

  MembershipName name_{};
  int replies_[2];
};

class MemberOfOurs : public QuestionMessageTest {
 protected:
  MemberOfOurs() : leader_(name_) {
    EXPECT_TRUE(leader_.Until([&] { return leader_->leading(); }));
    slot_ = leader_->region().Claim(kTheirs, kNoSlot);
    fd_ = ConnectTo(name_);
    Message hello = MakeMessage(MessageKind::kHello);
    hello.nonce = kTheirs;
    hello.slot = slot_;
    EXPECT_TRUE(Send(fd_, hello, -1));
    EXPECT_TRUE(leader_.Until([&] { return Hears(fd_); }));
    int region = -1;
    EXPECT_EQ(Receive(fd_, &message_, &region), Received::kMessage);
    EXPECT_EQ(message_.kind, MessageKind::kWelcome);
    close(region);
  }
  ~MemberOfOurs() override { close(fd_); }

  Place leader_;
  int slot_;
  int fd_;
  Message message_;
};

TEST_F(MemberOfOurs, IsAskedByItsSlot) {
  EXPECT_TRUE(leader_->Forward(AskOf(slot_)));
  int descriptor = -1;
  ASSERT_EQ(Receive(fd_, &message_, &descriptor), Received::kMessage);
  EXPECT_EQ(message_.kind, MessageKind::kQuestion);
  EXPECT_EQ(message_.nonce, kTheirs);
  EXPECT_EQ(message_.argument, 7u);
  EXPECT_EQ(send(descriptor, "x", 1, 0), 1);
  EXPECT_TRUE(Hears(replies_[0]));
  close(descriptor);
}

TEST_F(MemberOfOurs, IsNotAskedWhatIsAnothers) {
  for (int worker : {slot_ + 1, -1, kSlots, 1 << 30, INT_MIN}) {
    EXPECT_FALSE(leader_->Forward(AskOf(worker))) << worker;
  }
  leader_->region().Release(slot_, kTheirs);
  leader_->region().Claim(kTheirs + 1, slot_);
  EXPECT_FALSE(leader_->Forward(AskOf(slot_)));
}

TEST_F(MemberOfOurs, ThatTakesNothingHoldsNobody) {
  int sent = 0;
  while (sent < 100'000 && leader_->Forward(AskOf(slot_))) ++sent;
  EXPECT_LT(sent, 100'000);
}

TEST_F(MemberOfOurs, IsSentAwayIfItAsks) {
  Message question = MakeMessage(MessageKind::kQuestion);
  ASSERT_TRUE(Send(fd_, question, replies_[1]));
  EXPECT_TRUE(leader_.Until([&] { return Hears(fd_); }));
  int descriptor = -1;
  EXPECT_EQ(Receive(fd_, &message_, &descriptor), Received::kClosed);
  EXPECT_TRUE(leader_->leading());
}

class LeaderOfOurs : public QuestionMessageTest {
 protected:
  LeaderOfOurs() : listener_(ListenUnder(name_)), member_(name_) {
    EXPECT_TRUE(
        member_.Until([&] { return (fd_ = accept(listener_, nullptr, nullptr)) >= 0; }));
    int descriptor;
    Region region = Region::Create({}, &descriptor);
    Message welcome = MakeMessage(MessageKind::kWelcome);
    welcome.region_id = region.id();
    EXPECT_TRUE(Send(fd_, welcome, descriptor));
    EXPECT_TRUE(member_.Until([&] { return member_->reason() == Reason::kNone; }));
    close(descriptor);
    question_ = MakeMessage(MessageKind::kQuestion);
    question_.nonce = kOurs;
  }
  ~LeaderOfOurs() override {
    close(fd_);
    close(listener_);
  }
  // Whether the member hung up over the question.
  bool Refused(const Message& question, int descriptor) {
    EXPECT_TRUE(Send(fd_, question, descriptor));
    Question taken;
    member_.Until([&] {
      return member_->reason() != Reason::kNone || member_->TakeQuestion(&taken);
    });
    return member_->reason() != Reason::kNone;
  }

  int listener_;
  int fd_ = -1;
  Place member_;
  Message question_;
};

TEST_F(LeaderOfOurs, IsHeard) {
  EXPECT_TRUE(Send(fd_, question_, replies_[1]));
  Question taken{};
  EXPECT_TRUE(member_.Until([&] { return member_->TakeQuestion(&taken); }));
  EXPECT_EQ(taken.kind, QuestionKind::kSample);
  EXPECT_FALSE(member_->TakeQuestion(&taken));
  close(taken.reply_to);
}

TEST_F(LeaderOfOurs, IsLeftForAQuestionWithoutADescriptor) {
  EXPECT_TRUE(Refused(question_, -1));
}

TEST_F(LeaderOfOurs, IsLeftForAQuestionThatDoesNotExist) {
  question_.question = static_cast<uint32_t>(QuestionKind::kCount);
  EXPECT_TRUE(Refused(question_, replies_[1]));
}

TEST_F(LeaderOfOurs, IsLeftForAQuestionToSomebodyElse) {
  question_.nonce = kTheirs;
  EXPECT_TRUE(Refused(question_, replies_[1]));
}

TEST_F(LeaderOfOurs, ThatAsksTooMuchIsAnsweredTheLast) {
  for (uint64_t i = 0; i < 5; ++i) {
    question_.argument = i;
    EXPECT_TRUE(Send(fd_, question_, replies_[1]));
  }
  Question taken{};
  int turns = 0;
  member_.Until([&] { return ++turns > 20; });
  for (uint64_t i = 3; i < 5; ++i) {
    ASSERT_TRUE(member_->TakeQuestion(&taken));
    EXPECT_EQ(taken.argument, i);
    close(taken.reply_to);
  }
  EXPECT_FALSE(member_->TakeQuestion(&taken));
}

TEST_F(LeaderOfOurs, ThatAsksTooMuchGoesWithoutTheAnswerThatEndsFirst) {
  for (int64_t deadline : {30, 10, 20}) {
    question_.deadline = deadline;
    EXPECT_TRUE(Send(fd_, question_, replies_[1]));
  }
  int turns = 0;
  member_.Until([&] { return ++turns > 20; });
  Question taken{};
  for (int64_t deadline : {30, 20}) {
    ASSERT_TRUE(member_->TakeQuestion(&taken));
    EXPECT_EQ(taken.deadline, deadline);
    close(taken.reply_to);
  }
  EXPECT_FALSE(member_->TakeQuestion(&taken));
}

}  // namespace
}  // namespace pymalloc_exporter
