#include "exporter/region/question_desk.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace pymalloc_exporter {
namespace {

constexpr uint64_t kReplyMagic = 0x796c706572706d70;  // "pmpreply"

void CloseIfOpen(int* fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

// One of at most kMostAtOnce, for as long as it lives.
class Place {
 public:
  explicit Place(std::atomic<int>& taken) : taken_(taken), had_(++taken <= kMostAtOnce) {}
  ~Place() { --taken_; }
  bool had() const { return had_; }

 private:
  std::atomic<int>& taken_;
  bool had_;
};

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  ~Socket() { close(fd_); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

}  // namespace

// Takes what a member sends, and believes none of it.
struct ReplyReader {
  using Head = ReplySender::Head;

  std::string bytes;

  // False when there will be no more: it is complete, or can no longer become so.
  bool Take(int socket) {
    char piece[16 * 1024];
    ssize_t count = recv(socket, piece, sizeof piece, MSG_DONTWAIT);
    if (count < 0) return errno == EAGAIN || errno == EINTR;
    bytes.append(piece, static_cast<size_t>(count));
    return count > 0 && bytes.size() <= sizeof(Head) + kMostReplyBytes;
  }

  ReplyStatus Finish(std::string* text) {
    Head head;
    // It hung up without a word: it ended, or forked.
    if (bytes.empty()) return ReplyStatus::kInterrupted;
    if (bytes.size() < sizeof head) return ReplyStatus::kBad;
    memcpy(&head, bytes.data(), sizeof head);
    bytes.erase(0, sizeof head);
    if (head.magic != kReplyMagic || head.bytes != bytes.size()) return ReplyStatus::kBad;
    bool needs_text = head.status == ReplyStatus::kDone;
    bool right = bytes.empty() ? !needs_text : IsJsonObject(bytes);
    if (!right || head.status >= ReplyStatus::kCount) return ReplyStatus::kBad;
    *text = std::move(bytes);
    return head.status;
  }
};

bool QuestionDesk::Open() {
  waiting_ = 0;
  over_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (over_ >= 0 && pipe2(posted_, O_CLOEXEC | O_NONBLOCK) == 0) return true;
  Close();
  return false;
}

void QuestionDesk::Interrupt() {
  if (over_ >= 0) eventfd_write(over_, 1);
}

void QuestionDesk::Close() {
  Question question;
  while (Take(&question)) close(question.reply_to);
  CloseIfOpen(&posted_[0]);
  CloseIfOpen(&posted_[1]);
  CloseIfOpen(&over_);
}

void QuestionDesk::Forget() {
  posted_[0] = posted_[1] = over_ = -1;
  waiting_ = 0;
}

bool QuestionDesk::Take(Question* question) {
  return posted_[0] >= 0 &&
         read(posted_[0], question, sizeof *question) == sizeof *question;
}

ReplyStatus QuestionDesk::Ask(QuestionKind kind, int worker, uint64_t argument,
                              std::string* text) {
  Place place(waiting_);
  return place.had() ? AskOnce(kind, worker, argument, text) : ReplyStatus::kBusy;
}

ReplyStatus QuestionDesk::AskOnce(QuestionKind kind, int worker, uint64_t argument,
                                  std::string* text) {
  int pair[2];
  if (posted_[1] < 0 ||
      socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) {
    return ReplyStatus::kNoWorker;
  }
  Socket ours(pair[0]);
  Nanoseconds patience = RowOf(kind).patience;
  Question question{kind, worker, argument, Now(CLOCK_REALTIME) + patience, pair[1]};
  // Shorter than PIPE_BUF: all of it or nothing.
  if (write(posted_[1], &question, sizeof question) != sizeof question) {
    close(pair[1]);
    return ReplyStatus::kBusy;
  }
  ReplyReader reader;
  for (Nanoseconds end = Now() + patience; Now() < end;) {
    pollfd watched[] = {{ours.get(), POLLIN, 0}, {over_, POLLIN, 0}};
    timespec timeout = ToTimespec(std::max<Nanoseconds>(end - Now(), 0));
    ppoll(watched, 2, &timeout, nullptr);
    if (watched[0].revents != 0 && !reader.Take(ours.get())) return reader.Finish(text);
    if (watched[1].revents != 0) return ReplyStatus::kInterrupted;
  }
  return ReplyStatus::kLate;
}

ReplySender::ReplySender(int socket, ReplyStatus status, std::string_view text)
    : socket_(socket),
      head_{kReplyMagic, status, static_cast<uint32_t>(text.size())},
      text_(text) {}

ReplySender::Progress ReplySender::Send() {
  size_t total = sizeof head_ + text_.size();
  while (sent_ < total) {
    bool in_head = sent_ < sizeof head_;
    const char* from = in_head ? reinterpret_cast<const char*>(&head_) + sent_
                               : text_.data() + (sent_ - sizeof head_);
    size_t bytes = in_head ? sizeof head_ - sent_ : total - sent_;
    ssize_t count = send(socket_, from, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno == EAGAIN ? Progress::kMore : Progress::kFailed;
    sent_ += static_cast<size_t>(count);
  }
  return Progress::kSent;
}

}  // namespace pymalloc_exporter
