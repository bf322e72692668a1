// Censuses that are kept, and what is answered from them.

#include "exporter/sample/census_snapshot.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>

#include "exporter/sample/census_answerer.h"
#include "exporter/sample/sample.h"

namespace pymalloc_exporter {
namespace {

using Rows = std::map<std::string, std::pair<uint64_t, uint64_t>>;

// The hash is the name's length: names of one length collide.
void Fill(const Rows& rows, CensusSnapshot* out, double error_bytes = 0) {
  for (const auto& [name, row] : rows) {
    out->Add(name, {row.first, row.second, row.second / 2, 0, error_bytes,
                    static_cast<uint32_t>(name.size()), 0});
  }
  out->Sort();
}

class HistoryTest : public testing::Test {
 protected:
  HistoryTest() { EXPECT_TRUE(history_.Open()); }

  void Take(const Rows& rows, double timestamp_seconds, double error_bytes = 0) {
    Fill(rows, &history_.Next(), error_bytes);
    history_.Commit(timestamp_seconds);
  }
  // The same of 3 of 12 arenas.
  void TakeSample(const Rows& rows, double timestamp_seconds, double error_bytes) {
    CensusSnapshot& next = history_.Next();
    Fill(rows, &next, error_bytes);
    next.arenas = 12;
    next.arenas_read = 3;
    next.error_bytes = 2 * error_bytes;
    history_.Commit(timestamp_seconds);
  }
  ReplyStatus Ask(QuestionKind kind, std::string* answer) {
    std::string buffer(kMostReplyBytes, '\0');
    JsonText text(buffer.data(), buffer.size());
    CensusAnswerer answerer(kind, history_);
    NoRest pace;
    ReplyStatus status = answerer.Answer({0, 0, sample_}, pace, text);
    EXPECT_TRUE(text.complete());
    EXPECT_TRUE(IsJsonObject(text.text()));
    *answer = text.text();
    return status;
  }

  CensusHistory history_;
  Sample sample_{};
};

TEST_F(HistoryTest, KeepsTheFirstAndTheLast) {
  for (int taken = 0; taken < 12; ++taken) {
    int kept = std::min(taken, 1 + CensusHistory::kRecent);
    ASSERT_EQ(history_.count(), kept);
    for (int i = 0; i < kept; ++i) {
      int expected = i == 0 ? 0 : taken - (kept - i);
      EXPECT_EQ(history_[i].timestamp_seconds, expected) << taken << " " << i;
    }
    Take({{"a", {1, 1}}}, taken);
  }
  history_.Forget();
  EXPECT_EQ(history_.count(), 0);
}

TEST_F(HistoryTest, ComparesByName) {
  Take({{"same", {3, 30}}, {"gone", {2, 20}}, {"grown", {1, 10}}, {"b", {1, 1}}}, 1);
  Take({{"same", {3, 30}}, {"news", {4, 40}}, {"grown", {5, 50}}, {"a", {1, 1}}}, 2);
  std::map<std::string, std::pair<int64_t, int64_t>> found;
  CompareSnapshots(history_[0], history_[1], [&](const SnapshotDelta& delta) {
    found[std::string(delta.name)] = {delta.objects, delta.bytes};
  });
  decltype(found) expected = {{"gone", {-2, -20}},
                              {"news", {4, 40}},
                              {"grown", {4, 40}},
                              {"a", {1, 1}},
                              {"b", {-1, -1}}};
  EXPECT_EQ(found, expected);
}

TEST_F(HistoryTest, HasBoundedRoom) {
  Rows rows;
  for (int i = 0; i < 3000; ++i) rows["type" + std::to_string(i)] = {1, 10};
  Take(rows, 1);
  const CensusSnapshot& snapshot = history_[0];
  EXPECT_EQ(snapshot.end() - snapshot.begin(), CensusSnapshot::kMostRows);
  EXPECT_EQ(snapshot.other_objects, 3000u - CensusSnapshot::kMostRows);
  EXPECT_EQ(snapshot.other_bytes, 10 * snapshot.other_objects);

  rows.clear();
  for (int i = 0; i < 1000; ++i) rows[std::to_string(i) + std::string(120, 'x')] = {1, 1};
  Take(rows, 2);
  EXPECT_LT(history_[1].end() - history_[1].begin(), 400);
  EXPECT_EQ(history_[1].other_objects +
                static_cast<uint64_t>(history_[1].end() - history_[1].begin()),
            1000u);
}

TEST_F(HistoryTest, AnswersFitWhateverTheNames) {
  Rows rows;
  for (int i = 0; i < 500; ++i) rows[std::to_string(i) + std::string(60, '\1')] = {1, 1};
  for (int i = 0; i < 8; ++i) {
    TakeSample(rows, i, 1e15);
    for (auto& [name, row] : rows) row = {row.first + 1, row.second + 1};
  }
  CensusSnapshot& last = history_.Next();
  Fill(rows, &last, 1e15);
  for (int i = 0; i < 100; ++i) last.AddTop(std::string(120, '\2'), 1, 1);
  history_.Commit(8);
  std::string answer;
  for (QuestionKind kind :
       {QuestionKind::kCensus, QuestionKind::kDiff, QuestionKind::kPins}) {
    EXPECT_EQ(Ask(kind, &answer), ReplyStatus::kDone);
  }
}

TEST_F(HistoryTest, SaysWhyThereIsNone) {
  std::string answer;
  sample_.status(CollectorId::kCensus).reason = Reason::kFreeThreaded;
  EXPECT_EQ(Ask(QuestionKind::kCensus, &answer), ReplyStatus::kUnable);
  EXPECT_EQ(answer, R"({"error":"no census: free_threaded"})");
}

TEST_F(HistoryTest, AnswersTheLargestFirst) {
  Take({{"small", {9, 9}}, {"large", {1, 100}}}, 1.5);
  std::string answer;
  EXPECT_EQ(Ask(QuestionKind::kCensus, &answer), ReplyStatus::kDone);
  EXPECT_EQ(answer,
            R"({"pid":0,"timestamp_seconds":1.5,"objects":10,"bytes":109,"types":[)"
            R"({"type":"large","objects":1,"bytes":100},)"
            R"({"type":"small","objects":9,"bytes":9}],)"
            R"("other":{"objects":0,"bytes":0},"free_list":{"objects":0,"bytes":0},)"
            R"("untyped_bytes":0})");
  EXPECT_EQ(Ask(QuestionKind::kDiff, &answer), ReplyStatus::kDone);
  EXPECT_EQ(answer, R"({"pid":0,"timestamp_seconds":1.5,"since":[]})");
}

TEST_F(HistoryTest, AnswersWhatGrewMostFirst) {
  Take({{"leak", {1, 10}}, {"slow", {1, 10}}, {"less", {9, 90}}}, 1);
  Take({{"leak", {5, 50}}, {"slow", {2, 20}}, {"less", {2, 20}}}, 2);
  std::string answer;
  EXPECT_EQ(Ask(QuestionKind::kDiff, &answer), ReplyStatus::kDone);
  EXPECT_EQ(answer, R"({"pid":0,"timestamp_seconds":2,"since":[{"timestamp_seconds":1,)"
                    R"("objects":-2,"bytes":-20,"grown":[)"
                    R"({"type":"leak","objects":4,"bytes":40},)"
                    R"({"type":"slow","objects":1,"bytes":10}],)"
                    R"("shrunk":[{"type":"less","objects":-7,"bytes":-70}]}]})");
}

TEST_F(HistoryTest, TellsTheErrorsOfASample) {
  Take({{"one", {1, 100}}}, 1);
  TakeSample({{"one", {4, 400}}}, 2, 30);
  std::string answer;
  EXPECT_EQ(Ask(QuestionKind::kCensus, &answer), ReplyStatus::kDone);
  EXPECT_EQ(
      answer,
      R"({"pid":0,"timestamp_seconds":2,"arenas":12,"arenas_read":3,"error_bytes":60,)"
      R"("objects":4,"bytes":400,"types":[)"
      R"({"type":"one","objects":4,"bytes":400,"error_bytes":30}],)"
      R"("other":{"objects":0,"bytes":0},"free_list":{"objects":0,"bytes":0},)"
      R"("untyped_bytes":0})");
  TakeSample({{"one", {5, 500}}}, 3, 40);
  EXPECT_EQ(Ask(QuestionKind::kDiff, &answer), ReplyStatus::kDone);
  EXPECT_NE(answer.find(R"("grown":[{"type":"one","objects":1,"bytes":100,)"
                        R"("error_bytes":50}])"),
            std::string::npos)
      << answer;
}

}  // namespace
}  // namespace pymalloc_exporter
