#include "exporter/system/cgroup.h"

#include <cstdio>
#include <cstring>

namespace pymalloc_exporter {
namespace {

// Version 1 writes "no limit" as the largest multiple of a page.
constexpr uint64_t kVersion1Unlimited = uint64_t{1} << 62;

bool CopyPath(std::string_view path, const char* prefix, CgroupFolder* out) {
  int length = snprintf(out->path, sizeof out->path, "%s%.*s", prefix,
                        static_cast<int>(path.size()), path.data());
  return length >= 0 && length < static_cast<int>(sizeof out->path);
}

// Reads the files of one folder.
class Folder {
 public:
  Folder(const char* mount, const char* path) {
    snprintf(path_, sizeof path_, "%s%s", mount, path);
  }

  std::string_view Text(const char* file) {
    return ReadFile(path_, file, buffer_, sizeof buffer_);
  }
  // "max" is no number and leaves the row absent.
  void Number(const char* file, uint64_t* value) { ParseOr(Text(file), value); }
  void Row(const char* file, std::string_view key, uint64_t* value) {
    uint64_t found;
    if (FindNumber(Text(file), key, &found)) *value = found;
  }

 private:
  static void ParseOr(std::string_view text, uint64_t* value) {
    uint64_t found;
    if (ParseNumber(text, &found)) *value = found;
  }

  char path_[512];
  char buffer_[8192];
};

void ReadPressure(std::string_view text, CgroupSample* out) {
  size_t total = text.find("total=");
  uint64_t microseconds;
  if (total != text.npos &&
      ParseNumber(text.substr(total + strlen("total=")), &microseconds)) {
    out->pressure_stalled_seconds = static_cast<double>(microseconds) / 1e6;
  }
}

void ReadVersion2(Folder& folder, CgroupSample* out) {
  folder.Number("memory.current", &out->usage_bytes);
  folder.Number("memory.max", &out->limit_bytes);
  folder.Number("memory.high", &out->high_bytes);
  folder.Row("memory.stat", "inactive_file ", &out->inactive_file_bytes);
  folder.Row("memory.events", "oom_kill ", &out->oom_kills);
  ReadPressure(folder.Text("memory.pressure"), out);
}

void ReadVersion1(Folder& folder, CgroupSample* out) {
  folder.Number("memory.usage_in_bytes", &out->usage_bytes);
  folder.Number("memory.limit_in_bytes", &out->limit_bytes);
  if (out->limit_bytes > kVersion1Unlimited) out->limit_bytes = kCgroupAbsent;
  folder.Row("memory.stat", "total_inactive_file ", &out->inactive_file_bytes);
  folder.Row("memory.oom_control", "oom_kill ", &out->oom_kills);
}

}  // namespace

bool ParseCgroupFolder(std::string_view text, CgroupFolder* out) {
  constexpr std::string_view kMemory = ":memory:";
  std::string_view unified;
  for (size_t at = 0; at < text.size();) {
    std::string_view line = text.substr(at, text.find('\n', at) - at);
    at += line.size() + 1;
    if (size_t controller = line.find(kMemory); controller != line.npos) {
      out->version1 = true;
      return CopyPath(line.substr(controller + kMemory.size()), "/memory", out);
    }
    if (line.starts_with("0::")) unified = line.substr(3);
  }
  out->version1 = false;
  return !unified.empty() && CopyPath(unified == "/" ? "" : unified, "", out);
}

Reason CgroupCollector::Collect(Sample& sample, const StopFlag&) noexcept {
  sample.cgroup = CgroupSample{};
  if (!sample.identity.serving) return Reason::kNone;
  char buffer[4096];
  CgroupFolder folder;
  if (!ParseCgroupFolder(ReadFile(paths_.proc, "self/cgroup", buffer, sizeof buffer),
                         &folder)) {
    return Reason::kNotPresent;
  }
  Folder files(paths_.cgroup, folder.path);
  folder.version1 ? ReadVersion1(files, &sample.cgroup)
                  : ReadVersion2(files, &sample.cgroup);
  return sample.cgroup.usage_bytes == kCgroupAbsent ? Reason::kNotPresent : Reason::kNone;
}

}  // namespace pymalloc_exporter
