#include "exporter/region/leader.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "exporter/system/descriptors.h"

namespace pymalloc_exporter {
namespace {

// So many refusals within a second are somebody's loop: after each so many nobody is
// heard for a while, which keeps them to a tenth of a core. It is short, since others
// wait behind them in the listener's queue.
constexpr int kMostRefusals = 100;
constexpr Nanoseconds kDeafTime = 10 * kMillisecond;

// Until a listener is looked at again for which there was no descriptor or memory.
constexpr Nanoseconds kScarcePause = 100 * kMillisecond;

constexpr int kAcceptsAtOnce = 64;

// Connections, those of the server and the rest.
constexpr int kDescriptors = 1024;

// How often those that are settled are visited, and where there is no room for others.
// Nobody waits for their hang-ups: a member's thread ends at each of its forks, and the
// fork would wait for the leader to wake.
constexpr Nanoseconds kVisitPause = 250 * kMillisecond;
constexpr Nanoseconds kCrowdedVisitPause = 10 * kMillisecond;

// A member says no more than that between two visits, unless it has gone wild.
constexpr int kMostHeard = 8;

// How often slots are looked through when nothing happens, and while somebody is suspect.
constexpr Nanoseconds kQuietAudit = 2 * kSecond;

}  // namespace

void Leader::Begin(int listener, const Region& region, int descriptor, uint64_t nonce) {
  // The server's threads will share the table.
  MakeRoomForDescriptors(listener, kDescriptors);
  listener_ = listener;
  region_ = region;
  descriptor_ = descriptor;
  own_nonce_ = nonce;
  for (Suspect& suspect : suspects_) suspect = {};
  deadline_ = visited_at_ = accept_again_ = refusals_since_ = 0;
  refusals_ = 0;
}

void Leader::End() {
  if (listener_ >= 0) close(listener_);
  for (Connection& connection : Used()) {
    if (connection.stage != Stage::kFree) close(connection.fd);
  }
  Forget();
}

void Leader::Forget() {
  listener_ = -1;
  for (Connection& connection : Used()) connection = {};
  used_connections_ = 0;
}

bool Leader::Forward(const Question& question) const {
  uint64_t nonce = region_.Owner(question.worker);
  const Connection* member = MemberAt(question.worker, nonce);
  if (nonce == 0 || member == nullptr) return false;
  Message message = MakeMessage(MessageKind::kQuestion);
  message.nonce = nonce;
  message.slot = question.worker;
  message.question = static_cast<uint32_t>(question.kind);
  message.argument = question.argument;
  message.deadline = question.deadline;
  return Send(member->fd, message, question.reply_to);
}

bool Leader::HasMembers(Nanoseconds now) {
  VisitSettled(now);
  std::span<const Connection> used = Used();
  return std::any_of(used.begin(), used.end(),
                     [](const Connection& c) { return c.stage == Stage::kMember; });
}

int Leader::Watch(pollfd* fds, Nanoseconds now) const {
  int count = 0;
  if (now >= accept_again_) fds[count++] = {listener_, POLLIN, 0};
  for (const Connection& connection : Used()) {
    if (connection.stage != Stage::kFree && !connection.settled())
      fds[count++] = {connection.fd, POLLIN | POLLRDHUP, 0};
  }
  return count;
}

void Leader::Handle(const pollfd* fds, int count, Nanoseconds now) {
  for (int i = 0; i < count; ++i) {
    if (fds[i].revents == 0 || fds[i].fd == listener_) continue;
    Connection* connection = ConnectionOf(fds[i].fd);
    if (connection != nullptr) Hear(*connection, now);
  }
  if (now >= visited_at_ + kVisitPause) VisitSettled(now);
  if (count > 0 && fds[0].fd == listener_ && fds[0].revents != 0) Accept(now);
  DropLate(now);
  Audit(now);
}

void Leader::VisitSettled(Nanoseconds now) {
  visited_at_ = now;
  pollfd fds[kMaxConnections];
  int count = 0;
  for (const Connection& connection : Used()) {
    if (connection.settled()) fds[count++] = {connection.fd, POLLIN | POLLRDHUP, 0};
  }
  if (count == 0 || poll(fds, static_cast<nfds_t>(count), 0) <= 0) return;
  for (int i = 0; i < count; ++i) {
    if (fds[i].revents == 0) continue;
    Connection* connection = ConnectionOf(fds[i].fd);
    if (connection == nullptr) continue;
    // What it has to say may stand before its end.
    for (int heard = 0; heard < kMostHeard && Hear(*connection, now);) ++heard;
  }
}

Leader::Connection* Leader::FreeConnection() {
  for (Connection& connection : Used()) {
    if (connection.stage == Stage::kFree) return &connection;
  }
  return used_connections_ == kMaxConnections ? nullptr
                                              : &connections_[used_connections_++];
}

Leader::Connection* Leader::ConnectionOf(int fd) {
  for (Connection& connection : Used()) {
    if (connection.stage != Stage::kFree && connection.fd == fd) return &connection;
  }
  return nullptr;
}

void Leader::Accept(Nanoseconds now) {
  for (int i = 0; i < kAcceptsAtOnce && now >= accept_again_; ++i) {
    int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
      // Out of descriptors or memory: the listener stays readable, so look away for a
      // while.
      if (errno != EAGAIN && errno != ECONNABORTED) accept_again_ = now + kScarcePause;
      return;
    }
    Connection* connection = FreeConnection();
    if (connection == nullptr && now >= visited_at_ + kCrowdedVisitPause) {
      VisitSettled(now);
      connection = FreeConnection();
    }
    if (connection == nullptr) {
      close(fd);
      Refuse(now);
      continue;
    }
    *connection = {};
    connection->fd = fd;
    connection->stage = Stage::kAwaitHello;
    connection->deadline = now + kHelloPatience;
    // The hello is mostly there already.
    Hear(*connection, now);
  }
}

bool Leader::Hear(Connection& connection, Nanoseconds now) {
  Message message;
  int descriptor;
  Received received = Receive(connection.fd, &message, &descriptor);
  // Nobody has a descriptor to give to the leader.
  if (descriptor >= 0) close(descriptor);
  if (received == Received::kNothing) return false;
  if (received == Received::kMessage && Answer(connection, message, now)) return true;
  Drop(connection, now);
  return false;
}

bool Leader::Answer(Connection& connection, const Message& message, Nanoseconds now) {
  switch (message.kind) {
    case MessageKind::kHello:
      return connection.stage == Stage::kAwaitHello &&
             AnswerHello(connection, message, now);
    case MessageKind::kProof:
      return connection.stage == Stage::kAwaitProof &&
             message.proof == Prove(region_.key(), Side::kMember, connection.challenge) &&
             Welcome(connection, now);
    case MessageKind::kSlot:
      if (connection.stage != Stage::kMember) return false;
      connection.slot = static_cast<int>(message.slot);
      connection.without_slot = connection.slot == kNoSlot;
      return true;
    default:
      return false;
  }
}

bool Leader::AnswerHello(Connection& connection, const Message& message,
                         Nanoseconds now) {
  Peer peer;
  if (!PeerOf(connection.fd, &peer)) return false;
  connection.nonce = message.nonce;
  connection.slot = static_cast<int>(message.slot);
  if (SameUser(peer)) return Welcome(connection, now);
  Message challenge = MakeMessage(MessageKind::kChallenge);
  DrawChallenge(&challenge);
  std::copy_n(challenge.challenge, 2, connection.challenge);
  challenge.region_id = region_.id();
  challenge.proof = Prove(region_.key(), Side::kLeader, message.challenge);
  connection.stage = Stage::kAwaitProof;
  connection.deadline = now + kHelloPatience;
  return Send(connection.fd, challenge, -1);
}

bool Leader::Welcome(Connection& connection, Nanoseconds now) {
  DropFormer(connection, now);
  Message welcome = MakeMessage(MessageKind::kWelcome);
  welcome.region_id = region_.id();
  connection.stage = Stage::kMember;
  return Send(connection.fd, welcome, descriptor_);
}

// A process that comes back after a fork: its connection of before has ended, though
// nobody has looked since. (Whoever is welcome could say another's nonce; that one would
// come back, and drop him.)
void Leader::DropFormer(const Connection& again, Nanoseconds now) {
  for (Connection& connection : Used()) {
    if (&connection != &again && connection.stage == Stage::kMember &&
        connection.nonce == again.nonce) {
      Drop(connection, now);
    }
  }
}

void Leader::Drop(Connection& connection, Nanoseconds now) {
  if (connection.stage != Stage::kMember) Refuse(now);
  close(connection.fd);
  connection = {};
  while (used_connections_ > 0 &&
         connections_[used_connections_ - 1].stage == Stage::kFree) {
    --used_connections_;
  }
}

void Leader::Refuse(Nanoseconds now) {
  if (now - refusals_since_ > kSecond) {
    refusals_since_ = now;
    refusals_ = 0;
  }
  if (++refusals_ < kMostRefusals) return;
  refusals_ = 0;
  accept_again_ = now + kDeafTime;
}

void Leader::DropLate(Nanoseconds now) {
  for (Connection& connection : Used()) {
    bool waiting =
        connection.stage == Stage::kAwaitHello || connection.stage == Stage::kAwaitProof;
    if (waiting && now >= connection.deadline) Drop(connection, now);
  }
}

const Leader::Connection* Leader::MemberAt(int slot, uint64_t nonce) const {
  for (const Connection& c : Used()) {
    if (c.stage == Stage::kMember && c.slot == slot && c.nonce == nonce) return &c;
  }
  return nullptr;
}

void Leader::Ended(int slot, uint64_t nonce) {
  bool announced = region_.Goodbye(slot);
  if (!region_.Release(slot, nonce)) return;
  EndpointCounters& counters = region_.counters();
  ++(announced ? counters.ended_announced : counters.ended_unannounced);
}

void Leader::Audit(Nanoseconds now) {
  deadline_ = now + kQuietAudit;
  uint64_t without_slot = 0;
  for (const Connection& connection : Used()) {
    if (connection.settled()) deadline_ = std::min(deadline_, visited_at_ + kVisitPause);
    if (connection.stage == Stage::kMember && connection.without_slot) ++without_slot;
    bool waiting =
        connection.stage == Stage::kAwaitHello || connection.stage == Stage::kAwaitProof;
    if (waiting) deadline_ = std::min(deadline_, connection.deadline);
  }
  region_.counters().processes_without_slot = without_slot;
  if (accept_again_ > now) deadline_ = std::min(deadline_, accept_again_);
  for (int slot = 0; slot < kSlots; ++slot) {
    Suspect& suspect = suspects_[slot];
    uint64_t nonce = region_.Owner(slot);
    if (nonce == 0 || nonce == own_nonce_ || MemberAt(slot, nonce) != nullptr) {
      if (suspect.nonce != 0) suspect = {};
      continue;
    }
    if (suspect.nonce != nonce) suspect = {nonce, now};
    Nanoseconds end = suspect.since + (region_.Goodbye(slot) ? 0 : kSuspectGrace);
    if (now >= end) {
      Ended(slot, nonce);
      suspect = {};
    } else {
      deadline_ = std::min(deadline_, end);
    }
  }
}

}  // namespace pymalloc_exporter
