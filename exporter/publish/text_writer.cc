#include "exporter/publish/text_writer.h"

#include <charconv>
#include <cmath>
#include <string_view>

namespace pymalloc_exporter {
namespace {

// A series takes about this much text.
constexpr size_t kSeriesBytes = 96;

// Up to here every whole number is a double of its own, and is written without exponent.
constexpr double kLargestExact = 9007199254740992.0;  // 2^53

void AppendEscaped(std::string& out, std::string_view text, bool quotes) {
  for (char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && quotes) {
      out += "\\\"";
    } else {
      out += c;
    }
  }
}

void AppendNumber(std::string& out, double value) {
  if (std::isnan(value)) {
    out += "NaN";
    return;
  }
  if (std::isinf(value)) {
    out += value > 0 ? "+Inf" : "-Inf";
    return;
  }
  char digits[32];
  bool whole = std::floor(value) == value && std::fabs(value) <= kLargestExact;
  std::to_chars_result end =
      whole ? std::to_chars(digits, digits + sizeof digits, static_cast<long long>(value))
            : std::to_chars(digits, digits + sizeof digits, value);
  out.append(digits, end.ptr);
}

const char* TypeName(prometheus::MetricType type) {
  switch (type) {
    case prometheus::MetricType::Counter:
      return "counter";
    case prometheus::MetricType::Gauge:
      return "gauge";
    default:
      return "untyped";
  }
}

double ValueOf(const prometheus::MetricFamily& family,
               const prometheus::ClientMetric& series) {
  return family.type == prometheus::MetricType::Counter ? series.counter.value
                                                        : series.gauge.value;
}

void AppendLabels(std::string& out,
                  const std::vector<prometheus::ClientMetric::Label>& labels) {
  char before = '{';
  for (const auto& label : labels) {
    out += before;
    out += label.name;
    out += "=\"";
    AppendEscaped(out, label.value, true);
    out += '"';
    before = ',';
  }
  if (!labels.empty()) out += '}';
}

void AppendFamily(std::string& out, const prometheus::MetricFamily& family) {
  out += "# HELP ";
  out += family.name;
  out += ' ';
  AppendEscaped(out, family.help, false);
  out += "\n# TYPE ";
  out += family.name;
  out += ' ';
  out += TypeName(family.type);
  out += '\n';
  for (const prometheus::ClientMetric& series : family.metric) {
    out += family.name;
    AppendLabels(out, series.label);
    out += ' ';
    AppendNumber(out, ValueOf(family, series));
    out += '\n';
  }
}

}  // namespace

std::string WriteText(const std::vector<prometheus::MetricFamily>& families) {
  size_t series = 0;
  for (const auto& family : families) series += family.metric.size() + 2;
  std::string out;
  out.reserve(series * kSeriesBytes);
  for (const auto& family : families) AppendFamily(out, family);
  return out;
}

}  // namespace pymalloc_exporter
