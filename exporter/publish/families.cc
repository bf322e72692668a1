#include "exporter/publish/families.h"

namespace pymalloc_exporter {

FamilyBuilder::FamilyBuilder(size_t workers) : workers_(workers) {
  for (int i = 0; i < kMetricCount; ++i) {
    families_[i].name = kMetricTable[i].name;
    families_[i].help = kMetricTable[i].help;
    families_[i].type = kMetricTable[i].type;
  }
}

void FamilyBuilder::SetWorker(const LiveSample& live) {
  // The first worker has shown how many series each family has.
  if (++workers_begun_ == 2) {
    for (prometheus::MetricFamily& family : families_) {
      family.metric.reserve(family.metric.size() * workers_);
    }
  }
  worker_labels_ = {{"app", live.sample.identity.app},
                    {"worker", std::to_string(live.worker)}};
}

void FamilyBuilder::Add(Metric metric, double value,
                        std::initializer_list<ExtraLabel> extra) {
  Append(metric, value, worker_labels_.size(), extra);
}

void FamilyBuilder::AddOfEndpoint(Metric metric, double value,
                                  std::initializer_list<ExtraLabel> extra) {
  Append(metric, value, 0, extra);
}

void FamilyBuilder::Append(Metric metric, double value, size_t shared_labels,
                           std::initializer_list<ExtraLabel> extra) {
  prometheus::MetricFamily& family = families_[static_cast<int>(metric)];
  prometheus::ClientMetric& series = family.metric.emplace_back();
  series.label.reserve(shared_labels + extra.size());
  for (size_t i = 0; i < shared_labels; ++i) series.label.push_back(worker_labels_[i]);
  for (const ExtraLabel& label : extra) series.label.push_back({label.name, label.value});
  if (family.type == prometheus::MetricType::Counter) {
    series.counter.value = value;
  } else {
    series.gauge.value = value;
  }
}

std::vector<prometheus::MetricFamily> FamilyBuilder::Take() {
  std::vector<prometheus::MetricFamily> taken;
  taken.reserve(kMetricCount);
  for (prometheus::MetricFamily& family : families_) {
    if (!family.metric.empty()) taken.push_back(std::move(family));
  }
  return taken;
}

std::vector<prometheus::MetricFamily> BuildFamilies(const Scrape& scrape) {
  FamilyBuilder builder(scrape.workers.size());
  for (const LiveSample& live : scrape.workers) {
    builder.SetWorker(live);
    AddProcess(live, builder);
    AddPymalloc(live, builder);
    AddExporter(live, builder);
  }
  AddEndpoint(scrape, builder);
  return builder.Take();
}

bool HasFigures(const Sample& sample, CollectorId collector) {
  return sample.status(collector).timestamp_seconds > 0;
}

}  // namespace pymalloc_exporter
