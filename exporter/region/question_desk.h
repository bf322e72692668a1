// Where the leader's server threads ask a worker something, and wait for its answer.
//
//   server thread   Ask(): a socket pair; posts the question with one end, waits at the
//                   other until there is an answer, or it is too late
//   leader's        Take()s the question; answers it, where it is asked itself, or sends
//   sampler         it with the descriptor to the member (Leader::Forward)
//   member's        answers into the descriptor (SendReply) and closes it: a member that
//   sampler         dies or forks instead is noticed at once
//
// So an answer goes straight to the thread that waits for it, no process maps anything
// of another's, and neither sampler ever waits. What comes back is untrusted: at most
// kMostReplyBytes, within the time limit, and one JSON object, or it is kBad.
//
// At most kMostAtOnce questions are being waited for: the server has more threads than
// that, so that /metrics is always answered. Descriptors belong to the table that the
// sampler and the server's threads share. No GIL.

#pragma once

#include <atomic>
#include <string>
#include <type_traits>

#include "exporter/sample/question.h"

namespace pymalloc_exporter {

inline constexpr int kMostAtOnce = 2;

struct Question {
  QuestionKind kind;
  int worker;
  uint64_t argument;
  // Of CLOCK_REALTIME, which is the one that containers share.
  Nanoseconds deadline;
  int reply_to;  // a connected socket, whoever has the question closes it
  int unused = 0;
};
// Each byte that goes through the pipe was written.
static_assert(std::has_unique_object_representations_v<Question>);

class QuestionDesk {
 public:
  // On any server thread, between Open() and Close(): asks and waits. `text` is the
  // answer of a kDone; of any other status it says more, or is empty. Allocates; may
  // throw std::bad_alloc.
  ReplyStatus Ask(QuestionKind kind, int worker, uint64_t argument, std::string* text);

  // The rest on the sampler's thread. Open() before the server's threads start; false
  // without descriptors: every question is then kNoWorker.
  bool Open();
  // Polls readable when there is something to Take(); -1 while it is not open.
  int descriptor() const { return posted_[0]; }
  bool Take(Question* question);
  // Everybody who waits goes home with kInterrupted, and nobody waits any more.
  void Interrupt();
  // REQUIRES: no server thread is left.
  void Close();
  // In a forked child, which has none of the descriptors.
  void Forget();

 private:
  ReplyStatus AskOnce(QuestionKind kind, int worker, uint64_t argument,
                      std::string* text);

  int posted_[2] = {-1, -1};  // a pipe of Questions
  int over_ = -1;             // an eventfd, readable once interrupted
  std::atomic<int> waiting_{0};
};

// The member's side. Sends a whole reply piece by piece: each call sends what can be sent
// at once. No malloc.
class ReplySender {
 public:
  ReplySender(int socket, ReplyStatus status, std::string_view text);

  enum class Progress { kSent, kMore, kFailed };
  Progress Send();

 private:
  struct Head {
    uint64_t magic;
    ReplyStatus status;
    uint32_t bytes;
  };
  friend struct ReplyReader;

  int socket_;
  Head head_;
  std::string_view text_;
  size_t sent_ = 0;
};

}  // namespace pymalloc_exporter
