// Real HTTP over loopback, spoken by hand so that it can be spoken badly.

#include "exporter/publish/server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include <cstring>
#include <string>
#include <vector>

#include "exporter/system/clock.h"
#include "tests/unit/samples.h"

namespace pymalloc_exporter {
namespace {

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(port);
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return name;
}

// A listening socket on a free port.
int Listen(uint16_t* port) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in name = Loopback(0);
  socklen_t bytes = sizeof name;
  EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&name), bytes), 0);
  EXPECT_EQ(listen(fd, 8), 0);
  getsockname(fd, reinterpret_cast<sockaddr*>(&name), &bytes);
  *port = ntohs(name.sin_port);
  return fd;
}

std::string Body(const std::string& answer) {
  size_t end = answer.find("\r\n\r\n");
  return end == answer.npos ? "" : answer.substr(end + 4);
}

std::string Gunzip(const std::string& packed) {
  std::string out(1 << 20, '\0');
  z_stream stream{};
  EXPECT_EQ(inflateInit2(&stream, 15 + 16), Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  inflateEnd(&stream);
  return out;
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

TEST_F(ServerTest, ServesMetricsInTheTextFormat) {
  AddSample();
  std::string answer = Get("/metrics");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n"));
  EXPECT_NE(answer.find("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"),
            answer.npos);
  EXPECT_NE(answer.find("Connection: close\r\n"), answer.npos);
  EXPECT_NE(Body(answer).find("pymalloc_arenas{app=\"shop\",worker=\"0\"} 3\n"),
            answer.npos);
  EXPECT_EQ(Requests(HttpPath::kMetrics, HttpCode::k200), 1u);
}

TEST_F(ServerTest, CompressesWhereThatIsAskedForOnly) {
  AddSample();
  std::string packed = Get("/metrics", "Accept-Encoding: gzip\r\n");
  EXPECT_NE(packed.find("Content-Encoding: gzip\r\n"), packed.npos);
  EXPECT_TRUE(Gunzip(Body(packed)).starts_with("# HELP "));
  std::string plain = Get("/metrics", "Accept-Encoding: gzip;q=0\r\n");
  EXPECT_EQ(plain.find("Content-Encoding"), plain.npos);
  EXPECT_TRUE(Body(plain).starts_with("# HELP "));
}

TEST_F(ServerTest, AnswersHeadWithTheHeadersOfGet) {
  std::string answer = Exchange("HEAD /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n"));
  EXPECT_NE(answer.find("Content-Length: 8\r\n"), answer.npos);
  EXPECT_EQ(Body(answer), "");
}

TEST_F(ServerTest, IsReadyOnceThereIsASample) {
  EXPECT_TRUE(Get("/-/ready").starts_with("HTTP/1.1 503 "));
  AddSample();
  EXPECT_TRUE(Get("/-/ready").starts_with("HTTP/1.1 200 "));
}

TEST_F(ServerTest, ShowsThePageEscaped) {
  Sample sample = HealthySample(11);
  strcpy(sample.identity.app, "<script>");
  region_.Write(region_.Claim(11, kNoSlot), sample);
  std::string page = Body(Get("/"));
  EXPECT_NE(page.find("&lt;script&gt;"), page.npos);
  EXPECT_EQ(page.find("<script>"), page.npos);
}

TEST_F(ServerTest, KnowsNothingElse) {
  for (const char* path : {"/metricsx", "/metrics/", "//metrics", "/../etc/passwd",
                           "/%2e%2e/x", "/favicon.ico", "/-/", "/metrics%00"}) {
    std::string answer = Get(path);
    bool refused =
        answer.starts_with("HTTP/1.1 404 ") || answer.starts_with("HTTP/1.1 400 ");
    EXPECT_TRUE(refused) << path << ": " << answer;
  }
}

TEST_F(ServerTest, RefusesOtherMethods) {
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "PATCH"}) {
    std::string answer =
        Exchange(std::string(method) +
                 " /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 405 ")) << method << ": " << answer;
    EXPECT_NE(answer.find("Allow: GET, HEAD\r\n"), answer.npos) << method;
  }
}

TEST_F(ServerTest, RefusesWhatIsNoRequest) {
  for (const std::string& request :
       {std::string("nonsense\r\n\r\n"), std::string("GET\r\n\r\n"),
        std::string(200, '\0'),
        "GET /metrics HTTP/1.1\r\nX: " + std::string(10'000, 'x') + "\r\n\r\n",
        "GET /" + std::string(10'000, 'x') + " HTTP/1.1\r\n\r\n"}) {
    std::string answer = Exchange(request);
    EXPECT_FALSE(answer.starts_with("HTTP/1.1 200 ")) << request.substr(0, 20);
  }
  EXPECT_TRUE(Get("/-/healthy").starts_with("HTTP/1.1 200 "));
}

TEST_F(ServerTest, IsNotKeptByClientsThatSayNothing) {
  AddSample();
  std::vector<int> silent;
  for (int i = 0; i < 8; ++i) {
    silent.push_back(Connect());
    send(silent.back(), "GET /met", 8, MSG_NOSIGNAL);
  }
  EXPECT_TRUE(Get("/metrics").starts_with("HTTP/1.1 200 "));
  for (int fd : silent) close(fd);
}

TEST_F(ServerTest, SurvivesClientsThatHangUp) {
  AddSample();
  for (int i = 0; i < 50; ++i) {
    int fd = Connect();
    linger at_once{1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    send(fd, "GET /metrics HTTP/1.1\r\n\r\n", 25, MSG_NOSIGNAL);
    close(fd);
  }
  EXPECT_TRUE(Get("/metrics").starts_with("HTTP/1.1 200 "));
}

TEST_F(ServerTest, LeavesTheDispositionOfSigpipeAlone) {
  struct sigaction pipe_action;
  sigaction(SIGPIPE, nullptr, &pipe_action);
  EXPECT_EQ(pipe_action.sa_handler, SIG_DFL);
}

TEST_F(ServerTest, StopsAndStartsAgain) {
  for (int i = 0; i < 5; ++i) {
    server_.Stop();
    EXPECT_FALSE(server_.serving());
    Start();
    EXPECT_TRUE(Get("/-/healthy").starts_with("HTTP/1.1 200 "));
  }
  EXPECT_GT(server_.cpu_seconds(), 0);
}

TEST_F(ServerTest, SaysThatThePortIsTaken) {
  uint16_t port;
  int holder = Listen(&port);
  Server other;
  char error[kServerErrorBytes] = "";
  EXPECT_EQ(other.Start({"127.0.0.1", port}, region_, error), ServerStart::kPortTaken);
  EXPECT_STREQ(error, "Address already in use");
  close(holder);
}

TEST_F(ServerTest, SaysWhatIsWrongWithAnAddress) {
  Server other;
  char error[kServerErrorBytes] = "";
  EXPECT_EQ(other.Start({"192.0.2.1", 9512}, region_, error), ServerStart::kFailed);
  EXPECT_STREQ(error, "Cannot assign requested address");
  EXPECT_EQ(other.Start({"nowhere", 9512}, region_, error), ServerStart::kFailed);
}

TEST_F(ServerTest, ServesIpv6) {
  int probe = socket(AF_INET6, SOCK_STREAM, 0);
  sockaddr_in6 name{};
  name.sin6_family = AF_INET6;
  name.sin6_addr = in6addr_loopback;
  bool available =
      probe >= 0 && bind(probe, reinterpret_cast<sockaddr*>(&name), sizeof name) == 0;
  if (probe >= 0) close(probe);
  if (!available) GTEST_SKIP() << "no IPv6 here";
  Server other;
  char error[kServerErrorBytes] = "";
  ListenAddress address{"::1", static_cast<uint16_t>(address_.port + 1)};
  EXPECT_EQ(other.Start(address, region_, error), ServerStart::kServing) << error;
  other.Stop();
}

}  // namespace
}  // namespace pymalloc_exporter
