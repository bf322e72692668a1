#include "exporter/publish/server.h"

#include <arpa/inet.h>
#include <civetweb.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string>

#include "exporter/publish/families.h"
#include "exporter/publish/page.h"
#include "exporter/publish/request.h"
#include "exporter/publish/scrape.h"
#include "exporter/publish/text_writer.h"
#include "exporter/system/clock.h"

// civetweb would ignore SIGPIPE for the whole process; its build points that call here.
// In its threads every signal is blocked, so a broken connection is an error, as it
// should be.
extern "C" int pymalloc_exporter_ignored_sigaction(int, const void*, void*) { return 0; }

namespace pymalloc_exporter {
namespace {

constexpr char kMetricsType[] = "text/plain; version=0.0.4; charset=utf-8";
constexpr char kPageType[] = "text/html; charset=utf-8";
constexpr char kPlainType[] = "text/plain; charset=utf-8";

// Level 1: a fifth of the time of level 6 for 3 to 9 percent more bytes.
constexpr int kGzipLevel = 1;
constexpr int kGzipWindow = 15 + 16;

struct Response {
  HttpCode code;
  const char* type;
  std::string body;
  const char* extra_header = "";
};

const char* StatusText(HttpCode code) {
  switch (code) {
    case HttpCode::k200:
      return "OK";
    case HttpCode::k400:
      return "Bad Request";
    case HttpCode::k404:
      return "Not Found";
    case HttpCode::k405:
      return "Method Not Allowed";
    default:
      return "Service Unavailable";
  }
}

std::string Gzip(const std::string& text) {
  z_stream stream{};
  if (deflateInit2(&stream, kGzipLevel, Z_DEFLATED, kGzipWindow, 8, Z_DEFAULT_STRATEGY) !=
      Z_OK) {
    throw std::bad_alloc();
  }
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  int result = deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  if (result != Z_STREAM_END) throw std::runtime_error("deflate");
  return out;
}

bool AnySample(const Region& region) {
  Sample sample;
  for (int slot = 0; slot < kSlots; ++slot) {
    if (region.Read(slot, &sample) == SlotState::kGood) return true;
  }
  return false;
}

Response Answer(HttpPath path, const Region& region) {
  switch (path) {
    case HttpPath::kMetrics:
      return {HttpCode::k200, kMetricsType, WriteText(BuildFamilies(ReadRegion(region)))};
    case HttpPath::kIndex:
      return {HttpCode::k200, kPageType,
              WritePage(ReadRegion(region), Seconds(CLOCK_REALTIME))};
    case HttpPath::kHealthy:
      return {HttpCode::k200, kPlainType, "healthy\n"};
    case HttpPath::kReady:
      return AnySample(region) ? Response{HttpCode::k200, kPlainType, "ready\n"}
                               : Response{HttpCode::k503, kPlainType, "no sample yet\n"};
    default:
      return {HttpCode::k404, kPlainType, "not found; try /metrics\n"};
  }
}

Response AnswerRequest(const mg_request_info& request, HttpPath path,
                       const Region& region) {
  bool known = strcmp(request.request_method, "GET") == 0 ||
               strcmp(request.request_method, "HEAD") == 0;
  if (!known) {
    return {HttpCode::k405, kPlainType, "only GET and HEAD\n", "Allow: GET, HEAD\r\n"};
  }
  return Answer(path, region);
}

void Count(const Region& region, HttpPath path, HttpCode code) {
  ++region.counters().http_requests[static_cast<int>(path)][static_cast<int>(code)];
}

void SendResponse(mg_connection* connection, const Response& response, bool gzip,
                  bool with_body) {
  mg_printf(connection,
            "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s%s"
            "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
            "Vary: Accept-Encoding\r\nConnection: close\r\n\r\n",
            kHttpCodeValues[static_cast<int>(response.code)], StatusText(response.code),
            response.type, response.body.size(), gzip ? "Content-Encoding: gzip\r\n" : "",
            response.extra_header);
  if (with_body) mg_write(connection, response.body.data(), response.body.size());
}

void Handle(mg_connection* connection, const Region& region) {
  const mg_request_info& request = *mg_get_request_info(connection);
  HttpPath path = PathOf(request.request_uri);
  Response response = AnswerRequest(request, path, region);
  const char* accepted = mg_get_header(connection, "Accept-Encoding");
  bool gzip = path == HttpPath::kMetrics && response.code == HttpCode::k200 &&
              accepted != nullptr && AcceptsGzip(accepted);
  if (gzip) response.body = Gzip(response.body);
  Count(region, path, response.code);
  SendResponse(connection, response, gzip, strcmp(request.request_method, "HEAD") != 0);
}

HttpCode NearestCode(int status) {
  for (int i = 0; i < static_cast<int>(HttpCode::kCount); ++i) {
    if (kHttpCodeValues[i] == status) return static_cast<HttpCode>(i);
  }
  return status < 500 ? HttpCode::k400 : HttpCode::k503;
}

// An address as the socket calls have it; 0 bytes if `host` is no literal.
socklen_t FillAddress(const ListenAddress& address, sockaddr_storage* out) {
  auto* v4 = reinterpret_cast<sockaddr_in*>(out);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(out);
  *out = {};
  if (inet_pton(AF_INET, address.host, &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(address.port);
    return sizeof *v4;
  }
  if (inet_pton(AF_INET6, address.host, &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(address.port);
    return sizeof *v6;
  }
  return 0;
}

// 0 if the address can be listened on, else the error. civetweb tells no reason.
int ProbeAddress(const ListenAddress& address) {
  sockaddr_storage name;
  socklen_t bytes = FillAddress(address, &name);
  if (bytes == 0) return EINVAL;
  int fd = socket(name.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  int on = 1;
  bool free = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
              bind(fd, reinterpret_cast<sockaddr*>(&name), bytes) == 0 &&
              listen(fd, 1) == 0;
  int error = free ? 0 : errno;
  close(fd);
  return error;
}

std::string ListeningPorts(const ListenAddress& address) {
  std::string host = address.host;
  if (host.find(':') != host.npos) host = "[" + host + "]";
  return host + ":" + std::to_string(address.port);
}

bool ListensOn(int fd, uint16_t port) {
  int listening = 0;
  socklen_t bytes = sizeof listening;
  if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &bytes) != 0 || !listening) {
    return false;
  }
  sockaddr_storage name{};
  bytes = sizeof name;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&name), &bytes) != 0) return false;
  in_port_t found =
      name.ss_family == AF_INET    ? reinterpret_cast<sockaddr_in*>(&name)->sin_port
      : name.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&name)->sin6_port
                                   : 0;
  return ntohs(found) == port;
}

// civetweb sleeps up to 0.2 s in a poll of its listener before it sees that it has to
// stop.
void WakeListener(uint16_t port) {
  constexpr int kMostDescriptors = 1024;
  for (int fd = 0; fd < kMostDescriptors; ++fd) {
    if (ListensOn(fd, port)) shutdown(fd, SHUT_RDWR);
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
    const Region region = Of(mg_get_context(connection)).region_;
    try {
      Handle(connection, region);
    } catch (...) {
      Count(region, PathOf(mg_get_request_info(connection)->request_uri), HttpCode::k503);
      mg_send_http_error(connection, 503, "%s", "out of memory");
    }
    return 1;
  }

  // What civetweb refuses by itself: requests that are no HTTP, too large, too slow.
  static int HttpError(mg_connection* connection, int status, const char*) {
    Count(Of(mg_get_context(connection)).region_, HttpPath::kOther, NearestCode(status));
    return 1;
  }

  static int LogMessage(const mg_connection* connection, const char* message) {
    const mg_context* context =
        connection == nullptr ? nullptr : mg_get_context(connection);
    if (context != nullptr) {
      snprintf(Of(context).last_message_, kServerErrorBytes, "%s", message);
    }
    return 1;
  }

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

ServerStart Server::Start(const ListenAddress& address, const Region& region,
                          char* error) {
  int refused = ProbeAddress(address);
  if (refused != 0) {
    snprintf(error, kServerErrorBytes, "%s", strerror(refused));
    return refused == EADDRINUSE ? ServerStart::kPortTaken : ServerStart::kFailed;
  }
  static const unsigned initialized = mg_init_library(MG_FEATURES_DEFAULT);
  static_cast<void>(initialized);
  address_ = address;
  region_ = region;
  last_message_[0] = '\0';
  std::string ports = ListeningPorts(address);
  const char* options[] = {"listening_ports",
                           ports.c_str(),
                           "num_threads",
                           "3",
                           "connection_queue",
                           "64",
                           "request_timeout_ms",
                           "1000",
                           "max_request_size",
                           "4096",
                           "enable_keep_alive",
                           "no",
                           "decode_url",
                           "no",
                           "enable_directory_listing",
                           "no",
                           "enable_auth_domain_check",
                           "no",
                           "access_control_allow_origin",
                           "",
                           "access_control_allow_methods",
                           "",
                           "access_control_allow_headers",
                           "",
                           nullptr};
  mg_callbacks callbacks{};
  callbacks.begin_request = ServerCallbacks::BeginRequest;
  callbacks.http_error = ServerCallbacks::HttpError;
  callbacks.log_message = ServerCallbacks::LogMessage;
  callbacks.init_thread = ServerCallbacks::InitThread;
  callbacks.exit_thread = ServerCallbacks::ExitThread;
  char text[kServerErrorBytes] = "";
  mg_init_data init{&callbacks, this, options};
  mg_error_data problem{};
  problem.text = text;
  problem.text_buffer_size = sizeof text;
  context_ = mg_start2(&init, &problem);
  if (context_ != nullptr) return ServerStart::kServing;
  snprintf(error, kServerErrorBytes, "%s", text[0] != '\0' ? text : last_message_);
  return ServerStart::kFailed;
}

void Server::Stop() {
  if (context_ == nullptr) return;
  WakeListener(address_.port);
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
