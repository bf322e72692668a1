#include "exporter/publish/request.h"

#include <strings.h>

#include <algorithm>
#include <charconv>

namespace pymalloc_exporter {
namespace {

std::string_view Trim(std::string_view text) {
  size_t start = text.find_first_not_of(" \t");
  if (start == text.npos) return {};
  return text.substr(start, text.find_last_not_of(" \t") - start + 1);
}

// Takes the part of `rest` before the next separator.
std::string_view Take(std::string_view* rest, char separator) {
  size_t end = std::min(rest->find(separator), rest->size());
  std::string_view part = rest->substr(0, end);
  rest->remove_prefix(std::min(end + 1, rest->size()));
  return Trim(part);
}

bool Same(std::string_view text, std::string_view name) {
  return text.size() == name.size() &&
         strncasecmp(text.data(), name.data(), name.size()) == 0;
}

// "q=0", "q=0.", "q=0.000": not acceptable.
bool IsZeroQuality(std::string_view parameter) {
  size_t equals = parameter.find('=');
  if (equals == parameter.npos || !Same(Trim(parameter.substr(0, equals)), "q"))
    return false;
  std::string_view value = Trim(parameter.substr(equals + 1));
  return !value.empty() && value.find_first_not_of("0.") == value.npos;
}

bool Refused(std::string_view parameters) {
  while (!parameters.empty()) {
    if (IsZeroQuality(Take(&parameters, ';'))) return true;
  }
  return false;
}

constexpr std::string_view kWorkersFolder = "/api/v1/workers/";
constexpr int kFirstQuestion = static_cast<int>(HttpPath::kSample);
constexpr int kQuestionCount = static_cast<int>(QuestionKind::kCount);
static_assert(kFirstQuestion + kQuestionCount == static_cast<int>(HttpPath::kOther));

int WorkerNumber(std::string_view text) {
  int number = kNoSlot;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  bool plain = error == std::errc() && end == text.data() + text.size() &&
               text[0] != '-' && (text[0] != '0' || text.size() == 1);
  return plain && number < kSlots ? number : kNoSlot;
}

}  // namespace

Target TargetOf(std::string_view uri) {
  std::string_view path = uri.substr(0, uri.find('?'));
  for (int i = 0; i < kFirstQuestion; ++i) {
    if (path == kHttpPathNames[i]) return {static_cast<HttpPath>(i)};
  }
  if (!path.starts_with(kWorkersFolder)) return {HttpPath::kOther};
  path.remove_prefix(kWorkersFolder.size());
  int worker = WorkerNumber(path.substr(0, path.find('/')));
  path.remove_prefix(std::min(path.find('/'), path.size()));
  for (int i = 0; worker != kNoSlot && i < kQuestionCount; ++i) {
    bool named = path.starts_with('/') && path.substr(1) == kQuestions[i].name;
    if (named) return {static_cast<HttpPath>(kFirstQuestion + i), worker};
  }
  return {HttpPath::kOther};
}

bool QuestionOf(HttpPath path, QuestionKind* kind) {
  int index = static_cast<int>(path) - kFirstQuestion;
  *kind = static_cast<QuestionKind>(index);
  return index >= 0 && index < kQuestionCount;
}

bool AcceptsGzip(std::string_view header) {
  bool any = false;
  while (!header.empty()) {
    std::string_view coding = Take(&header, ',');
    std::string_view name = Take(&coding, ';');
    bool gzip = Same(name, "gzip") || Same(name, "x-gzip");
    if (gzip) return !Refused(coding);
    if (name == "*") any = !Refused(coding);
  }
  return any;
}

}  // namespace pymalloc_exporter
