// The leader's side: who is connected, who may be, and whose slot has to be freed.
//
// A slot whose holder has no connection for kSuspectGrace has ended: one rule, which
// covers a killed member, one that was killed before it connected, and those that a new
// leader finds. The ends of members with a slot are looked for, and not waited for: each
// of their forks ends a connection, and would wait for the leader to wake.
//
// On the sampler's thread. No GIL, no malloc; every call returns at once.

#pragma once

#include <poll.h>

#include <span>

#include "exporter/region/question_desk.h"
#include "exporter/region/region.h"
#include "exporter/region/rendezvous.h"
#include "exporter/system/clock.h"

namespace pymalloc_exporter {

inline constexpr int kMaxConnections = 640;
inline constexpr Nanoseconds kSuspectGrace = 500 * kMillisecond;
inline constexpr Nanoseconds kHelloPatience = kSecond;

class Leader {
 public:
  // Leads with a listening socket, a region and its descriptor; `nonce` is the own
  // process'.
  void Begin(int listener, const Region& region, int descriptor, uint64_t nonce);
  // Closes the listener and every connection.
  void End();
  // In a forked child: descriptors stayed behind in the parent.
  void Forget();

  // Descriptors to poll; at most kMaxConnections + 1.
  int Watch(pollfd* fds, Nanoseconds now) const;
  void Handle(const pollfd* fds, int count, Nanoseconds now);
  Nanoseconds Deadline() const { return deadline_; }

  // Sends a question on to the member that holds the slot question.worker; false if there
  // is none, or it takes nothing now. The descriptor stays the caller's.
  bool Forward(const Question& question) const;

  // Whether some other process is connected, so that it could lead.
  bool HasMembers(Nanoseconds now);

 private:
  enum class Stage { kFree, kAwaitHello, kAwaitProof, kMember };
  struct Connection {
    int fd = -1;
    Stage stage = Stage::kFree;
    Nanoseconds deadline = 0;  // of the stage
    uint64_t challenge[2] = {};
    uint64_t nonce = 0;
    int slot = kNoSlot;
    bool without_slot = false;  // it looked for one in vain

    // It has nothing more to say but its end.
    bool settled() const {
      return stage == Stage::kMember && (slot != kNoSlot || without_slot);
    }
  };
  struct Suspect {
    uint64_t nonce = 0;
    Nanoseconds since = 0;
  };

  std::span<Connection> Used() {
    return {connections_, static_cast<size_t>(used_connections_)};
  }
  std::span<const Connection> Used() const {
    return {connections_, static_cast<size_t>(used_connections_)};
  }

  void Accept(Nanoseconds now);
  Connection* FreeConnection();
  Connection* ConnectionOf(int fd);
  void VisitSettled(Nanoseconds now);
  // True if there was a message that made sense: there may be more.
  bool Hear(Connection& connection, Nanoseconds now);
  bool Answer(Connection& connection, const Message& message, Nanoseconds now);
  bool AnswerHello(Connection& connection, const Message& message, Nanoseconds now);
  bool Welcome(Connection& connection, Nanoseconds now);
  void DropFormer(const Connection& again, Nanoseconds now);
  void Drop(Connection& connection, Nanoseconds now);
  void Refuse(Nanoseconds now);
  void DropLate(Nanoseconds now);
  void Audit(Nanoseconds now);
  const Connection* MemberAt(int slot, uint64_t nonce) const;
  void Ended(int slot, uint64_t nonce);

  int listener_ = -1;
  int descriptor_ = -1;
  Region region_;
  uint64_t own_nonce_ = 0;
  Connection connections_[kMaxConnections];
  int used_connections_ = 0;  // all behind these are free
  Suspect suspects_[kSlots];
  Nanoseconds deadline_ = 0;
  Nanoseconds visited_at_ = 0;
  Nanoseconds accept_again_ = 0;
  Nanoseconds refusals_since_ = 0;
  int refusals_ = 0;
};

}  // namespace pymalloc_exporter
