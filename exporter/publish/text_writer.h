// Metric families to Prometheus' text format, version 0.0.4.
//
// Source: prometheus.io/docs/instrumenting/exposition_formats. Numbers are written as
// short as they can be read back exactly. prometheus-cpp's own serializer needs several
// times as long (tests/bench) and leaves HELP unescaped.
//
// Thread safety: pure. No GIL. Allocates; may throw std::bad_alloc.

#pragma once

#include <prometheus/metric_family.h>

#include <string>
#include <vector>

namespace pymalloc_exporter {

std::string WriteText(const std::vector<prometheus::MetricFamily>& families);

}  // namespace pymalloc_exporter
