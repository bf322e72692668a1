// A process' place among the processes of its listen address: it leads or it is a member.
//
// Whoever can bind the abstract unix socket leads: it makes the region if there is none,
// hands it to members and learns of their end from the hang-up of their connection. The
// others learn of the leader's end the same way, and race for the name.
//
// Where no endpoint can be shared (the name squatted by another user, no abstract
// sockets, no memfd), a process leads for itself alone, with a region of its own, and
// says why.
//
// An event-driven state machine without a thread, a lock or a blocking call of its own:
// the sampler's thread polls what Watch() names and calls Handle(). All descriptors
// belong to that thread's descriptor table. Nothing is allocated from the C heap. No GIL.
// Times are CLOCK_MONOTONIC.

#pragma once

#include <poll.h>
#include <sys/types.h>

#include <atomic>
#include <cstdint>

#include "exporter/region/leader.h"
#include "exporter/region/region.h"
#include "exporter/region/rendezvous.h"
#include "exporter/system/clock.h"

namespace pymalloc_exporter {

class Membership {
 public:
  // REQUIRES: one instance per process, in memory that lives for ever (it is large).
  Membership() = default;

  // Before the first Open(), on any thread.
  void Configure(const MembershipName& name, uint64_t nonce, Nanoseconds born);

  // On the sampler's thread: begins to connect, or goes on with a region that is already
  // mapped (after a fork, a restart of the thread).
  void Open(Nanoseconds now);

  // On the sampler's thread, before it ends: ceases to lead. Keeps region and slot. What
  // else is open ends with the thread's own descriptor table: the kernel takes 30
  // microseconds to close the connection, meanwhile whoever waits for the thread (a fork)
  // is woken. The caller has stopped the server before.
  void Cease();
  // The same in a thread whose table lives on.
  void Close();

  // In a forked child, before its sampler starts: another process, no slot, the same
  // region.
  void BecomeChild(uint64_t nonce, Nanoseconds born);

  // This process forked just now: it takes the lead only if no other can. On any thread.
  void NoteFork(Nanoseconds now) { forked_at_ = now; }
  Nanoseconds forked_at() const { return forked_at_; }

  // Descriptors to poll; returns how many of `fds` were filled (at most kMaxConnections +
  // 1).
  int Watch(pollfd* fds, Nanoseconds now) const;
  // When Handle() wants to be called again at the latest.
  Nanoseconds Deadline() const;
  // Answers what poll() reported in the array that Watch() filled, and what is due.
  void Handle(const pollfd* fds, int count, Nanoseconds now);

  bool leading() const { return state_ == State::kLeading || state_ == State::kAlone; }
  // The region that slots are in. A server may read it for as long as this process leads,
  // and until the next region after that is mapped.
  Region region() const { return region_; }
  int slot() const { return slot_; }

  // Adds a question to those of this process, which then has the descriptor.
  void Keep(const Question& question);
  // A question that the leader asked this process: the oldest that was not taken yet, of
  // those that may be taken now.
  enum class Take { kAny, kNoRemedy };
  bool TakeQuestion(Question* question, Take which = Take::kAny);
  // See Leader::Forward; false where this process leads nobody.
  bool Forward(const Question& question) const;

  // Writes into the own slot; claims one first once the process is a second old.
  void Publish(const Sample& sample, Nanoseconds now);

  // kNone for a member or leader; else what keeps it apart. holder_pid() is then the
  // process that holds the name, as this pid namespace sees it, or 0.
  Reason reason() const;
  pid_t holder_pid() const { return holder_pid_; }

  // The own slot's goodbye flag (see Region). On any thread.
  void SetGoodbye(bool goodbye);

 private:
  enum class State {
    kSeeking,   // tries at next_try_
    kGreeting,  // connected, not yet welcome
    kMember,
    kLeading,
    kAlone,  // leads for itself; tries to join the others at next_try_
  };

  Nanoseconds LeadFrom(Nanoseconds now) const;
  void Seek(Nanoseconds now);
  void Try(Nanoseconds now);
  void Greet(int fd, Nanoseconds now);
  bool TryToLead(Nanoseconds now);
  bool HaveRegion();
  void Hear(Nanoseconds now);
  bool Answer(const Message& message, int descriptor, Nanoseconds now);
  bool AnswerChallenge(const Message& message);
  bool AnswerWelcome(const Message& message, int descriptor);
  bool KeepQuestion(const Message& message, int descriptor);
  void Remove(Question* question);
  void MoveTo(const Region& region);
  void HoldDescriptor(int descriptor);
  void LoseLeader(Nanoseconds now);
  void StandApart(Reason reason, Nanoseconds now);
  void TellSlot();
  void Hang();

  MembershipName name_{};
  std::atomic<uint64_t> nonce_{0};
  Nanoseconds born_ = 0;
  std::atomic<Nanoseconds> forked_at_{0};  // 0: never

  State state_ = State::kSeeking;
  Nanoseconds next_try_ = 0;
  Nanoseconds pause_ = 0;      // between tries in a race for the lead
  Nanoseconds back_off_ = 0;   // after a refusal or a silence
  Nanoseconds lead_from_ = 0;  // until then others go first
  bool alone_before_ = false;  // led without members when it last closed
  Reason trouble_ = Reason::kNone;
  pid_t holder_pid_ = 0;
  int hang_ups_ = 0;  // in a row, in place of a welcome

  int connection_ = -1;  // to the leader
  uint64_t challenge_[2] = {};
  bool leader_trusted_ = false;  // same user, or it proved the region's key
  int descriptor_ = -1;          // of region_, for those who join when this process leads
  // Of region_; before the first one, the key that it will have if this process or a
  // child makes it. Children inherit it, and may have another user by the time they need
  // it.
  RegionKey key_{};
  std::atomic<Region> region_{};
  Region previous_;  // unmapped when the next one comes: a thread may still be in it
  std::atomic<int> slot_{kNoSlot};
  int last_slot_ = kNoSlot;
  bool without_slot_ = false;
  Question questions_[kMostAtOnce];
  int question_count_ = 0;
  Leader leader_;
};

}  // namespace pymalloc_exporter
