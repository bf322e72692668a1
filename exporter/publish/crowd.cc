#include "exporter/publish/crowd.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>

namespace pymalloc_exporter {
namespace {

// Of the one server of this process: those that wait for a thread included.
std::atomic<int> connections{0};

bool Listens(int fd) {
  int listens = 0;
  socklen_t bytes = sizeof listens;
  return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &bytes) == 0 && listens;
}

}  // namespace

void ForgetConnections() { connections = 0; }
void CountOut() { --connections; }

}  // namespace pymalloc_exporter

using namespace pymalloc_exporter;

extern "C" int pymalloc_exporter_accept(int listener, sockaddr* name, socklen_t* bytes) {
  int fd = accept4(listener, name, bytes, SOCK_CLOEXEC);
  if (fd >= 0) ++connections;
  return fd;
}

extern "C" int pymalloc_exporter_poll(pollfd* fds, nfds_t count, int milliseconds) {
  constexpr int kPatience = static_cast<int>(kCrowdedPatience / kMillisecond);
  bool reads = count == 1 && (fds[0].events & POLLIN) != 0;
  if (!reads || milliseconds <= kPatience) return poll(fds, count, milliseconds);
  int ready = poll(fds, count, kPatience);
  if (ready != 0) return ready;
  if (connections > kServerThreads && !Listens(fds[0].fd)) {
    errno = ECONNRESET;
    return -1;
  }
  return poll(fds, count, milliseconds - kPatience);
}
