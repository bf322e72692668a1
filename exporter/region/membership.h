// A process' place among the processes of its listen address: it leads or it is a member.
//
// Whoever can bind the abstract unix socket leads: it makes the region if there is none,
// hands it to members (SCM_RIGHTS) and learns of their end from the hang-up of their
// connection. The others learn of the leader's end the same way, and race for the name.
//
// An event-driven state machine without a thread, a lock or a blocking call of its own: the
// sampler's thread polls what Watch() names and calls Handle(). All descriptors belong to
// that thread's descriptor table. Nothing is allocated from the C heap. No GIL.

#pragma once

#include <poll.h>
#include <sys/types.h>

#include <atomic>
#include <cstdint>

#include "exporter/region/region.h"
#include "exporter/system/clock.h"

namespace pymalloc_exporter {



inline constexpr Nanoseconds kSuspectGrace = 500'000'000;   // hang-up to "has ended"
inline constexpr Nanoseconds kHelloPatience = 1'000'000'000;  // connect to welcome
inline constexpr int kMaxConnections = 640;

struct MembershipName {
  uid_t uid;            // at install; forked children keep their parent's
  char address[80];     // the listen address, "127.0.0.1:9512"
};

class Membership {
 public:
  // REQUIRES: one instance per process, in memory that lives for ever (it is large).
  Membership() = default;

  // Before the first Open(), on any thread.
  void Configure(const MembershipName& name, uint64_t nonce, Nanoseconds born);

  // On the sampler's thread, with an own descriptor table: begin to connect, or go on with
  // a region that is already mapped (after a fork, a restart of the thread).
  void Open(Nanoseconds now);

  // On the sampler's thread, before it ends: closes all descriptors. Keeps the region.
  // Stops leading. The caller has stopped the server before.
  void Close();

  // In a forked child, before its sampler starts: another process (`nonce`, `born`), no
  // slot, the same region. Touches no descriptor.
  void BecomeChild(uint64_t nonce, Nanoseconds born);

  // This process forked just now: it takes the lead only if no other can.
  void NoteFork(Nanoseconds now);

  // Descriptors to poll; returns how many of `fds` were filled (at most kMaxConnections + 1).
  int Watch(pollfd* fds) const;
  // When Handle() wants to be called again at the latest.
  Nanoseconds Deadline() const;
  // Answers what poll() reported in the array that Watch() filled, and what is due.
  void Handle(const pollfd* fds, int count, Nanoseconds now);

  bool leading() const;
  // The region that slots are in. A server's threads may read it while this process leads.
  const Region& region() const;
  int slot() const;
  // Writes into the own slot, claims one first where it is time (one second of life).
  void Publish(const Sample& sample, Nanoseconds now);
  // kNone while a member or leader with a slot.
  Reason reason() const;
  // The pid that holds the name when reason() is kNameTaken, kRefused or kLeaderSilent,
  // as this process' pid namespace sees it; 0 if unknown.
  pid_t holder_pid() const;

  // From any thread of this process: the own slot's goodbye flag (see Region).
  void SetGoodbye(bool goodbye);

  // ... private state: region/membership.cc's author completes this.
};

}  // namespace pymalloc_exporter
