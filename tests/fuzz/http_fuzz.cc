// The server itself, civetweb included: whatever a client sends, it gets an answer of
// HTTP or none, and the next one is served.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include "exporter/publish/server.h"
#include "tests/fuzz/fuzz.h"

using namespace pymalloc_exporter;

namespace {

class Service {
 public:
  Service() {
    signal(SIGPIPE, SIG_IGN);
    region_ = Region::Create({}, &fd_);
    region_.Write(region_.Claim(11, kNoSlot), HealthySample(11));
    char error[kServerErrorBytes];
    for (address_.port = 20000; address_.port < 60000; ++address_.port)
      if (server_.Start(address_, region_, error) == ServerStart::kServing) return;
    abort();
  }

  std::string Exchange(std::string_view request) const {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(address_.port);
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    Check(connect(fd, reinterpret_cast<sockaddr*>(&name), sizeof name) == 0);
    send(fd, request.data(), request.size(), MSG_NOSIGNAL);
    shutdown(fd, SHUT_WR);
    std::string answer;
    char buffer[4096];
    for (ssize_t bytes; (bytes = recv(fd, buffer, sizeof buffer, 0)) > 0;)
      answer.append(buffer, static_cast<size_t>(bytes));
    close(fd);
    return answer;
  }

 private:
  ListenAddress address_{"127.0.0.1", 0};
  Region region_;
  int fd_ = -1;
  Server server_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Service& service = *new Service;
  std::string answer = service.Exchange({reinterpret_cast<const char*>(data), size});
  Check(answer.empty() || answer.starts_with("HTTP/1.1 "));
  return 0;
}
