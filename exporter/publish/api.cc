#include "exporter/publish/api.h"

#include <arpa/inet.h>
#include <strings.h>

#include <algorithm>

#include "exporter/publish/scrape.h"
#include "exporter/system/clock.h"

namespace pymalloc_exporter {
namespace {

constexpr char kJsonType[] = "application/json; charset=utf-8";
constexpr char kAllowGet[] = "Allow: GET, HEAD\r\n";
constexpr char kAllowPost[] = "Allow: POST\r\n";

// A row of /api/v1/workers needs less than half of this.
constexpr size_t kMostRowBytes = 1024;

struct Outcome {
  HttpCode code;
  const char* error;
};

// By ReplyStatus.
constexpr Outcome kOutcomes[] = {
    {HttpCode::k200, ""},
    {HttpCode::k503, "the worker cannot do that"},
    {HttpCode::k403, "the worker's settings allow no remedies"},
    {HttpCode::k503, "other questions are being answered: try again"},
    {HttpCode::k404, "no such worker, or it cannot be reached"},
    {HttpCode::k504, "no answer in time: the worker is stopped or busy"},
    {HttpCode::k503, "the worker or the one that serves forked or ended: try again"},
    {HttpCode::k502, "the worker's answer makes no sense"},
};
static_assert(sizeof kOutcomes / sizeof *kOutcomes ==
              static_cast<size_t>(ReplyStatus::kCount));

Answer Json(HttpCode code, std::string body, const char* header = "") {
  return {code, kJsonType, std::move(body) + "\n", header};
}

Answer Error(HttpCode code, std::string_view error, const char* header = "") {
  char buffer[512];
  JsonText text(buffer, sizeof buffer);
  text.Begin('{').Key("error").String(error).End('}');
  return Json(code, std::string(text.text()), header);
}

void WriteWorker(const LiveSample& live, double now, JsonText& text) {
  const Identity& identity = live.sample.identity;
  text.Begin('{').Row("worker", int64_t{live.worker});
  text.Key("role").String(kRoleNames[static_cast<int>(live.role)]);
  text.Row("pid", int64_t{identity.pid}).Key("app").String(identity.app);
  text.Key("version").String(identity.version);
  text.Key("serving").Bool(identity.serving);
  text.Row("age_seconds", std::max(now - live.sample.timestamp_seconds, 0.0));
  text.Row("resident_bytes", live.sample.process.resident_bytes).End('}');
}

Answer Workers(const Region& region) {
  Scrape scrape = ReadRegion(region);
  std::string buffer((scrape.workers.size() + 1) * kMostRowBytes, '\0');
  JsonText text(buffer.data(), buffer.size());
  text.Begin('{').Key("workers").Begin('[');
  for (const LiveSample& live : scrape.workers) {
    WriteWorker(live, Seconds(CLOCK_REALTIME), text);
  }
  text.End(']').Row("without_slot", scrape.processes_without_slot).End('}');
  return Json(HttpCode::k200, std::string(text.text()));
}

Answer AskWorker(QuestionKind kind, int worker, const ApiTerms& terms) {
  std::string text;
  ReplyStatus status = terms.desk == nullptr ? ReplyStatus::kNoWorker
                                             : terms.desk->Ask(kind, worker, 0, &text);
  const Outcome& outcome = kOutcomes[static_cast<size_t>(status)];
  if (!text.empty()) return Json(outcome.code, std::move(text));
  return Error(outcome.code, outcome.error);
}

bool IsLoopback(std::string_view address) {
  return address.starts_with("127.") || address == "::1" ||
         address.starts_with("::ffff:127.");
}

// The host of "HOST:PORT" without brackets, if the port is ours; else empty.
std::string HostWithPort(std::string_view text, uint16_t port) {
  std::string wanted = ":" + std::to_string(port);
  if (!text.ends_with(wanted)) return {};
  text.remove_suffix(wanted.size());
  if (text.starts_with('[') && text.ends_with(']') && text.size() > 2)
    text = text.substr(1, text.size() - 2);
  return std::string(text);
}

bool IsLiteral(const std::string& host) {
  char address[sizeof(in6_addr)];
  return inet_pton(AF_INET, host.c_str(), address) == 1 ||
         inet_pton(AF_INET6, host.c_str(), address) == 1;
}

bool OurHost(std::string_view text, const ApiTerms& terms) {
  std::string host = HostWithPort(text, terms.listen.port);
  if (host.empty() || host.find('\0') != host.npos) return false;
  if (strcasecmp(host.c_str(), "localhost") == 0 || host == terms.listen.host)
    return true;
  if (!IsLiteral(host)) return false;
  return IsLoopback(host) || terms.remedies == RemedyAccess::kEverybody;
}

bool OurOrigin(const ApiRequest& request) {
  return request.origin.empty() ||
         request.origin == "http://" + std::string(request.host);
}

}  // namespace

bool IsApi(HttpPath path) {
  return path >= HttpPath::kWorkers && path < HttpPath::kOther;
}

const char* RefusalOf(const ApiRequest& request, const ApiTerms& terms, HttpCode* code) {
  *code = HttpCode::k404;
  if (terms.remedies == RemedyAccess::kNobody)
    return "remedies are not enabled (--enable-admin-api)";
  *code = HttpCode::k403;
  if (terms.remedies != RemedyAccess::kEverybody && !IsLoopback(request.peer))
    return "remedies are for clients on this machine";
  if (!OurHost(request.host, terms))
    return "the Host is not an address of this server, with its port";
  if (!OurOrigin(request)) return "the Origin is another one";
  *code = HttpCode::k405;
  if (request.method != "POST") return "only POST";
  *code = HttpCode::k403;
  if (request.marker != "1") return "without the header X-Pymalloc-Exporter: 1";
  return nullptr;
}

Answer AnswerApi(const ApiRequest& request, const ApiTerms& terms, const Region& region) {
  QuestionKind kind;
  bool question = QuestionOf(request.target.path, &kind);
  if (question && RowOf(kind).remedy) {
    HttpCode code;
    const char* refusal = RefusalOf(request, terms, &code);
    const char* header = code == HttpCode::k405 ? kAllowPost : "";
    if (refusal != nullptr) return Error(code, refusal, header);
    return AskWorker(kind, request.target.worker, terms);
  }
  if (request.method != "GET" && request.method != "HEAD")
    return Error(HttpCode::k405, "only GET and HEAD", kAllowGet);
  return question ? AskWorker(kind, request.target.worker, terms) : Workers(region);
}

}  // namespace pymalloc_exporter
