// A server over a region of its own, and a client that speaks HTTP by hand, so that it
// can speak it badly.

#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "exporter/publish/server.h"
#include "tests/unit/samples.h"

namespace pymalloc_exporter {

inline sockaddr_in Loopback(uint16_t port) {
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(port);
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return name;
}

// A listening socket on a free port.
inline int Listen(uint16_t* port) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in name = Loopback(0);
  socklen_t bytes = sizeof name;
  EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&name), bytes), 0);
  EXPECT_EQ(listen(fd, 8), 0);
  getsockname(fd, reinterpret_cast<sockaddr*>(&name), &bytes);
  *port = ntohs(name.sin_port);
  return fd;
}

inline std::string Body(const std::string& answer) {
  size_t end = answer.find("\r\n\r\n");
  return end == answer.npos ? "" : answer.substr(end + 4);
}

class ServerTest : public testing::Test {
 protected:
  void SetUp() override {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &mask_);
    region_ = Region::Create({}, &fd_);
    ASSERT_TRUE(region_.mapped());
    close(Listen(&address_.port));
    Start();
  }
  void TearDown() override {
    server_.Stop();
    region_.Unmap();
    close(fd_);
    pthread_sigmask(SIG_SETMASK, &mask_, nullptr);
  }

  void Start() {
    char error[kServerErrorBytes] = "";
    ASSERT_EQ(server_.Start(address_, region_, error), ServerStart::kServing) << error;
  }
  void AddSample() {
    int slot = region_.Claim(11, kNoSlot);
    region_.Write(slot, HealthySample(11));
  }
  int Connect() const {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in name = Loopback(address_.port);
    EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
    timeval patience{5, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return fd;
  }
  std::string Exchange(const std::string& request) const {
    int fd = Connect();
    send(fd, request.data(), request.size(), MSG_NOSIGNAL);
    std::string answer;
    char buffer[65536];
    for (ssize_t bytes; (bytes = recv(fd, buffer, sizeof buffer, 0)) > 0;) {
      answer.append(buffer, static_cast<size_t>(bytes));
    }
    close(fd);
    return answer;
  }
  std::string Get(const std::string& path, const std::string& headers = "") const {
    return Exchange("GET " + path + " HTTP/1.1\r\nHost: x\r\n" + headers + "\r\n");
  }
  uint64_t Requests(HttpPath path, HttpCode code) const {
    return region_.counters()
        .http_requests[static_cast<int>(path)][static_cast<int>(code)];
  }

  ListenAddress address_{"127.0.0.1", 0};
  Server server_;
  Region region_;
  int fd_ = -1;
  sigset_t mask_;
};

}  // namespace pymalloc_exporter
