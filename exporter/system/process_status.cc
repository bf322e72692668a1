#include "exporter/system/process_status.h"

#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>

#include "exporter/system/clock.h"

namespace pymalloc_exporter {
namespace {

constexpr uint64_t kKilobyte = 1024;

bool FindKilobytes(std::string_view text, std::string_view key, uint64_t* bytes) {
  if (!FindNumber(text, key, bytes)) return false;
  *bytes *= kKilobyte;
  return true;
}

// The field `number` (1-based, as proc(5) counts) of a stat line. The second, the
// command, may hold blanks and parentheses: fields are counted from the last ')'.
bool StatField(std::string_view text, int number, uint64_t* value) {
  size_t at = text.rfind(')');
  if (at == text.npos) return false;
  for (int field = 2; field < number; ++field) {
    at = text.find(' ', at + 1);
    if (at == text.npos) return false;
  }
  return ParseNumber(text.substr(at), value);
}

double TicksToSeconds(uint64_t ticks) {
  return static_cast<double>(ticks) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

double BootTime() { return Seconds(CLOCK_REALTIME) - Seconds(CLOCK_BOOTTIME); }

uint64_t Difference(uint64_t a, uint64_t b) { return a > b ? a - b : b - a; }

}  // namespace

bool ParseStatus(std::string_view text, ProcessSample* out) {
  return FindKilobytes(text, "VmSize:", &out->virtual_bytes) &&
         FindKilobytes(text, "VmHWM:", &out->resident_peak_bytes) &&
         FindKilobytes(text, "VmRSS:", &out->resident_bytes) &&
         FindKilobytes(text, "RssAnon:", &out->resident_anon_bytes) &&
         FindKilobytes(text, "RssFile:", &out->resident_file_bytes) &&
         FindKilobytes(text, "RssShmem:", &out->resident_shmem_bytes) &&
         FindKilobytes(text, "VmSwap:", &out->swap_bytes) &&
         FindNumber(text, "Threads:", &out->threads);
}

bool ParseStat(std::string_view text, ProcessSample* out, uint64_t* start_ticks) {
  return StatField(text, 10, &out->minor_faults) &&
         StatField(text, 12, &out->major_faults) && StatField(text, 22, start_ticks);
}

bool IsStopped(pid_t pid) {
  char name[32], buffer[512];
  snprintf(name, sizeof name, "%d/stat", pid);
  std::string_view text = ReadFile("/proc", name, buffer, sizeof buffer);
  size_t end = text.rfind(") ");
  if (end == text.npos || end + 2 >= text.size()) return false;
  char state = text[end + 2];
  return state == 'T' || state == 't';
}

Reason ProcessCollector::Calibrate() {
  char buffer[4096];
  ProcessSample process;
  uint64_t pages = 0;
  std::string_view statm = ReadFile(paths_.proc, "self/statm", buffer, sizeof buffer);
  size_t second = statm.find(' ');
  if (second == statm.npos || !ParseNumber(statm.substr(second), &pages)) {
    return verdict_ = Reason::kUnreadable;
  }
  if (!ParseStatus(ReadFile(paths_.proc, "self/status", buffer, sizeof buffer),
                   &process)) {
    return verdict_ = Reason::kUnreadable;
  }
  uint64_t parts = process.resident_anon_bytes + process.resident_file_bytes +
                   process.resident_shmem_bytes;
  uint64_t statm_bytes = pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  // The kernel keeps these counters per thread and adds them up late: some 64 pages each.
  uint64_t tolerance = (1 << 20) + process.resident_bytes / 10;
  bool agrees = parts == process.resident_bytes &&
                Difference(statm_bytes, process.resident_bytes) <= tolerance;
  return verdict_ = agrees ? Reason::kNone : Reason::kOracleMismatch;
}

bool ProcessCollector::ReadLimits(ProcessSample* out) {
  int64_t open_fds = CountEntries(paths_.proc, "self/fd");
  rlimit limit;
  if (open_fds < 0 || getrlimit(RLIMIT_NOFILE, &limit) != 0) return false;
  out->open_fds = static_cast<uint64_t>(open_fds);
  out->max_fds = limit.rlim_cur;
  return true;
}

Reason ProcessCollector::Collect(Sample& sample, const StopFlag&) noexcept {
  if (verdict_ != Reason::kNone) return verdict_;
  char buffer[4096];
  ProcessSample process;
  uint64_t start_ticks = 0;
  bool read = ParseStatus(ReadFile(paths_.proc, "self/status", buffer, sizeof buffer),
                          &process) &&
              ParseStat(ReadFile(paths_.proc, "self/stat", buffer, sizeof buffer),
                        &process, &start_ticks) &&
              ReadLimits(&process);
  if (!read) return Reason::kUnreadable;
  process.cpu_seconds = Seconds(CLOCK_PROCESS_CPUTIME_ID);
  process.start_time_seconds = sample.process.start_time_seconds > 0
                                   ? sample.process.start_time_seconds
                                   : BootTime() + TicksToSeconds(start_ticks);
  sample.process = process;
  sample.identity.parent_pid = getppid();
  return Reason::kNone;
}

}  // namespace pymalloc_exporter
