// The HTTP server of the leader: /metrics, /, /-/healthy, /-/ready, /api/v1, and 404.
//
// civetweb, driven directly. Its threads block every signal, read the region only, take
// no lock shared with the application and never the GIL. They do use malloc.
//
// Start, Stop and Forget on one thread; cpu_seconds() on any.

#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>

#include "exporter/publish/api.h"
#include "exporter/publish/listen_address.h"
#include "exporter/region/region.h"

struct mg_context;

namespace pymalloc_exporter {

enum class ServerStart {
  kServing,
  kPortTaken,  // somebody else listens there: try again later
  kFailed,     // see error
};

inline constexpr size_t kServerErrorBytes = 200;

class Server {
 public:
  // Before the first Start(): the desk that workers are asked at, which has to be open
  // while it serves, and who may apply remedies.
  void Offer(QuestionDesk* desk, RemedyAccess remedies) {
    terms_.desk = desk;
    terms_.remedies = remedies;
  }

  // Starts to serve `region`, which has to stay mapped until Stop(). All signals have to
  // be blocked in the calling thread; the server's threads share its descriptor table.
  // `error` (kServerErrorBytes) receives one line unless kServing.
  ServerStart Start(const ListenAddress& address, const Region& region, char* error);

  // Ends the server and waits for its threads: some milliseconds, with a slow client at
  // most a second. Not in a forked child: there Forget() it, with its threads and their
  // times.
  void Stop();
  void Forget();

  bool serving() const { return context_ != nullptr; }

  // CPU time of the server's threads since the first Start(), those that ended included.
  double cpu_seconds() const;

 private:
  friend class ServerCallbacks;
  static constexpr int kMostThreads = 8;

  mg_context* context_ = nullptr;
  Region region_;
  ApiTerms terms_;
  std::atomic<int> clocks_[kMostThreads] = {};  // clockid_t of each thread, 0: none
  std::atomic<int64_t> ended_nanoseconds_{0};
  pthread_t starter_{};
  char last_message_[kServerErrorBytes] = "";
};

}  // namespace pymalloc_exporter
