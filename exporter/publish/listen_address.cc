#include "exporter/publish/listen_address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

#include <cstring>

namespace pymalloc_exporter {
namespace {

constexpr int kMostDescriptors = 1024;

// 0 bytes if the host is no literal.
socklen_t Fill(const ListenAddress& address, sockaddr_storage* out) {
  auto* v4 = reinterpret_cast<sockaddr_in*>(out);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(out);
  *out = {};
  if (inet_pton(AF_INET, address.host, &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(address.port);
    return sizeof *v4;
  }
  if (inet_pton(AF_INET6, address.host, &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(address.port);
    return sizeof *v6;
  }
  return 0;
}

bool ListensOn(int fd, const sockaddr_storage& wanted, socklen_t wanted_bytes) {
  int listening = 0;
  socklen_t bytes = sizeof listening;
  if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &bytes) != 0 || !listening) {
    return false;
  }
  sockaddr_storage name{};
  bytes = sizeof name;
  return getsockname(fd, reinterpret_cast<sockaddr*>(&name), &bytes) == 0 &&
         bytes == wanted_bytes && memcmp(&name, &wanted, bytes) == 0;
}

}  // namespace

int TryToBind(const ListenAddress& address) {
  sockaddr_storage name;
  socklen_t bytes = Fill(address, &name);
  if (bytes == 0) return EINVAL;
  int fd = socket(name.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  // No listen(): a client that came just then would lose its connection, and try again
  // after a second.
  int on = 1;
  bool free = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
              bind(fd, reinterpret_cast<sockaddr*>(&name), bytes) == 0;
  int error = free ? 0 : errno;
  close(fd);
  return error;
}

std::string ListeningPorts(const ListenAddress& address) {
  std::string host = address.host;
  if (host.find(':') != host.npos) host = "[" + host + "]";
  return host + ":" + std::to_string(address.port);
}

void ShutDownListener(const ListenAddress& address) {
  sockaddr_storage name;
  socklen_t bytes = Fill(address, &name);
  for (int fd = 0; fd < kMostDescriptors; ++fd) {
    if (ListensOn(fd, name, bytes)) shutdown(fd, SHUT_RDWR);
  }
}

}  // namespace pymalloc_exporter
