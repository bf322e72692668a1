// A thread that asks, as the server's do, and this one, which does what samplers do.

#include "exporter/region/question_desk.h"

#include <errno.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <thread>
#include <vector>

namespace pymalloc_exporter {
namespace {

struct Head {
  uint64_t magic;
  uint32_t status;
  uint32_t bytes;
};

class Asking {
 public:
  Asking(QuestionDesk& desk, int worker)
      : thread_([&desk, worker, this] {
          status_ = desk.Ask(QuestionKind::kSample, worker, 7, &text_);
        }) {}
  ~Asking() { Join(); }
  ReplyStatus Status() {
    Join();
    return status_;
  }
  const std::string& text() const { return text_; }

 private:
  void Join() {
    if (thread_.joinable()) thread_.join();
  }
  ReplyStatus status_{};
  std::string text_;
  std::thread thread_;
};

class QuestionDeskTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(desk_.Open()); }
  void TearDown() override { desk_.Close(); }

  Question Taken() {
    pollfd posted{desk_.descriptor(), POLLIN, 0};
    EXPECT_EQ(poll(&posted, 1, 5000), 1);
    Question question{};
    EXPECT_TRUE(desk_.Take(&question));
    return question;
  }
  // The status of a question to which these bytes are the answer.
  ReplyStatus StatusOf(const std::string& bytes) {
    Asking asking(desk_, 3);
    Question question = Taken();
    EXPECT_EQ(send(question.reply_to, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
    close(question.reply_to);
    return asking.Status();
  }
  // What a whole reply looks like on the wire.
  std::string Wire(ReplyStatus status, const std::string& text) {
    int pair[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    EXPECT_EQ(ReplySender(pair[0], status, text).Send(), ReplySender::Progress::kSent);
    close(pair[0]);
    std::string wire(sizeof(Head) + text.size(), '\0');
    EXPECT_EQ(read(pair[1], wire.data(), wire.size()), static_cast<ssize_t>(wire.size()));
    close(pair[1]);
    return wire;
  }

  QuestionDesk desk_;
};

TEST_F(QuestionDeskTest, CarriesQuestionAndAnswer) {
  Asking asking(desk_, 3);
  Question question = Taken();
  EXPECT_EQ(question.kind, QuestionKind::kSample);
  EXPECT_EQ(question.worker, 3);
  EXPECT_EQ(question.argument, 7u);
  EXPECT_GT(question.deadline, Now(CLOCK_REALTIME));
  ReplySender sender(question.reply_to, ReplyStatus::kDone, R"({"a":1})");
  EXPECT_EQ(sender.Send(), ReplySender::Progress::kSent);
  close(question.reply_to);
  EXPECT_EQ(asking.Status(), ReplyStatus::kDone);
  EXPECT_EQ(asking.text(), R"({"a":1})");
}

TEST_F(QuestionDeskTest, CarriesTheLongestAnswerInPieces) {
  Asking asking(desk_, 3);
  Question question = Taken();
  std::string text = "{\"a\":\"" + std::string(kMostReplyBytes - 8, 'x') + "\"}";
  ReplySender sender(question.reply_to, ReplyStatus::kDone, text);
  while (sender.Send() == ReplySender::Progress::kMore) std::this_thread::yield();
  close(question.reply_to);
  EXPECT_EQ(asking.Status(), ReplyStatus::kDone);
  EXPECT_EQ(asking.text(), text);
}

TEST_F(QuestionDeskTest, NoticesAWorkerThatEnds) {
  Asking asking(desk_, 3);
  close(Taken().reply_to);
  EXPECT_EQ(asking.Status(), ReplyStatus::kInterrupted);
}

TEST_F(QuestionDeskTest, WaitsNoLongerThanItsPatience) {
  Asking asking(desk_, 3);
  Question question = Taken();
  EXPECT_EQ(asking.Status(), ReplyStatus::kLate);
  ReplySender late(question.reply_to, ReplyStatus::kDone, "{}");
  EXPECT_EQ(late.Send(), ReplySender::Progress::kFailed);
  close(question.reply_to);
}

TEST_F(QuestionDeskTest, IsNotHeldByAWorkerThatDrips) {
  Asking asking(desk_, 3);
  Question question = Taken();
  std::string wire = Wire(ReplyStatus::kDone, "{}");
  Nanoseconds end = Now() + 60 * kSecond;
  while (Now() < end && send(question.reply_to, wire.data(), 1, MSG_NOSIGNAL) == 1) {
    Sleep(50 * kMillisecond);
  }
  EXPECT_LT(Now(), end);
  EXPECT_EQ(asking.Status(), ReplyStatus::kLate);
  close(question.reply_to);
}

TEST_F(QuestionDeskTest, SendsEverybodyHomeWhenInterrupted) {
  Asking one(desk_, 3), two(desk_, 4);
  std::vector<Question> questions = {Taken(), Taken()};
  desk_.Interrupt();
  EXPECT_EQ(one.Status(), ReplyStatus::kInterrupted);
  EXPECT_EQ(two.Status(), ReplyStatus::kInterrupted);
  for (const Question& question : questions) close(question.reply_to);
}

TEST_F(QuestionDeskTest, LetsOnlySoManyWait) {
  Asking one(desk_, 3), two(desk_, 3);
  std::vector<Question> questions = {Taken(), Taken()};
  std::string text;
  EXPECT_EQ(desk_.Ask(QuestionKind::kSample, 3, 0, &text), ReplyStatus::kBusy);
  for (const Question& question : questions) close(question.reply_to);
  one.Status();
  two.Status();
  Asking three(desk_, 3);
  close(Taken().reply_to);
  EXPECT_EQ(three.Status(), ReplyStatus::kInterrupted);
}

TEST_F(QuestionDeskTest, BelievesNothing) {
  std::string good = Wire(ReplyStatus::kDone, R"({"a":1})");
  ASSERT_EQ(StatusOf(good), ReplyStatus::kDone);
  std::string other_magic = good, longer = good + "x", other_status = good;
  other_magic[0] ^= 1;
  other_status[offsetof(Head, status)] = 100;
  EXPECT_EQ(StatusOf("x"), ReplyStatus::kBad);
  EXPECT_EQ(StatusOf(good.substr(0, good.size() - 1)), ReplyStatus::kBad);
  EXPECT_EQ(StatusOf(other_magic), ReplyStatus::kBad);
  EXPECT_EQ(StatusOf(longer), ReplyStatus::kBad);
  EXPECT_EQ(StatusOf(other_status), ReplyStatus::kBad);
  EXPECT_EQ(StatusOf(Wire(ReplyStatus::kDone, "")), ReplyStatus::kBad);
  EXPECT_EQ(StatusOf(Wire(ReplyStatus::kDone, "<html>")), ReplyStatus::kBad);
  EXPECT_EQ(StatusOf(Wire(ReplyStatus::kUnable, "{\"a\":\"\xff\"}")), ReplyStatus::kBad);
  EXPECT_EQ(StatusOf(Wire(ReplyStatus::kUnable, "")), ReplyStatus::kUnable);
}

TEST_F(QuestionDeskTest, TakesNoMoreThanTheMost) {
  Asking asking(desk_, 3);
  Question question = Taken();
  std::string piece(64 * 1024, ' ');
  size_t sent = 0;
  // Until it hangs up.
  for (ssize_t count = 0; count >= 0 || errno == EAGAIN; Sleep(kMillisecond)) {
    count = send(question.reply_to, piece.data(), piece.size(), MSG_NOSIGNAL);
    sent += static_cast<size_t>(std::max<ssize_t>(count, 0));
  }
  EXPECT_LT(sent, 10 * kMostReplyBytes);
  EXPECT_EQ(asking.Status(), ReplyStatus::kBad);
  close(question.reply_to);
}

TEST(ClosedQuestionDesk, KnowsNobody) {
  QuestionDesk desk;
  std::string text;
  EXPECT_EQ(desk.Ask(QuestionKind::kSample, 0, 0, &text), ReplyStatus::kNoWorker);
}

}  // namespace
}  // namespace pymalloc_exporter
