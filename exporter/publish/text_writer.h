// Metric families to Prometheus' text format, version 0.0.4.
//
// Source: prometheus.io/docs/instrumenting/exposition_formats. Numbers are written as
// short as they can be read back exactly. prometheus-cpp's own serializer needs several
// times as long (tests/bench) and leaves HELP unescaped.
//
// Thread safety: none. No GIL. Allocates; may throw std::bad_alloc.

#pragma once

#include <prometheus/metric_family.h>

#include <string>
#include <vector>

namespace pymalloc_exporter {

// Takes the series of a family in several goes, since they come worker by worker and the
// format wants each family in one piece.
class TextWriter {
 public:
  // `families`: how many there may be.
  explicit TextWriter(size_t families) : texts_(families) {}

  // Appends the series to those of the family in this place, below `families`.
  void Add(size_t place, const prometheus::MetricFamily& family);

  // Sets memory aside for `times` as much text as there is, and a quarter more for longer
  // numbers. Without it, growing texts cost as much as writing them.
  void Reserve(size_t times);

  // The text of the families that have a series, by their places.
  std::string Text() const;

 private:
  std::vector<std::string> texts_;
};

}  // namespace pymalloc_exporter
