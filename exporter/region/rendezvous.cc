#include "exporter/region/rendezvous.h"

#include <errno.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <cstring>

#include "exporter/region/siphash.h"
#include "exporter/system/clock.h"

namespace pymalloc_exporter {
namespace {

constexpr uint64_t kMessageMagic = 0x6567617373656d70;  // "pmessage"
constexpr uid_t kOverflowUser = 65534;
constexpr int kBacklog = 512;

// More descriptors than one are asked for only so that they can be closed.
constexpr int kMostDescriptors = 8;

struct Address {
  sockaddr_un name;
  socklen_t bytes;
};

Address AbstractAddress(const MembershipName& name) {
  Address address{};
  address.name.sun_family = AF_UNIX;
  // The leading zero byte makes it abstract.
  int length =
      snprintf(address.name.sun_path + 1, sizeof address.name.sun_path - 1,
               "pymalloc_exporter/%u/%u/%s", kLayoutVersion, name.uid, name.address);
  address.bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 +
                                         static_cast<size_t>(length));
  return address;
}

int MakeSocket() {
  return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

int CloseKeepingErrno(int fd) {
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

// The first descriptor of a control message; any others are closed.
int TakeDescriptor(msghdr* header) {
  int taken = -1;
  for (cmsghdr* part = CMSG_FIRSTHDR(header); part != nullptr;
       part = CMSG_NXTHDR(header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd;
      memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
      if (taken < 0) {
        taken = fd;
      } else {
        close(fd);
      }
    }
  }
  return taken;
}

bool Sound(const Message& message, ssize_t bytes, int flags) {
  return bytes == sizeof message && (flags & (MSG_TRUNC | MSG_CTRUNC)) == 0 &&
         message.magic == kMessageMagic && message.layout_version == kLayoutVersion;
}

}  // namespace

Message MakeMessage(MessageKind kind) {
  Message message{};
  message.magic = kMessageMagic;
  message.layout_version = kLayoutVersion;
  message.kind = kind;
  message.slot = kNoSlot;
  return message;
}

void DrawChallenge(Message* message) {
  if (getrandom(message->challenge, sizeof message->challenge, GRND_NONBLOCK) ==
      sizeof message->challenge) {
    return;
  }
  // Before the kernel's pool is ready: new each time is what matters.
  message->challenge[0] = static_cast<uint64_t>(Now());
  message->challenge[1] = static_cast<uint64_t>(getpid());
}

uint64_t Prove(const RegionKey& key, Side side, const uint64_t challenge[2]) {
  uint64_t words[3] = {static_cast<uint64_t>(side), challenge[0], challenge[1]};
  return SipHash(key.words, words, sizeof words);
}

int ListenUnder(const MembershipName& name) {
  int fd = MakeSocket();
  if (fd < 0) return -1;
  Address address = AbstractAddress(name);
  bool listening =
      bind(fd, reinterpret_cast<sockaddr*>(&address.name), address.bytes) == 0 &&
      listen(fd, kBacklog) == 0;
  return listening ? fd : CloseKeepingErrno(fd);
}

int ConnectTo(const MembershipName& name) {
  int fd = MakeSocket();
  if (fd < 0) return -1;
  Address address = AbstractAddress(name);
  bool connected =
      connect(fd, reinterpret_cast<sockaddr*>(&address.name), address.bytes) == 0;
  return connected ? fd : CloseKeepingErrno(fd);
}

bool PeerOf(int fd, Peer* peer) {
  ucred credentials;
  socklen_t bytes = sizeof credentials;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &bytes) != 0) return false;
  *peer = {credentials.uid, credentials.pid};
  return true;
}

bool SameUser(const Peer& peer) {
  return peer.uid == geteuid() && peer.uid != kOverflowUser;
}

bool Send(int fd, const Message& message, int descriptor) {
  iovec body{const_cast<Message*>(&message), sizeof message};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof descriptor)] = {};
  msghdr header{};
  header.msg_iov = &body;
  header.msg_iovlen = 1;
  if (descriptor >= 0) {
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    cmsghdr* part = CMSG_FIRSTHDR(&header);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof descriptor);
    memcpy(CMSG_DATA(part), &descriptor, sizeof descriptor);
  }
  return sendmsg(fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof message;
}

Received Receive(int fd, Message* message, int* descriptor) {
  *descriptor = -1;
  iovec body{message, sizeof *message};
  alignas(cmsghdr) char control[CMSG_SPACE(kMostDescriptors * sizeof(int))];
  msghdr header{};
  header.msg_iov = &body;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  ssize_t bytes = recvmsg(fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (bytes < 0)
    return errno == EAGAIN || errno == EINTR ? Received::kNothing : Received::kClosed;
  *descriptor = TakeDescriptor(&header);
  if (Sound(*message, bytes, header.msg_flags)) return Received::kMessage;
  // The end of the connection is a message of no bytes.
  if (*descriptor >= 0) close(*descriptor);
  *descriptor = -1;
  return bytes == 0 ? Received::kClosed : Received::kNonsense;
}

}  // namespace pymalloc_exporter
