#include "exporter/system/cgroup.h"

#include <cstdio>
#include <cstring>

namespace pymalloc_exporter {
namespace {

// Version 1 writes "no limit" as the largest multiple of a page.
constexpr uint64_t kVersion1Unlimited = uint64_t{1} << 62;

// Where the memory controller is mounted, below the folder of control groups.
constexpr const char* kMount1 = "/memory";
constexpr const char* kMount2 = "";
constexpr const char* kMount2Beside1 = "/unified";

// What stands between two separators of /proc/self/cgroup, from `*at` on, which moves on.
// Nothing, once the text has ended.
std::string_view Field(std::string_view text, size_t* at, char separator) {
  if (*at >= text.size()) return {};
  std::string_view field = text.substr(*at, text.find(separator, *at) - *at);
  *at += field.size() + 1;
  return field;
}

bool HasMemory(std::string_view controllers) {
  for (size_t at = 0; at < controllers.size();) {
    if (Field(controllers, &at, ',') == "memory") return true;
  }
  return false;
}

bool CopyPath(std::string_view path, CgroupFolder* out) {
  if (!path.starts_with('/')) return false;
  if (path == "/") path = "";
  int length = snprintf(out->path, sizeof out->path, "%.*s",
                        static_cast<int>(path.size()), path.data());
  return length >= 0 && length < static_cast<int>(sizeof out->path);
}

// Reads the files of one folder.
class Folder {
 public:
  Folder(const char* root, const char* mount, const char* path) {
    snprintf(path_, sizeof path_, "%s%s%s", root, mount, path);
  }

  std::string_view Text(const char* file) {
    return ReadFile(path_, file, buffer_, sizeof buffer_);
  }
  // "max" is no number.
  uint64_t Number(const char* file) {
    uint64_t found;
    return ParseNumber(Text(file), &found) ? found : kCgroupAbsent;
  }
  uint64_t Row(const char* file, std::string_view key) {
    uint64_t found;
    return FindNumber(Text(file), key, &found) ? found : kCgroupAbsent;
  }

 private:
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

// What each version calls a figure.
struct Names {
  const char* usage;
  const char* limit;
  const char* inactive_file;
  const char* oom_kills;
};
constexpr Names kVersion1 = {"memory.usage_in_bytes", "memory.limit_in_bytes",
                             "total_inactive_file ", "memory.oom_control"};
constexpr Names kVersion2 = {"memory.current", "memory.max", "inactive_file ",
                             "memory.events"};

// What the group's own processes met with.
void ReadEvents(Folder& folder, const Names& names, CgroupSample* out) {
  out->high_bytes = folder.Number("memory.high");
  out->oom_kills = folder.Row(names.oom_kills, "oom_kill ");
  ReadPressure(folder.Text("memory.pressure"), out);
}

// True if the folder is a group with figures.
bool ReadGroup(Folder& folder, const Names& names, CgroupSample* out) {
  out->usage_bytes = folder.Number(names.usage);
  out->limit_bytes = folder.Number(names.limit);
  if (out->limit_bytes > kVersion1Unlimited) out->limit_bytes = kCgroupAbsent;
  return out->usage_bytes != kCgroupAbsent;
}

// From the group itself outwards. The first that is there is taken for its own: what
// /proc says may be a path of the host's, of which a container sees but the end.
bool ReadGroups(const KernelPaths& paths, const char* mount, CgroupFolder folder,
                CgroupSample* out) {
  const Names& names = folder.version1 ? kVersion1 : kVersion2;
  CgroupFolder tightest = folder;
  bool found = false;
  for (char* end = folder.path + strlen(folder.path); end != nullptr;
       end = strrchr(folder.path, '/')) {
    *end = '\0';
    Folder files(paths.cgroup, mount, folder.path);
    CgroupSample group;
    if (!ReadGroup(files, names, &group)) continue;
    if (!found) ReadEvents(files, names, out);
    // An absent limit is the largest number.
    if (found && group.limit_bytes >= out->limit_bytes) continue;
    found = true;
    out->usage_bytes = group.usage_bytes;
    out->limit_bytes = group.limit_bytes;
    tightest = folder;
  }
  if (!found) return false;
  // Once: the kernel adds it up for all groups inside.
  Folder files(paths.cgroup, mount, tightest.path);
  out->inactive_file_bytes = files.Row("memory.stat", names.inactive_file);
  return true;
}

}  // namespace

bool ParseCgroupFolder(std::string_view text, CgroupFolder* out) {
  std::string_view unified;
  for (size_t at = 0; at < text.size();) {
    std::string_view line = Field(text, &at, '\n');
    size_t in_line = 0;
    std::string_view number = Field(line, &in_line, ':');
    std::string_view controllers = Field(line, &in_line, ':');
    std::string_view path = Field(line, &in_line, '\n');
    if (HasMemory(controllers)) {
      out->version1 = true;
      return CopyPath(path, out);
    }
    if (number == "0" && controllers.empty()) unified = path;
  }
  out->version1 = false;
  return CopyPath(unified, out);
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
  bool found = folder.version1
                   ? ReadGroups(paths_, kMount1, folder, &sample.cgroup)
                   : ReadGroups(paths_, kMount2, folder, &sample.cgroup) ||
                         ReadGroups(paths_, kMount2Beside1, folder, &sample.cgroup);
  return found ? Reason::kNone : Reason::kNotPresent;
}

}  // namespace pymalloc_exporter
