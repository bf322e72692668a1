#include "exporter/publish/families.h"

namespace pymalloc_exporter {
namespace {

const MetricDefinition& DefinitionOf(Metric metric) {
  return kMetricTable[static_cast<int>(metric)];
}

}  // namespace

FamilyBuilder::FamilyBuilder() {
  for (const MetricDefinition& definition : kMetricTable) {
    prometheus::MetricFamily& family = families_[static_cast<int>(definition.metric)];
    family.name = definition.name;
    family.help = definition.help;
    family.type = definition.type;
  }
}

void FamilyBuilder::SetWorker(const LiveSample& live) {
  detail_ = live.sample.identity.detail;
  worker_labels_ = {{"app", live.sample.identity.app},
                    {"worker", std::to_string(live.worker)}};
}

bool FamilyBuilder::Shows(Metric metric) const {
  return DefinitionOf(metric).shown != Shown::kOfWorkerFullDetail ||
         detail_ == Detail::kFull;
}

void FamilyBuilder::Add(Metric metric, double value,
                        std::initializer_list<ExtraLabel> extra) {
  prometheus::MetricFamily& family = families_[static_cast<int>(metric)];
  prometheus::ClientMetric& series = family.metric.emplace_back();
  bool of_endpoint = DefinitionOf(metric).shown == Shown::kOfEndpoint;
  series.label.reserve(worker_labels_.size() + extra.size());
  if (!of_endpoint) {
    for (const auto& label : worker_labels_) series.label.push_back(label);
  }
  for (const ExtraLabel& label : extra) {
    series.label.push_back({label.name, std::string(label.value)});
  }
  if (family.type == prometheus::MetricType::Counter) {
    series.counter.value = value;
  } else {
    series.gauge.value = value;
  }
}

void FamilyBuilder::Clear() {
  for (prometheus::MetricFamily& family : families_) family.metric.clear();
}

void AddWorker(const LiveSample& live, FamilyBuilder& builder) {
  builder.SetWorker(live);
  AddProcess(live, builder);
  AddPymalloc(live, builder);
  AddFreeLists(live, builder);
  AddCensus(live, builder);
  AddMalloc(live, builder);
  AddExporter(live, builder);
}

bool HasFigures(const Sample& sample, CollectorId collector) {
  return sample.status(collector).timestamp_seconds > 0;
}

}  // namespace pymalloc_exporter
