// Censuses that are kept: one of the start, and the last few, so that what grows shows.
//
// A snapshot holds the largest types by name, what they pin, and what sits at the top of
// the C heap; smaller ones are one row together. Its rows are ordered by name, so that
// two are compared by going through both at once.
//
// Memory: one mapping of fixed size, touched as it fills.
//
// Thread safety: the sampler's thread, or whoever has the object to itself. No GIL, no
// malloc.

#pragma once

#include <cstdint>
#include <string_view>

namespace pymalloc_exporter {

struct SnapshotRow {
  uint64_t objects;
  uint64_t bytes;
  uint64_t pinned_bytes;
  uint64_t alone_bytes;  // of sparse arenas in which nothing else lives
  double error_bytes;    // standard error of `bytes`; 0: counted
  uint32_t hash;         // of the name
  uint32_t name;         // where it stands in the text
};

// One of the blocks nearest the top of the C heap.
struct SnapshotTop {
  uint64_t bytes;
  uint64_t free_bytes_below;
  uint32_t name;  // kNoName: native code's
};

class CensusSnapshot {
 public:
  static constexpr int kMostRows = 1024;
  static constexpr int kMostTops = 64;
  static constexpr uint32_t kNoName = UINT32_MAX;

  double timestamp_seconds;
  uint64_t other_objects;  // of types without a row
  uint64_t other_bytes;
  uint64_t other_pinned_bytes;
  uint64_t kept_objects;  // dead, in free lists
  uint64_t kept_bytes;
  uint64_t kept_pinned_bytes;
  uint64_t untyped_bytes;
  uint64_t untyped_pinned_bytes;
  uint64_t sparse_free_bytes;  // the pinned bytes of all rows together
  uint64_t arenas;
  uint64_t arenas_read;  // fewer: a sample, and all else estimates
  double error_bytes;    // standard error of the bytes of all rows together

  bool sampled() const { return arenas_read < arenas; }

  void Clear();
  // Where there is no room its figures are the others'.
  void Add(std::string_view name, SnapshotRow row);
  void AddTop(std::string_view name, uint64_t bytes, uint64_t free_bytes_below);
  // After the last Add().
  void Sort();

  const SnapshotRow* begin() const { return rows_; }
  const SnapshotRow* end() const { return rows_ + row_count_; }
  const SnapshotTop& top(int index) const { return tops_[index]; }
  int top_count() const { return top_count_; }
  std::string_view Name(uint32_t name) const { return text_ + name; }
  // Of the order: by the names' hashes, then by the names.
  int Compare(const SnapshotRow& row, const CensusSnapshot& other,
              const SnapshotRow& other_row) const;

 private:
  static constexpr uint32_t kTextBytes = 40 * 1024;

  bool AddText(std::string_view name, uint32_t* at);

  int row_count_;
  int top_count_;
  uint32_t text_bytes_;
  SnapshotRow rows_[kMostRows];
  SnapshotTop tops_[kMostTops];
  char text_[kTextBytes];
};

// What a type has more of than in an earlier snapshot.
struct SnapshotDelta {
  std::string_view name;
  int64_t objects;
  int64_t bytes;
  double error_squared;  // the squared standard error of `bytes`
};

// Calls visit(SnapshotDelta) for each name that either has, where something changed.
template <typename Visit>
void CompareSnapshots(const CensusSnapshot& then, const CensusSnapshot& now,
                      Visit visit) {
  const SnapshotRow* old_row = then.begin();
  const SnapshotRow* row = now.begin();
  while (old_row != then.end() || row != now.end()) {
    int order = row == now.end()        ? 1
                : old_row == then.end() ? -1
                                        : now.Compare(*row, then, *old_row);
    SnapshotDelta delta{order <= 0 ? now.Name(row->name) : then.Name(old_row->name), 0, 0,
                        0};
    if (order <= 0) {
      delta.objects += static_cast<int64_t>(row->objects);
      delta.bytes += static_cast<int64_t>(row->bytes);
      delta.error_squared += row->error_bytes * row->error_bytes;
      ++row;
    }
    if (order >= 0) {
      delta.objects -= static_cast<int64_t>(old_row->objects);
      delta.bytes -= static_cast<int64_t>(old_row->bytes);
      delta.error_squared += old_row->error_bytes * old_row->error_bytes;
      ++old_row;
    }
    if (delta.objects != 0 || delta.bytes != 0) visit(delta);
  }
}

class CensusHistory {
 public:
  static constexpr int kRecent = 4;  // beside the one of the start

  CensusHistory() = default;
  CensusHistory(const CensusHistory&) = delete;
  CensusHistory& operator=(const CensusHistory&) = delete;
  ~CensusHistory();

  // False if memory was refused.
  bool Open();
  void Forget() { taken_ = 0; }

  // The one to write, cleared; it takes the place of the oldest but the first.
  CensusSnapshot& Next();
  void Commit(double timestamp_seconds);

  // Those that are kept, the oldest first: 0 is that of the start, the last the newest.
  int count() const;
  const CensusSnapshot& operator[](int index) const;

 private:
  CensusSnapshot* snapshots_ = nullptr;
  uint64_t taken_ = 0;
};

}  // namespace pymalloc_exporter
