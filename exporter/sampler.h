// The sampler: looks at the process every interval and keeps its place among the others.
//
// Thread safety: Run() is the thread's; Configure, NoteFork and BecomeChild are called
// while it does not run; stop() and SetGoodbye() on any thread. In Run(): no GIL, no
// malloc except by the HTTP server while this process leads, no descriptor of the
// application's.

#pragma once

#include <poll.h>

#include <atomic>
#include <span>

#include "exporter/publish/server.h"
#include "exporter/region/membership.h"
#include "exporter/region/question_desk.h"
#include "exporter/sample/auto_trim.h"
#include "exporter/sample/collector.h"
#include "exporter/sample/question.h"
#include "exporter/system/clock.h"

namespace pymalloc_exporter {

inline constexpr int kMostCollectors = 16;

struct Settings {
  ListenAddress listen;
  Nanoseconds interval;
  Nanoseconds slow_interval;
  // Of one core, what all collectors may use: the slow beat is stretched to keep to it,
  // up to a limit beyond which slow collectors are asked to take samples.
  double slow_cpu_share;
  Identity identity;  // app, implementation, version, detail, origin
  RemedyAccess remedies = RemedyAccess::kNobody;
  uint64_t auto_trim_bytes = 0;  // reclaimable by a trim, from which on one is made
};

// What the sampler runs. All of it lives for ever.
struct Crew {
  std::span<Collector* const> collectors;
  std::span<SlowCollector* const> slow_collectors;
  std::span<Answerer* const> answerers;
};

class Sampler final : private Pace {
 public:
  void Configure(const Settings& settings, const Crew& crew);

  // The thread's body: returns soon after stop() was set (and the thread woken).
  void Run();
  StopFlag& stop() { return stop_; }
  // Run() ended for good: this thread cannot keep its descriptors apart.
  bool off() const { return off_; }
  // How long Run() had better not begin yet. 0 where this process is missed meanwhile.
  Nanoseconds SettleTime() const;

  void NoteFork() { membership_.NoteFork(Now()); }
  Nanoseconds forked_at() const { return membership_.forked_at(); }
  void BecomeChild();
  void SetGoodbye(bool goodbye) { membership_.SetGoodbye(goodbye); }

 private:
  // What the application did since it was last looked at.
  class Activity {
   public:
    // Whether its figures still hold, given the CPU time that it has used so far.
    bool Ceased(double cpu_seconds);

   private:
    double seen_ = -1;
    bool idle_before_ = false;
  };

  bool Rest() noexcept override;
  const StopFlag& stop() const noexcept override { return stop_; }
  bool RestUntil(Nanoseconds until) noexcept override;
  double CpuSecondsLeft() const noexcept override;
  void Turn(Nanoseconds until);
  void Wait(Nanoseconds until, int watched);
  Nanoseconds NextDue() const;
  void Serve(Nanoseconds now);
  ServerStart StartServer(char* error);
  void StopServer();
  void Distribute();
  bool AnswerOne(Membership::Take which);
  void Answer(const Question& question);
  ReplyStatus Answer(const Question& question, Nanoseconds deadline, JsonText& text);
  void Reply(const Question& question, Nanoseconds deadline, ReplyStatus status,
             std::string_view text);
  void LookAnew();
  void TrimIfDue();
  void NoteRemedy();
  void Beat(Nanoseconds now);
  void Look(bool idle);
  void RunCollector(Collector& collector);
  void SlowBeat(Nanoseconds now);
  void RunSlowCollector(SlowCollector& collector);
  void Note(CollectorId id, Reason reason, Nanoseconds start);
  double BeatsCpuSeconds() const;
  double OwnCpuSeconds() const;
  double ApplicationCpuSeconds() const;
  void Publish(Nanoseconds now);
  void ReportMembership(Nanoseconds now);

  Settings settings_{};
  Collector* collectors_[kMostCollectors] = {};
  int collector_count_ = 0;
  SlowCollector* slow_collectors_[kMostCollectors] = {};
  int slow_collector_count_ = 0;
  Answerer* answerers_[static_cast<size_t>(QuestionKind::kCount)] = {};
  StopFlag stop_{false};
  std::atomic<bool> off_{false};

  Membership membership_;
  Server server_;
  Sample sample_;
  QuestionDesk desk_;
  bool answering_ = false;
  // First the wake descriptor and the desk's; what membership watches follows.
  pollfd watched_[kMaxConnections + 3];
  int wake_ = -1;

  Nanoseconds next_beat_ = 0;
  Nanoseconds next_slow_beat_ = 0;
  double slow_cpu_end_ = 0;  // of BeatsCpuSeconds(): what a slow beat may take
  double answers_cpu_ = 0;   // of this thread's CPU time, since Run() began
  Nanoseconds next_serve_ = 0;
  Nanoseconds serve_pause_ = 0;
  Nanoseconds port_missed_since_ = 0;
  Nanoseconds trouble_since_ = 0;
  Reason trouble_ = Reason::kNone;
  uint32_t reported_ = 0;  // a bit a reason: each is one line in a process' life
  bool reported_port_ = false;
  bool served_ = false;      // when Run() returned
  Nanoseconds left_at_ = 0;  // when Run() last returned from taking part
  Activity activity_;
  Activity slow_activity_;
  AutoTrim auto_trim_;
  double ended_cpu_seconds_ = 0;   // of our threads that were stopped
  double walked_cpu_seconds_ = 0;  // BeatsCpuSeconds() at the end of the last slow pass
};

}  // namespace pymalloc_exporter
