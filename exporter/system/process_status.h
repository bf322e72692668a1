// What /proc tells of the own process: the rows that need no slow reading.
//
// Sources: proc(5): /proc/PID/status (Vm*, Rss*, Threads: kB and counts; RSS is the sum
// of its three parts there), /proc/PID/stat (times in clock ticks), /proc/PID/statm
// (pages). Parsers are pure: text in, numbers out.

#pragma once

#include <sys/types.h>

#include <string_view>

#include "exporter/sample/collector.h"
#include "exporter/system/files.h"

namespace pymalloc_exporter {

// Memory and thread rows of `out`; false if a row is missing.
bool ParseStatus(std::string_view text, ProcessSample* out);

// Faults, and start time in clock ticks after boot; false on text that is no stat line.
bool ParseStat(std::string_view text, ProcessSample* out, uint64_t* start_ticks);

// Whether that process was stopped by a signal or a debugger; false where it cannot be
// seen.
bool IsStopped(pid_t pid);

class ProcessCollector final : public Collector {
 public:
  explicit ProcessCollector(KernelPaths paths = {}) : paths_(paths) {}

  CollectorId id() const override { return CollectorId::kProcess; }
  // By the kernel, which takes pages away, and by our own threads.
  bool ChangesWhileIdle() const override { return true; }
  Reason Collect(Sample& sample, const StopFlag& stop) noexcept override;

  // Compares one reading with an independent source: the parts of RSS with their sum, and
  // with statm. kNone, kUnreadable or kOracleMismatch.
  Reason Calibrate();

 private:
  bool ReadLimits(ProcessSample* out);

  KernelPaths paths_;
  Reason verdict_ = Reason::kNone;
};

}  // namespace pymalloc_exporter
