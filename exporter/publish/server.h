// The HTTP server of the leader: /metrics, /, /-/healthy, /-/ready, and 404.
//
// civetweb, driven directly. Its threads block every signal, read the region only, take no
// lock shared with the application and never the GIL.

#pragma once

#include <cstdint>

#include "exporter/region/region.h"

namespace pymalloc_exporter {

struct ListenAddress {
  char host[64];  // as given: "127.0.0.1", "0.0.0.0", "::1" or "localhost"
  uint16_t port;
};

enum class ServerStart {
  kServing,
  kPortTaken,  // somebody else listens there: try again later
  kFailed,     // see error
};

class Server {
 public:
  // Starts to serve `region`, which has to stay mapped until Stop(). All signals have to be
  // blocked in the calling thread; the server's threads share its descriptor table.
  // `error` receives one line (at most 200 bytes) unless kServing.
  ServerStart Start(const ListenAddress& address, const Region& region, char* error);

  // Ends the server and waits for its threads: some milliseconds, at most a second. Not in a
  // forked child: there Forget() it.
  void Stop();
  void Forget();

  bool serving() const { return context_ != nullptr; }

  // CPU time of the server's threads since the first Start(), those that ended included.
  double cpu_seconds() const;

 private:
  void* context_ = nullptr;
};

}  // namespace pymalloc_exporter
