// Real processes that meet at a rendezvous: each drives a Membership as the sampler does.

#include "exporter/region/membership.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <functional>
#include <vector>

#include "exporter/system/clock.h"
#include "tests/unit/samples.h"

namespace pymalloc_exporter {
namespace {

constexpr uid_t kStrangers = 4242;

// What the processes of a test tell of themselves, in memory that they share.
struct Report {
  std::atomic<pid_t> pid;
  std::atomic<bool> leading;
  std::atomic<int> slot;
  std::atomic<Reason> reason;
  std::atomic<uint64_t> region_id;
  std::atomic<uint64_t> ended_announced, ended_unannounced, leader_changes;
  std::atomic<bool> goodbye;  // asked for by the test
};

class Group : public testing::Test {
 protected:
  static constexpr int kMost = 32;

  Group() {
    void* memory = mmap(nullptr, sizeof(Report) * kMost, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    reports_ = static_cast<Report*>(memory);
    name_.uid = geteuid();
    snprintf(name_.address, sizeof name_.address, "test:%d:%ld", getpid(), Now());
  }
  ~Group() override {
    for (int i = 0; i < kMost; ++i) Kill(i, SIGKILL);
    munmap(reports_, sizeof(Report) * kMost);
  }

  // A process that is two seconds old.
  void Start(int index, const std::function<void()>& first = [] {}) {
    reports_[index].slot = kNoSlot;
    reports_[index].leading = false;
    pid_t child = fork();
    if (child == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      first();
      Drive(index);
    }
    reports_[index].pid = child;
  }

  void Kill(int index, int signal) {
    pid_t pid = reports_[index].pid;
    if (pid == 0) return;
    kill(pid, signal);
    if (signal != SIGKILL) return;
    kill(pid, SIGCONT);
    waitpid(pid, nullptr, 0);
    reports_[index].pid = 0;
    reports_[index].leading = false;
    reports_[index].slot = kNoSlot;
  }

  bool Eventually(const std::function<bool()>& holds,
                  Nanoseconds patience = 10 * kSecond) {
    for (Nanoseconds end = Now() + patience; Now() < end; Sleep(kMillisecond)) {
      if (holds()) return true;
    }
    return holds();
  }

  int Leaders() const {
    int leaders = 0;
    for (int i = 0; i < kMost; ++i)
      leaders += reports_[i].pid != 0 && reports_[i].leading;
    return leaders;
  }
  int LeaderIndex() const {
    for (int i = 0; i < kMost; ++i) {
      if (reports_[i].pid != 0 && reports_[i].leading) return i;
    }
    return -1;
  }
  bool AllTogether(int count) const {
    uint64_t region = 0;
    for (int i = 0; i < count; ++i) {
      const Report& report = reports_[i];
      if (report.pid == 0) continue;
      if (report.slot == kNoSlot || report.reason != Reason::kNone) return false;
      if (region != 0 && report.region_id != region) return false;
      region = report.region_id;
    }
    return Leaders() == 1;
  }

  MembershipName name_{};
  Report* reports_;

 private:
  [[noreturn]] void Drive(int index) {
    auto& membership = *new Membership;
    Report& report = reports_[index];
    uint64_t nonce = static_cast<uint64_t>(Now()) << 8 | static_cast<uint64_t>(index);
    Sample sample = HealthySample(nonce);
    membership.Configure(name_, nonce, Now() - 2 * kSecond);
    membership.Open(Now());
    std::vector<pollfd> fds(kMaxConnections + 1);
    for (;;) {
      int count = membership.Watch(fds.data(), Now());
      Nanoseconds pause = std::min(membership.Deadline() - Now(), 20 * kMillisecond);
      timespec timeout = ToTimespec(std::max<Nanoseconds>(pause, 0));
      ppoll(fds.data(), static_cast<nfds_t>(count), &timeout, nullptr);
      membership.Handle(fds.data(), count, Now());
      membership.Publish(sample, Now());
      membership.SetGoodbye(report.goodbye);
      Tell(membership, report);
    }
  }

  static void Tell(const Membership& membership, Report& report) {
    report.slot = membership.slot();
    report.reason = membership.reason();
    report.leading = membership.leading();
    Region region = membership.region();
    if (!region.mapped()) return;
    report.region_id = region.id();
    report.ended_announced = region.counters().ended_announced.load();
    report.ended_unannounced = region.counters().ended_unannounced.load();
    report.leader_changes = region.counters().leader_changes.load();
  }
};

TEST_F(Group, TurnsBeginBehindTheLeaderThatEnded) {
  constexpr int kCount = 16;
  Start(0);
  ASSERT_TRUE(Eventually([&] { return Leaders() == 1; }));
  for (int i = 1; i < kCount; ++i) Start(i);
  ASSERT_TRUE(Eventually([&] { return AllTogether(kCount); }));
  Kill(0, SIGKILL);
  ASSERT_TRUE(Eventually([&] {
    int leader = LeaderIndex();
    return leader > 0 && reports_[leader].ended_unannounced == 1;
  }));
  Start(0);
  ASSERT_TRUE(Eventually([&] { return AllTogether(kCount); }));
  ASSERT_EQ(reports_[0].slot, 0);
  Kill(LeaderIndex(), SIGKILL);
  ASSERT_TRUE(Eventually([&] { return Leaders() == 1; }));
  EXPECT_NE(LeaderIndex(), 0);
}

TEST_F(Group, ElectsOneLeaderAndSharesOneRegion) {
  for (int i = 0; i < 16; ++i) Start(i);
  EXPECT_TRUE(Eventually([&] { return AllTogether(16); }));
}

TEST_F(Group, OutlivesItsLeadersAndKeepsItsSlots) {
  constexpr int kCount = 12;
  for (int i = 0; i < kCount; ++i) Start(i);
  ASSERT_TRUE(Eventually([&] { return AllTogether(kCount); }));
  int slots[kCount];
  for (int i = 0; i < kCount; ++i) slots[i] = reports_[i].slot;
  for (int round = 0; round < kCount - 1; ++round) {
    Kill(LeaderIndex(), SIGKILL);
    ASSERT_TRUE(Eventually([&] { return AllTogether(kCount); })) << round;
  }
  int last = LeaderIndex();
  EXPECT_EQ(reports_[last].slot, slots[last]);
  EXPECT_TRUE(Eventually([&] { return reports_[last].ended_unannounced == kCount - 1; }));
  EXPECT_EQ(reports_[last].leader_changes, kCount - 1u);
}

TEST_F(Group, FreesTheSlotOfAKilledMember) {
  for (int i = 0; i < 3; ++i) Start(i);
  ASSERT_TRUE(Eventually([&] { return AllTogether(3); }));
  int victim = (LeaderIndex() + 1) % 3;
  Kill(victim, SIGKILL);
  EXPECT_TRUE(Eventually([&] { return reports_[LeaderIndex()].ended_unannounced == 1; },
                         2 * kSecond));
}

TEST_F(Group, CountsAnEndThatWasAnnounced) {
  for (int i = 0; i < 3; ++i) Start(i);
  ASSERT_TRUE(Eventually([&] { return AllTogether(3); }));
  int leaver = (LeaderIndex() + 1) % 3;
  reports_[leaver].goodbye = true;
  Sleep(100 * kMillisecond);
  Kill(leaver, SIGKILL);
  EXPECT_TRUE(Eventually([&] { return reports_[LeaderIndex()].ended_announced == 1; },
                         2 * kSecond));
  EXPECT_EQ(reports_[LeaderIndex()].ended_unannounced, 0u);
}

TEST_F(Group, SaysThatAStoppedLeaderIsSilentAndComesBackToIt) {
  Start(0);
  ASSERT_TRUE(Eventually([&] { return AllTogether(1); }));
  Kill(0, SIGSTOP);
  Start(1);
  EXPECT_TRUE(Eventually([&] { return reports_[1].reason == Reason::kLeaderSilent; }));
  Kill(0, SIGCONT);
  EXPECT_TRUE(Eventually([&] { return AllTogether(2); }));
}

TEST_F(Group, RefusesAStrangerWhoThenStandsAlone) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to become somebody else";
  Start(0);
  ASSERT_TRUE(Eventually([&] { return AllTogether(1); }));
  Start(1, [] { ASSERT_EQ(setuid(kStrangers), 0); });
  EXPECT_TRUE(Eventually([&] { return reports_[1].reason == Reason::kNameTaken; }));
  EXPECT_TRUE(Eventually([&] { return reports_[1].leading && reports_[1].slot == 0; }));
  EXPECT_NE(reports_[1].region_id, reports_[0].region_id);
  EXPECT_TRUE(reports_[0].leading && reports_[0].reason == Reason::kNone);
}

// The part of a leader that hands over something that is no region.
void ListenFalsely(const MembershipName& name) {
  int listener = ListenUnder(name);
  for (;;) {
    Sleep(kMillisecond);
    int fd = accept(listener, nullptr, nullptr);
    if (fd < 0) continue;
    Sleep(10 * kMillisecond);
    Message welcome = MakeMessage(MessageKind::kWelcome);
    Send(fd, welcome, memfd_create("false", MFD_CLOEXEC));
  }
}

TEST_F(Group, IsNotTakenInByAFalseRegion) {
  pid_t impostor = fork();
  if (impostor == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    ListenFalsely(name_);
  }
  Sleep(100 * kMillisecond);
  Start(0);
  EXPECT_TRUE(Eventually([&] { return reports_[0].reason == Reason::kRefused; }));
  EXPECT_TRUE(Eventually([&] { return reports_[0].slot == 0; }));
  kill(impostor, SIGKILL);
  waitpid(impostor, nullptr, 0);
}

TEST_F(Group, BearsGarbageAndFloods) {
  for (int i = 0; i < 2; ++i) Start(i);
  ASSERT_TRUE(Eventually([&] { return AllTogether(2); }));
  std::vector<int> held;
  for (int i = 0; i < 900; ++i) {
    int fd = ConnectTo(name_);
    if (fd < 0) continue;
    char garbage[200] = "no hello";
    if (i % 3 == 0) send(fd, garbage, static_cast<size_t>(i % 200), MSG_NOSIGNAL);
    if (i % 3 == 1) {
      // A message with many descriptors, which nobody asked for.
      Message hello = MakeMessage(MessageKind::kHello);
      hello.magic = 0;
      Send(fd, hello, 0);
    }
    held.push_back(fd);
  }
  Start(2);
  EXPECT_TRUE(Eventually([&] { return AllTogether(3); }));
  for (int fd : held) close(fd);
}

}  // namespace
}  // namespace pymalloc_exporter
