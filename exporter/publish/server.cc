#include "exporter/publish/server.h"

#include <civetweb.h>
#include <errno.h>
#include <pthread.h>
#include <strings.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <new>
#include <string>
#include <string_view>

#include "exporter/publish/answer.h"
#include "exporter/publish/crowd.h"
#include "exporter/publish/request.h"
#include "exporter/system/clock.h"

// civetweb would ignore SIGPIPE for the whole process; its build points that call here.
// In its threads every signal is blocked, so a broken connection is an error, as it
// should be.
extern "C" int pymalloc_exporter_ignored_sigaction(int, const void*, void*) { return 0; }

namespace pymalloc_exporter {
namespace {

// civetweb gives a client a second for each piece of which it takes anything: one that
// reads slowly must not keep a thread for longer than this.
constexpr Nanoseconds kSendPatience = 3 * kSecond;
constexpr size_t kSendBytes = 8 * 1024;

void SendHead(mg_connection* connection, int status, const Answer& answer) {
  mg_printf(connection,
            "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s"
            "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
            "Vary: Accept-Encoding\r\nConnection: close\r\n\r\n",
            status, mg_get_response_code_text(connection, status), answer.type,
            answer.body.size(), answer.header);
}

void SendBody(mg_connection* connection, std::string_view body) {
  Nanoseconds deadline = Now() + kSendPatience;
  while (!body.empty() && Now() < deadline) {
    size_t bytes = std::min(body.size(), kSendBytes);
    if (mg_write(connection, body.data(), bytes) != static_cast<int>(bytes)) return;
    body.remove_prefix(bytes);
  }
}

void Count(const Region& region, HttpPath path, HttpCode code) {
  ++region.counters().http_requests[static_cast<int>(path)][static_cast<int>(code)];
}

HttpCode NearestCode(int status) {
  for (int i = 0; i < static_cast<int>(HttpCode::kCount); ++i) {
    if (kHttpCodeValues[i] == status) return static_cast<HttpCode>(i);
  }
  return status < 500 ? HttpCode::k400 : HttpCode::k503;
}

// Empty where there is none, "," where it is given more than once.
std::string_view Header(const mg_request_info& info, const char* name) {
  std::string_view value;
  for (int i = 0; i < info.num_headers; ++i) {
    if (strcasecmp(info.http_headers[i].name, name) != 0) continue;
    value = value.data() == nullptr ? std::string_view(info.http_headers[i].value) : ",";
  }
  return value;
}

ApiRequest MakeRequest(const mg_request_info& info, const Target& target) {
  return {info.request_method,    target,
          info.remote_addr,       Header(info, "Host"),
          Header(info, "Origin"), Header(info, kMarkerHeader)};
}

// An allocation that failed must not need another one: the text fits into the string.
Answer MakeAnswer(mg_connection* connection, const Target& target, const ApiTerms& terms,
                  const Region& region) {
  try {
    const mg_request_info& info = *mg_get_request_info(connection);
    Answer answer = IsApi(target.path)
                        ? AnswerApi(MakeRequest(info, target), terms, region)
                        : AnswerTo(info.request_method, target.path, region);
    const char* accepted = mg_get_header(connection, "Accept-Encoding");
    if (accepted != nullptr && AcceptsGzip(accepted)) Compress(answer);
    return answer;
  } catch (...) {
    return {HttpCode::k503, kPlainType, "out of memory\n"};
  }
}

}  // namespace

// What civetweb calls. Its C code must see no exception.
class ServerCallbacks {
 public:
  static Server& Of(const mg_context* context) {
    return *static_cast<Server*>(mg_get_user_data(context));
  }

  static int BeginRequest(mg_connection* connection) {
    // Else it waits for what remains of a body, though it comes byte by byte for ever.
    mg_disable_connection_keep_alive(connection);
    Server& server = Of(mg_get_context(connection));
    const mg_request_info& request = *mg_get_request_info(connection);
    Target target = TargetOf(request.request_uri);
    Answer answer = MakeAnswer(connection, target, server.terms_, server.region_);
    Count(server.region_, target.path, answer.code);
    SendHead(connection, kHttpCodeValues[static_cast<int>(answer.code)], answer);
    if (strcmp(request.request_method, "HEAD") != 0) SendBody(connection, answer.body);
    return 1;
  }

  // What civetweb refuses by itself: requests that are no HTTP, too large, too slow. Its
  // own answer repeats what the client sent.
  static int HttpError(mg_connection* connection, int status, const char*) {
    Count(Of(mg_get_context(connection)).region_, HttpPath::kOther, NearestCode(status));
    Answer answer{NearestCode(status), kPlainType, "refused\n"};
    SendHead(connection, status, answer);
    SendBody(connection, answer.body);
    return 0;
  }

  // Its threads log as well: of broken connections, which are nobody's business.
  static int LogMessage(const mg_connection* connection, const char* message) {
    const mg_context* context =
        connection == nullptr ? nullptr : mg_get_context(connection);
    if (context == nullptr) return 1;
    Server& server = Of(context);
    if (pthread_equal(pthread_self(), server.starter_)) {
      snprintf(server.last_message_, kServerErrorBytes, "%s", message);
    }
    return 1;
  }

  static void CloseConnection(const mg_connection*) { CountOut(); }

  static void* InitThread(const mg_context* context, int) {
    clockid_t clock;
    if (pthread_getcpuclockid(pthread_self(), &clock) != 0) return nullptr;
    for (std::atomic<int>& slot : Of(context).clocks_) {
      int none = 0;
      if (slot.compare_exchange_strong(none, clock)) return &slot;
    }
    return nullptr;
  }

  static void ExitThread(const mg_context* context, int, void* slot) {
    if (slot == nullptr) return;
    static_cast<std::atomic<int>*>(slot)->store(0);
    Of(context).ended_nanoseconds_ += Now(CLOCK_THREAD_CPUTIME_ID);
  }
};

namespace {

mg_callbacks Callbacks() {
  mg_callbacks callbacks{};
  callbacks.begin_request = ServerCallbacks::BeginRequest;
  callbacks.http_error = ServerCallbacks::HttpError;
  callbacks.log_message = ServerCallbacks::LogMessage;
  callbacks.connection_closed = ServerCallbacks::CloseConnection;
  callbacks.init_thread = ServerCallbacks::InitThread;
  callbacks.exit_thread = ServerCallbacks::ExitThread;
  return callbacks;
}

mg_context* StartServer(const ListenAddress& address, Server* server, char* error) {
  std::string ports = ListeningPorts(address);
  std::string threads = std::to_string(kServerThreads);
  const char* options[][2] = {
      {"listening_ports", ports.c_str()},   {"num_threads", threads.c_str()},
      {"connection_queue", "64"},           {"listen_backlog", "1024"},
      {"request_timeout_ms", "1000"},       {"max_request_size", "4096"},
      {"enable_keep_alive", "no"},          {"decode_url", "no"},
      {"enable_directory_listing", "no"},   {"enable_auth_domain_check", "no"},
      {"access_control_allow_origin", ""},  {"access_control_allow_methods", ""},
      {"access_control_allow_headers", ""}, {nullptr, nullptr}};
  mg_callbacks callbacks = Callbacks();
  mg_init_data init{&callbacks, server, options[0]};
  mg_error_data problem{};
  problem.text = error;
  problem.text_buffer_size = kServerErrorBytes;
  return mg_start2(&init, &problem);
}

}  // namespace

ServerStart Server::Start(const ListenAddress& address, const Region& region,
                          char* error) {
  // civetweb tells no reason.
  int refused = TryToBind(address);
  if (refused != 0) {
    snprintf(error, kServerErrorBytes, "%s", strerror(refused));
    return refused == EADDRINUSE ? ServerStart::kPortTaken : ServerStart::kFailed;
  }
  static const unsigned initialized = mg_init_library(MG_FEATURES_DEFAULT);
  static_cast<void>(initialized);
  ForgetConnections();
  terms_.listen = address;
  region_ = region;
  starter_ = pthread_self();
  last_message_[0] = '\0';
  try {
    context_ = StartServer(address, this, error);
  } catch (const std::bad_alloc&) {
    snprintf(error, kServerErrorBytes, "%s", strerror(ENOMEM));
  }
  if (context_ != nullptr) return ServerStart::kServing;
  if (error[0] == '\0') snprintf(error, kServerErrorBytes, "%s", last_message_);
  return ServerStart::kFailed;
}

void Server::Stop() {
  if (context_ == nullptr) return;
  // Else it sleeps in a poll of its listener for up to 0.2 s.
  ShutDownListener(terms_.listen);
  mg_stop(context_);
  context_ = nullptr;
}

void Server::Forget() {
  context_ = nullptr;
  ended_nanoseconds_ = 0;
  for (std::atomic<int>& clock : clocks_) clock = 0;
}

double Server::cpu_seconds() const {
  Nanoseconds total = ended_nanoseconds_;
  for (const std::atomic<int>& clock : clocks_) {
    if (clock != 0) total += Now(clock);
  }
  return static_cast<double>(total) / kSecond;
}

}  // namespace pymalloc_exporter
