// Real HTTP over loopback.

#include "exporter/publish/server.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <cstring>
#include <string>

#include "tests/unit/server_fixture.h"

namespace pymalloc_exporter {
namespace {

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
