// A sampler on a thread of its own, as it runs in a process.

#include "exporter/sampler.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "exporter/sample/sample_answerer.h"
#include "exporter/system/page_map.h"
#include "exporter/system/pass_memory.h"
#include "tests/unit/server_fixture.h"

namespace pymalloc_exporter {
namespace {

// A walk that ends when it is told to.
class Long final : public SlowCollector {
 public:
  CollectorId id() const override { return CollectorId::kCensus; }
  Reason Collect(Sample&, Pace& pace) noexcept override {
    began_ = true;
    void* memory =
        mmap(nullptr, kPageBytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    while (!over_ && pace.Rest()) {
      // As the C library does before it aborts.
      if (write(STDERR_FILENO, "noise", 5) >= 0) heard_ = true;
    }
    GiveBack(memory, kPageBytes, pace.stop());
    return over_ ? Reason::kNone : Reason::kInconsistent;
  }
  bool began() const { return began_; }
  // Whether anything took what was written to standard error.
  bool heard() const { return heard_; }
  void End() { over_ = true; }

 private:
  std::atomic<bool> began_{false};
  std::atomic<bool> over_{false};
  std::atomic<bool> heard_{false};
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
  // It is never destroyed, as in a process.
  static Sampler& Make() {
    static auto& all = *new std::vector<std::unique_ptr<Sampler>>;
    return *all.emplace_back(std::make_unique<Sampler>());
  }
  void SetUp() override {
    ServerTest::SetUp();
    server_.Stop();  // the sampler's own takes its port
  }
  void Configure() {
    SlowCollector* slow[] = {&pass_};
    Answerer* answerers[] = {&sample_, &remedy_};
    Settings settings{address_, kSecond, kMillisecond, 1, HealthySample().identity};
    settings.remedies = RemedyAccess::kLoopback;
    sampler_.Configure(settings, {{}, slow, answerers});
  }
  void Begin() {
    Configure();
    Run();
  }
  void Run() {
    sampler_.stop() = false;
    thread_ = std::thread([this] { sampler_.Run(); });
  }
  // As a thread does that was given up on at a fork and taken up again.
  void RunTwice() {
    thread_ = std::thread([this] {
      thread_id_ = static_cast<pid_t>(syscall(SYS_gettid));
      sampler_.Run();
      sampler_.stop() = false;
      sampler_.Run();
    });
  }
  long OpenDescriptors() const {
    auto folder = "/proc/self/task/" + std::to_string(thread_id_) + "/fd";
    return std::distance(std::filesystem::directory_iterator(folder), {});
  }
  void Stop() {
    sampler_.stop() = true;
    if (thread_.joinable()) thread_.join();
  }
  bool ServedWithin(Nanoseconds patience, const std::string& path) const {
    for (Nanoseconds end = Now() + patience; Now() < end; Sleep(10 * kMillisecond)) {
      if (TryToBind(address_) == EADDRINUSE &&
          Get(path).find("200 OK") != std::string::npos)
        return true;
    }
    return false;
  }
  std::string Trim() const {
    return Exchange("POST " + path_ +
                    "trim HTTP/1.1\r\nHost: " + ListeningPorts(address_) +
                    "\r\nX-Pymalloc-Exporter: 1\r\nContent-Length: 0\r\n\r\n");
  }
  void TearDown() override {
    Stop();
    ServerTest::TearDown();
  }

  Long pass_;
  SampleAnswerer sample_;
  Quick remedy_;
  const std::string path_ = "/api/v1/workers/0/";
  Sampler& sampler_ = Make();
  std::thread thread_;
  std::atomic<pid_t> thread_id_{0};
};

TEST_F(SamplerTest, ShowsWhatItHasAmidASlowPassAndLeavesRemediesToItsEnd) {
  Begin();
  ASSERT_TRUE(ServedWithin(10 * kSecond, path_ + "sample"));
  EXPECT_TRUE(pass_.began());
  std::string answer;
  std::thread admin([&] { answer = Trim(); });
  Sleep(100 * kMillisecond);
  EXPECT_NE(Get(path_ + "sample").find("200 OK"), std::string::npos);
  EXPECT_FALSE(remedy_.applied());
  pass_.End();
  admin.join();
  EXPECT_NE(answer.find("200 OK"), std::string::npos) << answer;
  EXPECT_TRUE(remedy_.applied());
  EXPECT_FALSE(pass_.heard());
}

TEST_F(SamplerTest, ClosesWhatTheLastRunOnItsThreadLeftOpen) {
  Configure();
  RunTwice();
  ASSERT_TRUE(ServedWithin(10 * kSecond, path_ + "sample"));
  long open = OpenDescriptors();
  sampler_.stop() = true;
  for (Nanoseconds end = Now() + 10 * kSecond; sampler_.stop() && Now() < end;)
    Sleep(kMillisecond);
  ASSERT_TRUE(ServedWithin(10 * kSecond, path_ + "sample"));
  // The last connection may not have been closed yet.
  for (Nanoseconds end = Now() + 10 * kSecond; OpenDescriptors() > open && Now() < end;)
    Sleep(kMillisecond);
  EXPECT_LE(OpenDescriptors(), open);
}

TEST_F(SamplerTest, GivesBackWhatAPassLeftForAFork) {
  Begin();
  ASSERT_TRUE(ServedWithin(10 * kSecond, path_ + "sample"));
  Stop();
  EXPECT_NE(LeftMemory(0).end, 0u);
  Run();
  ASSERT_TRUE(ServedWithin(10 * kSecond, path_ + "sample"));
  EXPECT_EQ(LeftMemory(0).end, 0u);
}

}  // namespace
}  // namespace pymalloc_exporter
