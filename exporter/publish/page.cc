#include "exporter/publish/page.h"

#include <algorithm>
#include <cstdio>
#include <string_view>

#include "exporter/publish/families.h"

namespace pymalloc_exporter {
namespace {

constexpr char kHead[] = R"(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>pymalloc_exporter</title>
<style>
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; padding: 0 1rem;
  max-width: 72rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .6rem; text-align: left; border-bottom: 1px solid #8884; }
th { font-weight: 600; }
.n { text-align: right; }
.verdict { font-weight: 600; }
.down { color: light-dark(#a40000, #ff8080); }
footer { margin-top: 1.5rem; opacity: .7; }
</style>
</head>
<body>
<h1>pymalloc_exporter</h1>
<p><a href="metrics">Metrics</a> &middot; <a href="-/healthy">healthy</a> &middot;
<a href="-/ready">ready</a></p>
)";

constexpr char kColumns[] =
    "<table>\n<thead><tr><th>Worker</th><th>Role</th><th class=n>Pid</th><th>App</th>"
    "<th>Python</th><th class=n>RSS</th><th class=n>Live in arenas</th>"
    "<th class=n>Arenas</th>"
    "<th class=n>Occupancy</th><th class=n>RSS / live</th><th>Verdict</th>"
    "<th class=n>Age</th><th>Down</th></tr></thead>\n<tbody>\n";

std::string Escape(std::string_view text) {
  std::string out;
  for (char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

template <typename... Arguments>
std::string Format(const char* format, Arguments... arguments) {
  char text[64];
  snprintf(text, sizeof text, format, arguments...);
  return text;
}

std::string Megabytes(uint64_t bytes) {
  return Format("%.1f MiB", static_cast<double>(bytes) / (1 << 20));
}

std::string Cell(const std::string& text) { return "<td>" + text + "</td>"; }
std::string Figure(const std::string& text) { return "<td class=n>" + text + "</td>"; }

std::string Occupancy(const PymallocSample& pymalloc) {
  double bytes = static_cast<double>(pymalloc.arenas * pymalloc.arena_size_bytes);
  if (bytes == 0) return "";
  return Format("%.0f %%", 100 * static_cast<double>(pymalloc.live_bytes) / bytes);
}

std::string CollectorsDown(const Sample& sample) {
  std::string out;
  for (int i = 0; i < kCollectorCount; ++i) {
    const CollectorStatus& status = sample.collectors[i];
    if (status.up()) continue;
    if (!out.empty()) out += ", ";
    out += kCollectorNames[i];
    out += ": ";
    out += kReasonNames[static_cast<int>(status.reason)];
  }
  return out;
}

std::string Ratio(const Sample& sample) {
  const Ledger& ledger = sample.ledger.ledger;
  if (!HasFigures(sample, CollectorId::kLedger) || ledger.live_bytes == 0) return "";
  return Format("%.2f", Number(ledger.resident_bytes) / Number(ledger.live_bytes));
}

// ", most of type TYPE" for a leak of a type that is known.
std::string Leaking(const Sample& sample) {
  for (uint32_t i = 0; i < sample.census.live_rows; ++i) {
    const char* type = sample.census.live[i].type;
    if (TypeHash(type) == sample.ledger.judgement.type_hash)
      return std::string(", most of type ") + Escape(type);
  }
  return "";
}

// "healthy", or the verdict with what led to it, what helps and what that would give.
std::string VerdictOf(const Sample& sample) {
  if (!HasFigures(sample, CollectorId::kLedger)) return "";
  const Judgement& judgement = sample.ledger.judgement;
  auto index = static_cast<int>(judgement.verdict);
  std::string name = kVerdictNames[index];
  std::replace(name.begin(), name.end(), '_', ' ');
  if (judgement.verdict == Verdict::kHealthy) return name;
  return "<span class=verdict>" + name + "</span>: " + Megabytes(judgement.bytes) + " (" +
         Format("%.0f %%", 100 * judgement.ratio) + ") of " +
         kVerdictTexts[index].finding + Leaking(sample) +
         ". Remedy: " + kVerdictTexts[index].remedy + ". It would give back " +
         Megabytes(judgement.gain_bytes) + ".";
}

std::string Row(const LiveSample& live, double now) {
  const Sample& sample = live.sample;
  const Identity& identity = sample.identity;
  bool walked = HasFigures(sample, CollectorId::kPymalloc);
  std::string role = kRoleNames[static_cast<int>(live.role)];
  if (identity.serving) role += " (serves)";
  double age = std::max(now - sample.timestamp_seconds, 0.0);
  return "<tr>" + Cell(std::to_string(live.worker)) + Cell(role) +
         Figure(std::to_string(identity.pid)) + Cell(Escape(identity.app)) +
         Cell(Escape(identity.version)) +
         Figure(Megabytes(sample.process.resident_bytes)) +
         Figure(walked ? Megabytes(sample.pymalloc.live_bytes) : "") +
         Figure(walked ? std::to_string(sample.pymalloc.arenas) : "") +
         Figure(walked ? Occupancy(sample.pymalloc) : "") + Figure(Ratio(sample)) +
         Cell(VerdictOf(sample)) + Figure(Format("%.0f s", age)) + "<td class=down>" +
         CollectorsDown(sample) + "</td></tr>\n";
}

}  // namespace

std::string WritePage(const Scrape& scrape, double now) {
  std::string out = kHead;
  out += kColumns;
  for (const LiveSample& live : scrape.workers) out += Row(live, now);
  out += "</tbody>\n</table>\n<footer>";
  out += std::to_string(scrape.workers.size()) + " processes, " +
         std::to_string(scrape.processes_without_slot) + " without a slot. Version " +
         PYMALLOC_EXPORTER_VERSION + ".</footer>\n</body>\n</html>\n";
  return out;
}

}  // namespace pymalloc_exporter
