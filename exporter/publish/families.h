// Samples to metric families: the model that is then written as text.
//
// Thread safety: pure. No GIL. Allocates; may throw std::bad_alloc.

#pragma once

#include <prometheus/metric_family.h>

#include <initializer_list>
#include <string>
#include <vector>

#include "exporter/publish/metric_table.h"
#include "exporter/publish/scrape.h"

namespace pymalloc_exporter {

// One label beside `app` and `worker`.
struct ExtraLabel {
  const char* name;
  std::string value;
};

// Collects series under the names of the metric table.
class FamilyBuilder {
 public:
  explicit FamilyBuilder(size_t workers);

  // The series that follow belong to this worker.
  void SetWorker(const LiveSample& live);

  void Add(Metric metric, double value, std::initializer_list<ExtraLabel> extra = {});
  // A series of the endpoint: without the labels app and worker.
  void AddOfEndpoint(Metric metric, double value,
                     std::initializer_list<ExtraLabel> extra = {});

  // The families that have a series, in the order of the table.
  std::vector<prometheus::MetricFamily> Take();

 private:
  void Append(Metric metric, double value, size_t shared_labels,
              std::initializer_list<ExtraLabel> extra);

  size_t workers_;
  size_t workers_begun_ = 0;
  std::vector<prometheus::ClientMetric::Label> worker_labels_;
  prometheus::MetricFamily families_[kMetricCount];
};

// The groups, a file each. Series of a collector that never ran well are left out; of one
// that did, its last figures stand.
void AddProcess(const LiveSample& live, FamilyBuilder& builder);
void AddPymalloc(const LiveSample& live, FamilyBuilder& builder);
void AddExporter(const LiveSample& live, FamilyBuilder& builder);
void AddEndpoint(const Scrape& scrape, FamilyBuilder& builder);

std::vector<prometheus::MetricFamily> BuildFamilies(const Scrape& scrape);

// Whether the collector has ever run well in this process.
bool HasFigures(const Sample& sample, CollectorId collector);

// "00-10" ... "90-100", "100".
std::string OccupancyBandName(int band);

}  // namespace pymalloc_exporter
