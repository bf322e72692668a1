// A sampler on a thread of its own, as it runs in a process.

#include "exporter/sampler.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <thread>

#include "exporter/sample/sample_answerer.h"
#include "tests/unit/server_fixture.h"

namespace pymalloc_exporter {
namespace {

// A walk that takes for ever.
class Endless final : public SlowCollector {
 public:
  CollectorId id() const override { return CollectorId::kCensus; }
  Reason Collect(Sample&, Pace& pace) noexcept override {
    began_ = true;
    while (pace.Rest()) {
    }
    return Reason::kInconsistent;
  }
  bool began() const { return began_; }

 private:
  std::atomic<bool> began_{false};
};

// A remedy that works at once.
class Quick final : public Answerer {
 public:
  QuestionKind kind() const override { return QuestionKind::kTrim; }
  ReplyStatus Answer(const Inquiry&, Pace&, JsonText& text) noexcept override {
    applied_ = true;
    text.Begin('{').End('}');
    return ReplyStatus::kDone;
  }
  bool applied() const { return applied_; }

 private:
  std::atomic<bool> applied_{false};
};

class SamplerTest : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    server_.Stop();  // the sampler's own takes its port
  }
  void Run(std::span<SlowCollector* const> slow, std::span<Answerer* const> answerers) {
    Settings settings{address_, kSecond, kMillisecond, 1, HealthySample().identity};
    settings.remedies = RemedyAccess::kLoopback;
    sampler_.Configure(settings, {{}, slow, answerers});
    thread_ = std::thread([this] { sampler_.Run(); });
  }
  bool ServedWithin(Nanoseconds patience, const std::string& path) const {
    for (Nanoseconds end = Now() + patience; Now() < end; Sleep(10 * kMillisecond)) {
      if (TryToBind(address_) == EADDRINUSE &&
          Get(path).find("200 OK") != std::string::npos)
        return true;
    }
    return false;
  }
  void TearDown() override {
    sampler_.stop() = true;
    thread_.join();
    ServerTest::TearDown();
  }

  Sampler& sampler_ = *new Sampler;
  std::thread thread_;
};

TEST_F(SamplerTest, ShowsWhatItHasAmidASlowPassAndLeavesRemediesToItsEnd) {
  Endless endless;
  SampleAnswerer sample;
  Quick remedy;
  SlowCollector* slow[] = {&endless};
  Answerer* answerers[] = {&sample, &remedy};
  Run(slow, answerers);
  const std::string path = "/api/v1/workers/0/";
  ASSERT_TRUE(ServedWithin(10 * kSecond, path + "sample"));
  EXPECT_TRUE(endless.began());
  std::thread admin([&] {
    Exchange("POST " + path + "trim HTTP/1.1\r\nHost: " + ListeningPorts(address_) +
             "\r\nX-Pymalloc-Exporter: 1\r\nContent-Length: 0\r\n\r\n");
  });
  Sleep(100 * kMillisecond);
  EXPECT_NE(Get(path + "sample").find("200 OK"), std::string::npos);
  EXPECT_FALSE(remedy.applied());
  sampler_.stop() = true;
  admin.join();
}

}  // namespace
}  // namespace pymalloc_exporter
