// Samples to metric families: the model that is then written as text.
//
// Thread safety: pure. No GIL. Allocates; may throw std::bad_alloc.

#pragma once

#include <prometheus/metric_family.h>

#include <array>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "exporter/publish/metric_table.h"
#include "exporter/publish/scrape.h"

namespace pymalloc_exporter {

// One label beside `app` and `worker`.
struct ExtraLabel {
  const char* name;
  std::string_view value;
};

// Collects series under the names of the metric table. Made to be cleared after each
// worker: then a scrape needs no more memory for its model than one worker's series take.
class FamilyBuilder {
 public:
  FamilyBuilder();

  // The series that follow belong to this worker.
  void SetWorker(const LiveSample& live);
  // Whether the detail of this worker has the metric.
  bool Shows(Metric metric) const;

  void Add(Metric metric, double value, std::initializer_list<ExtraLabel> extra = {});

  // In the order of the table; a family may have no series.
  const std::array<prometheus::MetricFamily, kMetricCount>& families() const {
    return families_;
  }
  // Forgets the series.
  void Clear();

 private:
  std::vector<prometheus::ClientMetric::Label> worker_labels_;
  Detail detail_ = Detail::kDefault;
  std::array<prometheus::MetricFamily, kMetricCount> families_;
};

// The groups, a file each. Series of a collector that never ran well are left out; of one
// that did, its last figures stand.
void AddProcess(const LiveSample& live, FamilyBuilder& builder);
void AddPymalloc(const LiveSample& live, FamilyBuilder& builder);
void AddFreeLists(const LiveSample& live, FamilyBuilder& builder);
void AddCensus(const LiveSample& live, FamilyBuilder& builder);
void AddMalloc(const LiveSample& live, FamilyBuilder& builder);
void AddExporter(const LiveSample& live, FamilyBuilder& builder);
void AddEndpoint(const Scrape& scrape, FamilyBuilder& builder);

// All groups of a worker.
void AddWorker(const LiveSample& live, FamilyBuilder& builder);

// Whether the collector has ever run well in this process.
bool HasFigures(const Sample& sample, CollectorId collector);

// "00-10" ... "90-100", "100".
std::string OccupancyBandName(int band);

inline double Number(uint64_t value) { return static_cast<double>(value); }

}  // namespace pymalloc_exporter
