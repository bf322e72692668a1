#include "exporter/sampler.h"

#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "exporter/system/descriptors.h"
#include "exporter/system/log.h"
#include "exporter/system/malloc/trim.h"
#include "exporter/system/pass_memory.h"
#include "exporter/system/process_status.h"

namespace pymalloc_exporter {
namespace {

// A process that lived shorter is not worth a look.
constexpr Nanoseconds kFirstBeat = kSecond;

// How long the thread stays out of the way of an application that just began or forked,
// unless it serves. One that runs makes each first write to a page dearer (the
// kernel copies the page, and interrupts all processors that run threads of this
// process); one that takes its place and leaves again wakes the leader for nothing, and
// forks come in bursts. The second is the end of it where there is always another fork,
// and well below kSuspectGrace.
constexpr Nanoseconds kSettleTime = 20 * kMillisecond;
constexpr Nanoseconds kLongestAbsence = 100 * kMillisecond;

// Without a wake descriptor, how often the stop flag is looked at.
constexpr Nanoseconds kBlindWait = 100 * kMillisecond;

// The port is tried again after pauses that double between these.
constexpr Nanoseconds kShortestServePause = 200 * kMicrosecond;
constexpr Nanoseconds kLongestServePause = kSecond;

// What lasts shorter (a leader on its way out, a moment of load) is not worth a line.
constexpr Nanoseconds kTroublePatience = 2 * kSecond;

// How long a walk gives way to others each time.
constexpr Nanoseconds kRest = 50 * kMicrosecond;

// Less than this between two looks is the noise of reading clocks one after the other.
constexpr double kIdleCpuSeconds = 20e-6;

// So many times longer than asked for a slow beat may become to keep to its CPU time.
constexpr double kMostStretch = 4;

// Descriptors that are the sampler's own to poll.
constexpr int kOwnWatched = 2;

// Between two pieces of a reply that does not go out at once.
constexpr Nanoseconds kReplyPause = kMillisecond;

double Mebibytes(uint64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

uint64_t RandomNonce() {
  uint64_t nonce = 0;
  if (getrandom(&nonce, sizeof nonce, GRND_NONBLOCK) != sizeof nonce) nonce = 0;
  // Before the kernel's pool is ready: unique on this machine is what matters.
  if (nonce == 0)
    nonce = static_cast<uint64_t>(Now()) << 20 ^ static_cast<uint64_t>(getpid());
  return nonce;
}

void NamePids(Identity* identity) {
  struct stat file;
  bool known = stat("/proc/self/ns/pid", &file) == 0;
  identity->pid_namespace = known ? file.st_ino : 0;
  identity->pid = getpid();
  identity->parent_pid = getppid();
}

}  // namespace

void Sampler::Configure(const Settings& settings, const Crew& crew) {
  settings_ = settings;
  for (Collector* collector : crew.collectors)
    collectors_[collector_count_++] = collector;
  for (SlowCollector* collector : crew.slow_collectors) {
    slow_collectors_[slow_collector_count_++] = collector;
  }
  for (Answerer* answerer : crew.answerers) {
    answerers_[static_cast<size_t>(answerer->kind())] = answerer;
  }
  server_.Offer(&desk_, settings.remedies);
  auto_trim_.SetThreshold(settings.auto_trim_bytes);
  sample_.identity = settings.identity;
  sample_.identity.nonce = RandomNonce();
  NamePids(&sample_.identity);
  sample_.clock_offset_seconds = ClockOffset();
  sample_.time_namespace = TimeNamespace();
  Nanoseconds now = Now();
  next_beat_ = next_slow_beat_ = now + kFirstBeat;
  left_at_ = now;
  MembershipName name{geteuid(), {}};
  snprintf(name.address, sizeof name.address, "%s:%u", settings.listen.host,
           settings.listen.port);
  membership_.Configure(name, sample_.identity.nonce, now);
}

void Sampler::BecomeChild() {
  Nanoseconds now = Now();
  Identity& identity = sample_.identity;
  identity.parent_nonce = identity.nonce;
  identity.nonce = RandomNonce();
  identity.origin = Origin::kProgram;
  NamePids(&identity);
  identity.serving = false;
  sample_.time_namespace = TimeNamespace();
  for (CollectorStatus& status : sample_.collectors) status = CollectorStatus{};
  for (int i = 0; i < slow_collector_count_; ++i) slow_collectors_[i]->BecomeChild();
  sample_.process = ProcessSample{};
  sample_.timestamp_seconds = 0;
  activity_ = slow_activity_ = {};
  ended_cpu_seconds_ = 0;
  reported_ = 0;
  reported_port_ = served_ = answering_ = false;
  next_beat_ = next_slow_beat_ = now + kFirstBeat;
  left_at_ = now;
  server_.Forget();
  desk_.Forget();
  membership_.BecomeChild(identity.nonce, now);
}

Nanoseconds Sampler::SettleTime() const {
  return served_ ? 0 : std::min(kSettleTime, left_at_ + kLongestAbsence - Now());
}

void Sampler::Run() {
  GiveBackWhatIsLeft();
  if (OwnDescriptors() == DescriptorTable::kShared) {
    LogLine("close_range(2) and unshare(2) are refused here: off");
    off_ = true;
    return;
  }
  LogFromOwnTable();
  walked_cpu_seconds_ = answers_cpu_ = 0;
  wake_ = OpenWakeDescriptor();  // which nobody can write to
  TakeStandardNumbers(wake_);
  membership_.Open(Now());
  while (!stop_) {
    Turn(std::min(NextDue(), next_slow_beat_));
    Nanoseconds now = Now();
    if (!stop_ && now >= next_slow_beat_) SlowBeat(now);
    while (AnswerOne(Membership::Take::kAny) && Now() < next_slow_beat_) {
    }
  }
  served_ = server_.serving();
  if (membership_.reason() == Reason::kNone) left_at_ = Now();
  StopServer();
  membership_.Cease();  // its descriptors and wake_ end with the thread's table
  ended_cpu_seconds_ += Seconds(CLOCK_THREAD_CPUTIME_ID);
}

// Waits until then at the latest, and does what is due but the slow beat.
void Sampler::Turn(Nanoseconds until) {
  int watched = membership_.Watch(watched_ + kOwnWatched, Now());
  Wait(until, watched);
  if (stop_) return;
  Nanoseconds now = Now();
  membership_.Handle(watched_ + kOwnWatched, watched, now);
  if (watched_[1].revents != 0) Distribute();
  Serve(now);
  ReportMembership(now);
  if (now >= next_beat_) {
    Beat(now);
  } else if (membership_.slot() == kNoSlot && sample_.timestamp_seconds > 0 &&
             membership_.reason() != Reason::kNoSlot) {
    Publish(now);
  }
}

bool Sampler::Rest() noexcept {
  if (stop_) return false;
  Turn(Now() + kRest);
  // A remedy waits for the end of the pass: it may have the same things in hand.
  AnswerOne(Membership::Take::kNoRemedy);
  return !stop_;
}

bool Sampler::RestUntil(Nanoseconds until) noexcept {
  do {
    if (!stop_) Turn(std::min(until, NextDue()));
  } while (!stop_ && Now() < until);
  return !stop_;
}

double Sampler::CpuSecondsLeft() const noexcept {
  return slow_cpu_end_ - BeatsCpuSeconds();
}

Nanoseconds Sampler::NextDue() const {
  Nanoseconds due = std::min(membership_.Deadline(), next_beat_);
  bool port_wanted = membership_.leading() && !server_.serving();
  return port_wanted ? std::min(due, next_serve_) : due;
}

void Sampler::Wait(Nanoseconds until, int watched) {
  watched_[0] = {wake_, POLLIN, 0};
  watched_[1] = {desk_.descriptor(), POLLIN, 0};
  Nanoseconds pause = std::max<Nanoseconds>(until - Now(), 0);
  if (wake_ < 0) pause = std::min(pause, kBlindWait);
  timespec timeout = ToTimespec(pause);
  ppoll(watched_, static_cast<nfds_t>(watched) + kOwnWatched, &timeout, nullptr);
  // Somebody else's signal of that number waits for the process: it is not ours to take.
  bool foreign = (watched_[0].revents & POLLIN) && !stop_;
  if (foreign) {
    close(wake_);
    wake_ = -1;
  }
}

void Sampler::Serve(Nanoseconds now) {
  if (!membership_.leading()) StopServer();
  if (!membership_.leading() || server_.serving() || now < next_serve_) return;
  char error[200] = "";
  ServerStart started = StartServer(error);
  if (started == ServerStart::kServing) {
    serve_pause_ = port_missed_since_ = 0;
    sample_.identity.serving = true;
    if (sample_.timestamp_seconds > 0) Publish(now);
    return;
  }
  if (port_missed_since_ == 0) port_missed_since_ = now;
  serve_pause_ = std::clamp(serve_pause_ * 2, kShortestServePause, kLongestServePause);
  next_serve_ = now + serve_pause_;
  if (reported_port_ || now - port_missed_since_ < kTroublePatience) return;
  reported_port_ = true;
  LogLine("cannot serve %s:%u: %s; trying again until it is free", settings_.listen.host,
          settings_.listen.port, error);
}

ServerStart Sampler::StartServer(char* error) {
  desk_.Open();
  ServerStart started = server_.Start(settings_.listen, membership_.region(), error);
  if (started != ServerStart::kServing) desk_.Close();
  return started;
}

void Sampler::StopServer() {
  if (!server_.serving()) return;
  desk_.Interrupt();
  server_.Stop();
  desk_.Close();
  sample_.identity.serving = false;
}

// Hands on what the server's threads ask. What cannot be sent is answered at once.
void Sampler::Distribute() {
  for (Question question; desk_.Take(&question);) {
    if (question.worker == membership_.slot()) {
      membership_.Keep(question);
      continue;
    }
    if (!membership_.Forward(question)) {
      // One that is there, but not connected, forked just now.
      bool there = membership_.region().Owner(question.worker) != 0;
      ReplyStatus status = there ? ReplyStatus::kInterrupted : ReplyStatus::kNoWorker;
      ReplySender(question.reply_to, status, {}).Send();
    }
    close(question.reply_to);
  }
}

// False if there is none. One after the other: an answer that rests comes here, too.
bool Sampler::AnswerOne(Membership::Take which) {
  Question question;
  if (stop_ || answering_ || !membership_.TakeQuestion(&question, which)) return false;
  double cpu = Seconds(CLOCK_THREAD_CPUTIME_ID);
  answering_ = true;
  Answer(question);
  answering_ = false;
  close(question.reply_to);
  answers_cpu_ += Seconds(CLOCK_THREAD_CPUTIME_ID) - cpu;
  return true;
}

void Sampler::Answer(const Question& question) {
  // Late is who was stopped, or at something long: nobody waits any more.
  Nanoseconds left =
      std::min(question.deadline - Now(CLOCK_REALTIME), RowOf(question.kind).patience);
  if (left <= 0) return;
  Nanoseconds deadline = Now() + left;
  void* memory = mmap(nullptr, kMostReplyBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    Reply(question, deadline, ReplyStatus::kUnable, R"({"error":"out of memory"})");
    return;
  }
  JsonText text(static_cast<char*>(memory), kMostReplyBytes);
  ReplyStatus status = Answer(question, deadline, text);
  if (!text.complete()) {
    status = ReplyStatus::kBad;
    text.Clear();
  }
  Reply(question, deadline, status, text.text());
  munmap(memory, kMostReplyBytes);
}

ReplyStatus Sampler::Answer(const Question& question, Nanoseconds deadline,
                            JsonText& text) {
  bool remedy = RowOf(question.kind).remedy;
  if (remedy && settings_.remedies == RemedyAccess::kNobody)
    return ReplyStatus::kNotEnabled;
  Answerer* answerer = answerers_[static_cast<size_t>(question.kind)];
  if (answerer == nullptr) return ReplyStatus::kUnable;
  LookAnew();
  ReplyStatus status =
      answerer->Answer({question.argument, deadline, sample_}, *this, text);
  if (remedy) NoteRemedy();
  // What was done is said, though a fork waits.
  bool applied = remedy && status == ReplyStatus::kDone;
  return stop_ && !applied ? ReplyStatus::kInterrupted : status;
}

void Sampler::Reply(const Question& question, Nanoseconds deadline, ReplyStatus status,
                    std::string_view text) {
  ReplySender sender(question.reply_to, status, text);
  while (sender.Send() == ReplySender::Progress::kMore && Now() < deadline) {
    if (!RestUntil(Now() + kReplyPause)) return;
  }
}

// One line for what keeps this process out of the shared endpoint.
void Sampler::ReportMembership(Nanoseconds now) {
  Reason reason = membership_.reason();
  if (reason != trouble_) {
    trouble_ = reason;
    trouble_since_ = now;
  }
  uint32_t bit = uint32_t{1} << static_cast<int>(reason);
  bool worth_a_line = reason != Reason::kNone && reason != Reason::kStarting &&
                      now - trouble_since_ >= kTroublePatience && !(reported_ & bit);
  if (!worth_a_line) return;
  reported_ |= bit;
  pid_t holder = membership_.holder_pid();
  if (reason == Reason::kLeaderSilent) {
    LogLine("waiting for process %d, which holds the endpoint %s:%u and %s", holder,
            settings_.listen.host, settings_.listen.port,
            IsStopped(holder) ? "is stopped" : "does not answer");
    return;
  }
  LogLine("not part of the endpoint %s:%u: %s (held by process %d)",
          settings_.listen.host, settings_.listen.port,
          kReasonNames[static_cast<int>(reason)], holder);
}

// A beat out of turn.
void Sampler::LookAnew() {
  Look(false);
  if (stop_) return;
  sample_.timestamp_seconds = Seconds(CLOCK_REALTIME);
  Publish(Now());
}

void Sampler::Beat(Nanoseconds now) {
  Look(activity_.Ceased(ApplicationCpuSeconds()));
  FollowClock(sample_, ClockOffset());
  sample_.timestamp_seconds = Seconds(CLOCK_REALTIME);
  if (stop_) return;
  Publish(now);
  next_beat_ += settings_.interval;
  if (next_beat_ < now) next_beat_ = now + settings_.interval;
}

// The first time that nothing was done is looked at, too: the look before may have been
// in the middle of the last that was.
bool Sampler::Activity::Ceased(double cpu_seconds) {
  bool idle = seen_ >= 0 && cpu_seconds - seen_ < kIdleCpuSeconds;
  bool ceased = idle && idle_before_;
  idle_before_ = idle;
  if (!idle) seen_ = cpu_seconds;
  return ceased;
}

// What an idle process has in its heap is as good as new.
void Sampler::Look(bool idle) {
  for (int i = 0; i < collector_count_ && !stop_; ++i) {
    if (!idle || collectors_[i]->ChangesWhileIdle()) RunCollector(*collectors_[i]);
  }
}

void Sampler::RunCollector(Collector& collector) {
  Nanoseconds start = Now();
  Note(collector.id(), collector.Collect(sample_, stop_), start);
}

// A pass that a fork cut short is made anew, soon.
void Sampler::SlowBeat(Nanoseconds now) {
  double cpu = BeatsCpuSeconds();
  double interval = static_cast<double>(settings_.slow_interval) / kSecond;
  slow_cpu_end_ = cpu + kMostStretch * interval * settings_.slow_cpu_share;
  if (!slow_activity_.Ceased(ApplicationCpuSeconds())) {
    for (int i = 0; i < slow_collector_count_ && !stop_; ++i) {
      RunSlowCollector(*slow_collectors_[i]);
    }
  }
  if (stop_) {
    slow_activity_ = {};
    next_slow_beat_ = now + settings_.interval;
    return;
  }
  // All is to take no more than its share: the beats since the last pass count, too, but
  // however much they take, slow beats become no rarer than half.
  double walked = BeatsCpuSeconds();
  double used = walked - cpu + std::min(cpu - walked_cpu_seconds_, walked - cpu);
  walked_cpu_seconds_ = walked;
  auto stretched = static_cast<Nanoseconds>(used / settings_.slow_cpu_share * kSecond);
  next_slow_beat_ = now + std::max(settings_.slow_interval, stretched);
  Publish(Now());
  TrimIfDue();
}

void Sampler::TrimIfDue() {
  if (!auto_trim_.Due(sample_.malloc.trim_bytes, Now())) return;
  Relief relief;
  if (!TrimHeap(&relief)) return;
  LogLine("trimmed the C heap: RSS %.1f MiB before, %.1f MiB after; %.0f ms",
          Mebibytes(relief.resident_before_bytes), Mebibytes(relief.resident_after_bytes),
          relief.stalled_seconds * 1000);
  NoteRemedy();
}

// What it did shows at once, and what only a slow beat sees, soon: the application did
// nothing, and yet its figures are of before.
void Sampler::NoteRemedy() {
  LookAnew();
  slow_activity_ = {};
  next_slow_beat_ = std::min(next_slow_beat_, Now() + settings_.interval);
}

void Sampler::RunSlowCollector(SlowCollector& collector) {
  Nanoseconds start = Now();
  Note(collector.id(), collector.Collect(sample_, *this), start);
}

void Sampler::Note(CollectorId id, Reason reason, Nanoseconds start) {
  // Cut short by a fork: the last figures stand until the next beat.
  if (stop_ && reason != Reason::kNone) return;
  FollowClock(sample_, ClockOffset());
  CollectorStatus& status = sample_.status(id);
  status.reason = reason;
  status.duration_seconds = static_cast<double>(Now() - start) / kSecond;
  if (reason == Reason::kNone) status.timestamp_seconds = Seconds(CLOCK_REALTIME);
}

// This thread's, without what it took to answer questions.
double Sampler::BeatsCpuSeconds() const {
  return Seconds(CLOCK_THREAD_CPUTIME_ID) - answers_cpu_;
}

double Sampler::OwnCpuSeconds() const {
  return ended_cpu_seconds_ + Seconds(CLOCK_THREAD_CPUTIME_ID) + server_.cpu_seconds();
}

double Sampler::ApplicationCpuSeconds() const {
  return Seconds(CLOCK_PROCESS_CPUTIME_ID) - OwnCpuSeconds();
}

void Sampler::Publish(Nanoseconds now) {
  FollowClock(sample_, ClockOffset());
  CollectorStatus& region = sample_.status(CollectorId::kRegion);
  region.reason = membership_.reason();
  if (region.up()) region.timestamp_seconds = sample_.timestamp_seconds;
  sample_.exporter_cpu_seconds = OwnCpuSeconds();
  membership_.Publish(sample_, now);
}

}  // namespace pymalloc_exporter
