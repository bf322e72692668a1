#include "exporter/sample/census_snapshot.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

namespace pymalloc_exporter {
namespace {

constexpr size_t kHistoryBytes = (1 + CensusHistory::kRecent) * sizeof(CensusSnapshot);
static_assert(kHistoryBytes < 512 * 1024);

}  // namespace

// Its rows are written before they are read: touching them all would be for nothing.
void CensusSnapshot::Clear() {
  timestamp_seconds = 0;
  other_objects = other_bytes = other_pinned_bytes = 0;
  kept_objects = kept_bytes = kept_pinned_bytes = 0;
  untyped_bytes = untyped_pinned_bytes = sparse_free_bytes = 0;
  arenas = arenas_read = 0;
  error_bytes = 0;
  row_count_ = top_count_ = 0;
  text_bytes_ = 0;
}

bool CensusSnapshot::AddText(std::string_view name, uint32_t* at) {
  if (name.size() >= kTextBytes - text_bytes_) return false;
  *at = text_bytes_;
  memcpy(text_ + text_bytes_, name.data(), name.size());
  text_bytes_ += static_cast<uint32_t>(name.size());
  text_[text_bytes_++] = 0;
  return true;
}

void CensusSnapshot::Add(std::string_view name, SnapshotRow row) {
  if (row_count_ == kMostRows || !AddText(name, &row.name)) {
    other_objects += row.objects;
    other_bytes += row.bytes;
    other_pinned_bytes += row.pinned_bytes;
    return;
  }
  rows_[row_count_++] = row;
}

void CensusSnapshot::AddTop(std::string_view name, uint64_t bytes,
                            uint64_t free_bytes_below) {
  if (top_count_ == kMostTops) return;
  SnapshotTop& top = tops_[top_count_++];
  top = {bytes, free_bytes_below, kNoName};
  if (!name.empty()) AddText(name, &top.name);
}

void CensusSnapshot::Sort() {
  std::sort(rows_, rows_ + row_count_, [&](const SnapshotRow& a, const SnapshotRow& b) {
    return Compare(a, *this, b) < 0;
  });
}

int CensusSnapshot::Compare(const SnapshotRow& row, const CensusSnapshot& other,
                            const SnapshotRow& other_row) const {
  if (row.hash != other_row.hash) return row.hash < other_row.hash ? -1 : 1;
  return Name(row.name).compare(other.Name(other_row.name));
}

CensusHistory::~CensusHistory() {
  if (snapshots_ != nullptr) munmap(snapshots_, kHistoryBytes);
}

bool CensusHistory::Open() {
  if (snapshots_ != nullptr) return true;
  void* memory = mmap(nullptr, kHistoryBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return false;
  snapshots_ = static_cast<CensusSnapshot*>(memory);
  return true;
}

CensusSnapshot& CensusHistory::Next() {
  CensusSnapshot& next =
      snapshots_[taken_ == 0 ? 0 : 1 + (taken_ - 1) % static_cast<uint64_t>(kRecent)];
  next.Clear();
  return next;
}

void CensusHistory::Commit(double timestamp_seconds) {
  uint64_t index = taken_ == 0 ? 0 : 1 + (taken_ - 1) % static_cast<uint64_t>(kRecent);
  snapshots_[index].timestamp_seconds = timestamp_seconds;
  ++taken_;
}

int CensusHistory::count() const {
  return static_cast<int>(std::min<uint64_t>(taken_, 1 + kRecent));
}

const CensusSnapshot& CensusHistory::operator[](int index) const {
  if (index == 0) return snapshots_[0];
  uint64_t before = taken_ - static_cast<uint64_t>(count() - index) - 1;
  return snapshots_[1 + before % static_cast<uint64_t>(kRecent)];
}

}  // namespace pymalloc_exporter
