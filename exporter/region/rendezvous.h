// How the processes of a listen address find each other: an abstract unix socket, and the
// messages that pass over it.
//
// The name lives and dies with the network namespace, as the port does; whoever can bind
// it leads. Every call is non-blocking; every descriptor is close-on-exec.
//
// A conversation:
//   member  -> Hello      its nonce, slot, region and a challenge
//   leader  -> Welcome    to a peer it trusts by user id: the region's descriptor
//           -> Challenge  to any other, with the proof that it knows the region's key
//   member  -> Proof      that it inherited the region's key; then Welcome
//   member  -> Slot       whenever it has claimed a slot, or found none
//   leader  -> Question   to a member, with the descriptor that takes the answer
// The key itself is never sent.
//
// Thread safety: no state. No GIL, no malloc.

#pragma once

#include <sys/types.h>

#include <cstdint>

#include "exporter/region/region.h"

namespace pymalloc_exporter {

struct MembershipName {
  uid_t uid;         // at install; forked children keep their parent's
  char address[80];  // the listen address, "127.0.0.1:9512"
};

enum class MessageKind : uint32_t {
  kHello,
  kWelcome,
  kChallenge,
  kProof,
  kSlot,
  kQuestion
};

struct Message {
  uint64_t magic;
  uint32_t layout_version;
  MessageKind kind;
  uint64_t nonce;
  uint64_t region_id;  // 0: none
  uint64_t challenge[2];
  uint64_t proof;
  int64_t slot;
  // Of a kQuestion, see Question.
  uint64_t argument;
  int64_t deadline;
  uint32_t question;
};

Message MakeMessage(MessageKind kind);
void DrawChallenge(Message* message);

// The proof that its maker knows `key`; `side` tells leader and member apart, so that no
// answer can be sent back as one's own.
enum class Side : uint64_t { kLeader, kMember };
uint64_t Prove(const RegionKey& key, Side side, const uint64_t challenge[2]);

// A listening socket under the name; -1 with errno: EADDRINUSE where somebody leads.
int ListenUnder(const MembershipName& name);
// A connection to whoever listens there; -1 with errno: ECONNREFUSED where nobody does.
int ConnectTo(const MembershipName& name);

struct Peer {
  uid_t uid;
  pid_t pid;  // as the own pid namespace sees it, else 0
};
// Who is at the other end; false if the kernel does not say.
bool PeerOf(int fd, Peer* peer);
// Whether it runs as the user that this process runs as. The overflow id, which stands
// for users of other namespaces, never does.
bool SameUser(const Peer& peer);

// Sends one message, with `descriptor` unless it is -1; false if it cannot be sent at
// once.
bool Send(int fd, const Message& message, int descriptor);

enum class Received { kMessage, kNothing, kNonsense, kClosed };
// Takes one message and, if one came with it, a descriptor (else -1), which is then the
// caller's. A message of another size, magic or version is kNonsense.
Received Receive(int fd, Message* message, int* descriptor);

}  // namespace pymalloc_exporter
