#include "exporter/publish/text_writer.h"

#include <charconv>
#include <cmath>
#include <string_view>

namespace pymalloc_exporter {
namespace {

// Up to here every whole number is a double of its own, and is written without exponent.
constexpr double kLargestExact = 9007199254740992.0;  // 2^53

void AppendEscaped(std::string& out, std::string_view text, bool quotes) {
  size_t done = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c != '\\' && c != '\n' && !(c == '"' && quotes)) continue;
    out += text.substr(done, i - done);
    out += '\\';
    out += c == '\n' ? 'n' : c;
    done = i + 1;
  }
  out += text.substr(done);
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

void AppendHead(std::string& out, const prometheus::MetricFamily& family) {
  out += "# HELP ";
  out += family.name;
  out += ' ';
  AppendEscaped(out, family.help, false);
  out += "\n# TYPE ";
  out += family.name;
  out += ' ';
  out += TypeName(family.type);
  out += '\n';
}

}  // namespace

void TextWriter::Add(size_t place, const prometheus::MetricFamily& family) {
  std::string& out = texts_[place];
  if (out.empty() && !family.metric.empty()) AppendHead(out, family);
  for (const prometheus::ClientMetric& series : family.metric) {
    out += family.name;
    AppendLabels(out, series.label);
    out += ' ';
    AppendNumber(out, ValueOf(family, series));
    out += '\n';
  }
}

void TextWriter::Reserve(size_t times) {
  for (std::string& text : texts_) text.reserve(text.size() * times * 5 / 4);
}

std::string TextWriter::Text() const {
  size_t bytes = 0;
  for (const std::string& text : texts_) bytes += text.size();
  std::string out;
  out.reserve(bytes);
  for (const std::string& text : texts_) out += text;
  return out;
}

}  // namespace pymalloc_exporter
