#include "exporter/sample/census_answerer.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace pymalloc_exporter {
namespace {

// Rows at most, so that an answer fits in whatever the names are: a name takes 6 * 127
// bytes where every character is escaped.
constexpr int kMostTypes = 200;
constexpr int kMostPinning = 150;
constexpr int kMostGrown = 30;
constexpr int kMostShrunk = 15;

void WriteFigures(const char* name, uint64_t objects, uint64_t bytes, JsonText& text) {
  text.Key(name).Begin('{').Row("objects", objects).Row("bytes", bytes).End('}');
}

// Standard errors, where there are any.
void WriteError(double error_bytes, JsonText& text) {
  if (error_bytes > 0) text.Row("error_bytes", std::round(error_bytes));
}

void WriteSampling(const CensusSnapshot& snapshot, JsonText& text) {
  if (!snapshot.sampled()) return;
  text.Row("arenas", snapshot.arenas).Row("arenas_read", snapshot.arenas_read);
  WriteError(snapshot.error_bytes, text);
}

// The rows with the largest of a figure that is not 0, in their order.
class Largest {
 public:
  Largest(const CensusSnapshot& snapshot, uint64_t SnapshotRow::* figure, int most) {
    for (const SnapshotRow& row : snapshot) {
      if (row.*figure != 0) rows_[count_++] = &row;
    }
    shown_ = std::min(count_, most);
    std::partial_sort(rows_, rows_ + shown_, rows_ + count_,
                      [&](const SnapshotRow* a, const SnapshotRow* b) {
                        return a->*figure > b->*figure;
                      });
  }
  const SnapshotRow* const* begin() const { return rows_; }
  const SnapshotRow* const* end() const { return rows_ + shown_; }
  // Those that are not shown.
  template <typename Visit>
  void ForTheRest(Visit visit) const {
    for (int i = shown_; i < count_; ++i) visit(*rows_[i]);
  }

 private:
  const SnapshotRow* rows_[CensusSnapshot::kMostRows];
  int count_ = 0;
  int shown_ = 0;
};

void WriteCensus(const CensusSnapshot& now, JsonText& text) {
  uint64_t objects = now.other_objects, bytes = now.other_bytes;
  for (const SnapshotRow& row : now) {
    objects += row.objects;
    bytes += row.bytes;
  }
  text.Row("objects", objects).Row("bytes", bytes);
  Largest largest(now, &SnapshotRow::bytes, kMostTypes);
  text.Key("types").Begin('[');
  for (const SnapshotRow* row : largest) {
    text.Begin('{').Key("type").String(now.Name(row->name));
    text.Row("objects", row->objects).Row("bytes", row->bytes);
    WriteError(row->error_bytes, text);
    text.End('}');
  }
  text.End(']');
  objects = now.other_objects, bytes = now.other_bytes;
  largest.ForTheRest([&](const SnapshotRow& row) {
    objects += row.objects;
    bytes += row.bytes;
  });
  WriteFigures("other", objects, bytes, text);
  WriteFigures("free_list", now.kept_objects, now.kept_bytes, text);
  text.Row("untyped_bytes", now.untyped_bytes);
}

// The names whose bytes have changed most in one direction, in their order.
template <int kMost>
class Extremes {
 public:
  explicit Extremes(int sign) : sign_(sign) {}

  void Offer(const SnapshotDelta& delta) {
    int64_t bytes = sign_ * delta.bytes, objects = sign_ * delta.objects;
    if (bytes < 0 || (bytes == 0 && objects <= 0)) return;
    auto less = [&](const SnapshotDelta& other) {
      int64_t its = sign_ * other.bytes;
      return its != bytes ? its < bytes : sign_ * other.objects < objects;
    };
    if (count_ == kMost && !less(deltas_[kMost - 1])) return;
    int at = count_ < kMost ? count_++ : kMost - 1;
    for (; at > 0 && less(deltas_[at - 1]); --at) deltas_[at] = deltas_[at - 1];
    deltas_[at] = delta;
  }
  void Write(const char* name, JsonText& text) const {
    text.Key(name).Begin('[');
    for (const SnapshotDelta* delta = deltas_; delta < deltas_ + count_; ++delta) {
      text.Begin('{').Key("type").String(delta->name);
      text.Row("objects", delta->objects).Row("bytes", delta->bytes);
      WriteError(std::sqrt(delta->error_squared), text);
      text.End('}');
    }
    text.End(']');
  }

 private:
  int sign_;
  int count_ = 0;
  SnapshotDelta deltas_[kMost];
};

void WriteDiff(const CensusSnapshot& then, const CensusSnapshot& now, JsonText& text) {
  Extremes<kMostGrown> grown(1);
  Extremes<kMostShrunk> shrunk(-1);
  SnapshotDelta all{{},
                    static_cast<int64_t>(now.other_objects - then.other_objects),
                    static_cast<int64_t>(now.other_bytes - then.other_bytes),
                    0};
  CompareSnapshots(then, now, [&](const SnapshotDelta& delta) {
    all.objects += delta.objects;
    all.bytes += delta.bytes;
    grown.Offer(delta);
    shrunk.Offer(delta);
  });
  text.Begin('{').Row("timestamp_seconds", then.timestamp_seconds);
  WriteSampling(then, text);
  text.Row("objects", all.objects).Row("bytes", all.bytes);
  grown.Write("grown", text);
  shrunk.Write("shrunk", text);
  text.End('}');
}

// Against that of the start first.
bool WriteDiffs(const CensusHistory& history, Pace& pace, JsonText& text) {
  const CensusSnapshot& now = history[history.count() - 1];
  text.Key("since").Begin('[');
  for (int i = 0; i + 1 < history.count(); ++i) {
    WriteDiff(history[i], now, text);
    if (!pace.Rest()) return false;
  }
  text.End(']');
  return true;
}

void WritePins(const CensusSnapshot& now, JsonText& text) {
  text.Row("sparse_free_bytes", now.sparse_free_bytes);
  Largest largest(now, &SnapshotRow::pinned_bytes, kMostPinning);
  text.Key("types").Begin('[');
  for (const SnapshotRow* row : largest) {
    text.Begin('{').Key("type").String(now.Name(row->name));
    text.Row("pinned_bytes", row->pinned_bytes);
    text.Row("alone_bytes", row->alone_bytes).End('}');
  }
  text.End(']');
  uint64_t other_bytes = now.other_pinned_bytes;
  largest.ForTheRest([&](const SnapshotRow& row) { other_bytes += row.pinned_bytes; });
  text.Row("other_pinned_bytes", other_bytes);
  text.Row("free_list_pinned_bytes", now.kept_pinned_bytes);
  text.Row("untyped_pinned_bytes", now.untyped_pinned_bytes);
  text.Key("heap_top").Begin('[');
  for (int i = 0; i < now.top_count(); ++i) {
    const SnapshotTop& top = now.top(i);
    bool native = top.name == CensusSnapshot::kNoName;
    text.Begin('{').Key("type").String(native ? "(native)" : now.Name(top.name));
    text.Row("bytes", top.bytes).Row("free_bytes_below", top.free_bytes_below).End('}');
  }
  text.End(']');
}

ReplyStatus NoCensus(const Sample& sample, JsonText& text) {
  const CollectorStatus& status = sample.status(CollectorId::kCensus);
  char error[80];
  snprintf(
      error, sizeof error, "no census: %s",
      status.up() ? "none is made yet" : kReasonNames[static_cast<int>(status.reason)]);
  text.Begin('{').Key("error").String(error).End('}');
  return ReplyStatus::kUnable;
}

}  // namespace

ReplyStatus CensusAnswerer::Answer(const Inquiry& inquiry, Pace& pace,
                                   JsonText& text) noexcept {
  if (history_.count() == 0) return NoCensus(inquiry.sample, text);
  const CensusSnapshot& now = history_[history_.count() - 1];
  text.Begin('{').Row("pid", int64_t{inquiry.sample.identity.pid});
  text.Row("timestamp_seconds", now.timestamp_seconds);
  WriteSampling(now, text);
  if (kind_ == QuestionKind::kCensus) {
    WriteCensus(now, text);
  } else if (kind_ == QuestionKind::kPins) {
    WritePins(now, text);
  } else if (!WriteDiffs(history_, pace, text)) {
    return ReplyStatus::kInterrupted;
  }
  text.End('}');
  return ReplyStatus::kDone;
}

}  // namespace pymalloc_exporter
