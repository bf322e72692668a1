// Clients that take or send their bytes one by one must not hold the server: as many of
// them as it has threads, and somebody else is answered all the same.

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "exporter/publish/server.h"
#include "exporter/system/clock.h"
#include "tests/unit/server_fixture.h"

namespace pymalloc_exporter {
namespace {

constexpr int kClients = 6;
// Far more than the second or three that each of them is given.
constexpr timeval kPatience{30, 0};
constexpr int kDrips = 600;

class SlowClientTest : public ServerTest {
 protected:
  // `step` is done to a connection ten times a second until it says that it has ended, or
  // for a minute.
  void Start(const std::string& request, std::function<bool(int)> step) {
    for (int i = 0; i < kClients; ++i) {
      int fd = ConnectNarrowly();
      send(fd, request.data(), request.size(), MSG_NOSIGNAL);
      clients_.emplace_back([this, fd, step] {
        for (int drip = 0; drip < kDrips && !done_ && step(fd); ++drip) {
          std::this_thread::sleep_for(std::chrono::milliseconds(100));
        }
        close(fd);
      });
    }
  }
  void ExpectService() {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    int fd = Connect();
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
    send(fd, "GET /-/healthy HTTP/1.1\r\n\r\n", 27, MSG_NOSIGNAL);
    char answer[12] = "";
    recv(fd, answer, sizeof answer, MSG_WAITALL);
    EXPECT_EQ(std::string(answer, sizeof answer), "HTTP/1.1 200");
    close(fd);
  }
  void TearDown() override {
    done_ = true;
    for (std::thread& client : clients_) client.join();
    ServerTest::TearDown();
  }

 private:
  // With the smallest receive buffer that the kernel gives.
  int ConnectNarrowly() {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int few = 1;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &few, sizeof few);
    sockaddr_in name = Loopback(address_.port);
    EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
    return fd;
  }

  std::atomic<bool> done_{false};
  std::vector<std::thread> clients_;
};

bool SendByte(int fd) { return send(fd, "x", 1, MSG_NOSIGNAL) == 1; }

bool ReceiveSome(int fd) {
  char piece[2000];
  return recv(fd, piece, sizeof piece, 0) > 0;
}

TEST_F(SlowClientTest, ThatSendsAHeadForEver) {
  Start("GET /metrics HTTP/1.1\r\nHost: ", SendByte);
  ExpectService();
}

TEST_F(SlowClientTest, ThatSendsABodyForEver) {
  Start("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n", SendByte);
  ExpectService();
}

TEST_F(SlowClientTest, ThatAsksForARemedyForEver) {
  Start(
      "POST /api/v1/workers/0/trim HTTP/1.1\r\nHost: x\r\nContent-Length: "
      "1000000\r\n\r\n",
      SendByte);
  ExpectService();
}

TEST_F(SlowClientTest, ThatReadsForEver) {
  for (uint64_t nonce = 1; nonce <= kSlots; ++nonce) {
    Sample sample = HealthySample(nonce);
    sample.identity.detail = Detail::kFull;
    region_.Write(region_.Claim(nonce, kNoSlot), sample);
  }
  Start("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", ReceiveSome);
  ExpectService();
}

}  // namespace
}  // namespace pymalloc_exporter
