#include "exporter/publish/api.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/unit/samples.h"
#include "tests/unit/server_fixture.h"

namespace pymalloc_exporter {
namespace {

constexpr int kTrimPath = static_cast<int>(HttpPath::kTrim);

ApiRequest Remedy() {
  return {"POST",
          {static_cast<HttpPath>(kTrimPath), 0},
          "127.0.0.1",
          "127.0.0.1:9512",
          std::string_view(),
          "1"};
}
ApiTerms Terms(RemedyAccess remedies) { return {{"127.0.0.1", 9512}, remedies, nullptr}; }

// 200 stands for a request that is let through.
int CodeOf(const ApiRequest& request, RemedyAccess remedies = RemedyAccess::kLoopback) {
  HttpCode code;
  if (RefusalOf(request, Terms(remedies), &code) == nullptr) return 200;
  return kHttpCodeValues[static_cast<int>(code)];
}

TEST(TargetOf, ReadsTheNumberOfAWorker) {
  EXPECT_EQ(TargetOf("/api/v1/workers/0/trim").path, HttpPath::kTrim);
  EXPECT_EQ(TargetOf("/api/v1/workers/510/sample?x=1").path, HttpPath::kSample);
  EXPECT_EQ(TargetOf("/api/v1/workers/510/sample?x=1").worker, 510);
  EXPECT_EQ(TargetOf("/api/v1/workers").path, HttpPath::kWorkers);
}

TEST(TargetOf, TakesNothingElse) {
  for (const char* uri : {"/api/v1/workers/511/trim",
                          "/api/v1/workers/-1/trim",
                          "/api/v1/workers/-0/trim",
                          "/api/v1/workers/+1/trim",
                          "/api/v1/workers/01/trim",
                          "/api/v1/workers/00/trim",
                          "/api/v1/workers//trim",
                          "/api/v1/workers/ 1/trim",
                          "/api/v1/workers/1 /trim",
                          "/api/v1/workers/99999999999999999999/trim",
                          "/api/v1/workers/0x1/trim",
                          "/api/v1/workers/1.0/trim",
                          "/api/v1/workers/%31/trim",
                          "/api/v1/workers/1/trim/",
                          "/api/v1/workers/1/%74rim",
                          "/api/v1/workers/1/Trim",
                          "/api/v1/workers/1/trimx",
                          "/api/v1/workers/1//trim",
                          "/api/v1/workers/1",
                          "/api/v1/workers/1/",
                          "/api/v1/workers/",
                          "/api/v1/workers/N/trim",
                          "/api/v1/workers/1/../1/trim",
                          "/api/v1/",
                          "/api",
                          "/API/v1/workers/1/trim",
                          "//api/v1/workers/1/trim",
                          "/api/v1/workers/1\\trim",
                          "/api/v1/workers/1;/trim",
                          "/api/v1/workers/1/trim%00",
                          "/api/v1/workers?/1/trim/x/"}) {
    HttpPath path = TargetOf(uri).path;
    bool list = std::string_view(uri).starts_with("/api/v1/workers?");
    EXPECT_EQ(path, list ? HttpPath::kWorkers : HttpPath::kOther) << uri;
  }
}

TEST(RemedyRefusal, LetsThroughWhoMeansIt) {
  EXPECT_EQ(CodeOf(Remedy()), 200);
  for (const char* host :
       {"localhost:9512", "LOCALHOST:9512", "[::1]:9512", "127.0.0.2:9512"}) {
    ApiRequest request = Remedy();
    request.host = host;
    EXPECT_EQ(CodeOf(request), 200) << host;
  }
  ApiRequest own_page = Remedy();
  own_page.origin = "http://127.0.0.1:9512";
  EXPECT_EQ(CodeOf(own_page), 200);
}

TEST(RemedyRefusal, UnlessEnabled) {
  EXPECT_EQ(CodeOf(Remedy(), RemedyAccess::kNobody), 404);
}

TEST(RemedyRefusal, OfOtherMethods) {
  for (const char* method : {"GET", "HEAD", "PUT", "OPTIONS", "post", "DELETE", ""}) {
    ApiRequest request = Remedy();
    request.method = method;
    EXPECT_EQ(CodeOf(request), 405) << method;
  }
}

TEST(RemedyRefusal, WithoutTheMarker) {
  for (const char* marker : {"", "0", "true", "11", ","}) {
    ApiRequest request = Remedy();
    request.marker = marker;
    EXPECT_EQ(CodeOf(request), 403) << marker;
  }
}

TEST(RemedyRefusal, OfANameThatIsNotOurs) {
  for (const char* host :
       {"", ",", "evil.example:9512", "127.0.0.1", "127.0.0.1:80", "localhost",
        "localhost.evil.example:9512", "127.0.0.1.evil.example:9512", "10.0.0.1:9512",
        "[::2]:9512", ":9512", "[]:9512", "127.1:9512", "2130706433:9512",
        "127.evil.example:9512", "user@127.0.0.1:9512"}) {
    ApiRequest request = Remedy();
    request.host = host;
    EXPECT_EQ(CodeOf(request), 403) << host;
  }
}

TEST(RemedyRefusal, OfAnotherOrigin) {
  for (const char* origin : {"http://evil.example", "null", "https://127.0.0.1:9512",
                             "http://127.0.0.1:80", ",", "http://127.0.0.1:9512/"}) {
    ApiRequest request = Remedy();
    request.origin = origin;
    EXPECT_EQ(CodeOf(request), 403) << origin;
  }
}

TEST(RemedyRefusal, OfOtherMachinesUnlessSaidOtherwise) {
  for (const char* peer : {"10.0.0.1", "::2", "", "::ffff:10.0.0.1"}) {
    ApiRequest request = Remedy();
    request.peer = peer;
    EXPECT_EQ(CodeOf(request), 403) << peer;
    EXPECT_EQ(CodeOf(request, RemedyAccess::kEverybody), 200) << peer;
  }
  ApiRequest request = Remedy();
  request.host = "10.0.0.1:9512";
  EXPECT_EQ(CodeOf(request, RemedyAccess::kEverybody), 200);
  request.host = "evil.example:9512";
  EXPECT_EQ(CodeOf(request, RemedyAccess::kEverybody), 403);
}

TEST_F(ServerTest, ListsTheWorkersAsJson) {
  Sample sample = HealthySample(11);
  snprintf(sample.identity.app, sizeof sample.identity.app, "\"shop\"");
  region_.Write(region_.Claim(11, kNoSlot), sample);
  std::string answer = Get("/api/v1/workers");
  EXPECT_NE(answer.find("Content-Type: application/json"), answer.npos);
  EXPECT_TRUE(IsJsonObject(Body(answer))) << answer;
  EXPECT_NE(answer.find(R"("worker":0,"role":"process","pid":111,"app":"\"shop\"")"),
            answer.npos);
  EXPECT_EQ(Requests(HttpPath::kWorkers, HttpCode::k200), 1u);
}

TEST_F(ServerTest, ListsAsManyWorkersAsThereCanBe) {
  for (uint64_t nonce = 1; nonce <= kSlots; ++nonce) {
    Sample sample = HealthySample(nonce);
    memset(sample.identity.app, '"', sizeof sample.identity.app - 1);
    region_.Write(region_.Claim(nonce, kNoSlot), sample);
  }
  EXPECT_TRUE(IsJsonObject(Body(Get("/api/v1/workers"))));
}

TEST_F(ServerTest, CountsRefusalsByTheirPath) {
  std::string head = "POST /api/v1/workers/0/trim HTTP/1.1\r\nHost: x\r\n\r\n";
  EXPECT_TRUE(Exchange(head).starts_with("HTTP/1.1 404 "));
  EXPECT_TRUE(Get("/api/v1/workers/0/sample").starts_with("HTTP/1.1 404 "));
  std::string post = "POST /api/v1/workers HTTP/1.1\r\nHost: x\r\n\r\n";
  EXPECT_NE(Exchange(post).find("Allow: GET, HEAD\r\n"), std::string::npos);
  EXPECT_EQ(Requests(HttpPath::kTrim, HttpCode::k404), 1u);
  EXPECT_EQ(Requests(HttpPath::kSample, HttpCode::k404), 1u);
  EXPECT_EQ(Requests(HttpPath::kWorkers, HttpCode::k405), 1u);
}

}  // namespace
}  // namespace pymalloc_exporter
