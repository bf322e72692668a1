// The address that is listened on, as the socket calls have it.
//
// Thread safety: pure but for the sockets. No GIL.

#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>

namespace pymalloc_exporter {

struct ListenAddress {
  char host[64];  // as a literal: "127.0.0.1", "0.0.0.0", "::1"
  uint16_t port;
};

// 0 if nobody listens on the address and it can be had, else the error (errno); EINVAL:
// no literal.
int TryToBind(const ListenAddress& address);

// As civetweb's option listening_ports has it: "127.0.0.1:9512", "[::1]:9512".
std::string ListeningPorts(const ListenAddress& address);

// Ends the wait of whoever polls the listening socket of this address, if it is among the
// first 1024 descriptors of the calling thread's table. It listens no more afterwards.
void ShutDownListener(const ListenAddress& address);

}  // namespace pymalloc_exporter
