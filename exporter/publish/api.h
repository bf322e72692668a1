// /api/v1: the workers, and what they answer when they are asked. JSON.
//
//   GET  /api/v1/workers                  who there is
//   GET  /api/v1/workers/N/sample         a look at worker N, made now
//   GET  /api/v1/workers/N/census         its last census: what lives, by type
//   GET  /api/v1/workers/N/diff           what there is more of than in earlier ones
//   GET  /api/v1/workers/N/pins           what keeps sparse arenas and the heap's top
//   POST /api/v1/workers/N/trim           remedies, where they are enabled
//   POST /api/v1/workers/N/collect
//   POST /api/v1/workers/N/clear-free-lists
//
// A remedy changes the process, so a POST for one has to show that it comes from somebody
// who means it, and from no page that a browser happens to show: a header that pages of
// other origins cannot set, no foreign Origin, and a Host that is an address of ours and
// not a name that somebody else let point here (DNS rebinding).
//
// Thread safety: any thread of the server. No GIL. Allocates; may throw std::bad_alloc.

#pragma once

#include <string_view>

#include "exporter/publish/answer.h"
#include "exporter/publish/listen_address.h"
#include "exporter/publish/request.h"
#include "exporter/region/question_desk.h"

namespace pymalloc_exporter {

// Who may apply remedies over HTTP.
enum class RemedyAccess : uint8_t { kNobody, kLoopback, kEverybody };

inline constexpr char kMarkerHeader[] = "X-Pymalloc-Exporter";

struct ApiRequest {
  std::string_view method;
  Target target;
  std::string_view peer;  // its address: "127.0.0.1"
  // Empty where there is no such header; "," where there is more than one.
  std::string_view host;
  std::string_view origin;
  std::string_view marker;
};

struct ApiTerms {
  ListenAddress listen{};
  RemedyAccess remedies = RemedyAccess::kNobody;
  QuestionDesk* desk = nullptr;
};

bool IsApi(HttpPath path);

Answer AnswerApi(const ApiRequest& request, const ApiTerms& terms, const Region& region);

// Why this request may apply no remedy, or null; `code` is then what to answer. Pure.
const char* RefusalOf(const ApiRequest& request, const ApiTerms& terms, HttpCode* code);

}  // namespace pymalloc_exporter
