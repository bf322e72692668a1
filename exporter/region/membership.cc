#include "exporter/region/membership.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

namespace pymalloc_exporter {
namespace {

// A process that lived shorter takes no slot, and leads only where it knows of others
// that have lost their leader.
constexpr Nanoseconds kInfancy = kSecond;

// Those that had better not lead let the others go first for so long.
constexpr Nanoseconds kInfantWaits = 50 * kMillisecond;
constexpr Nanoseconds kForkerWaits = 100 * kMillisecond;
constexpr Nanoseconds kForkerFor = 60 * kSecond;

// After the end of a leader the others try one after the other, by their slots, from the
// leader's on (what is before it may have led, and ended, too): most of them then find a
// new one that listens already.
constexpr Nanoseconds kTurnStep = 400 * kMicrosecond;
constexpr Nanoseconds kLastTurn = 40 * kMillisecond;

// Between tries while a leader is expected to show up.
constexpr Nanoseconds kShortestPause = 300 * kMicrosecond;
constexpr Nanoseconds kLongestPause = 20 * kMillisecond;

// Between tries after a refusal or a silence.
constexpr Nanoseconds kShortestBackOff = kSecond;
constexpr Nanoseconds kLongestBackOff = 10 * kSecond;

// A leader that ends, or has no room, hangs up in place of a welcome; one that does it so
// often in a row does not want this process.
constexpr int kMostHangUps = 25;

}  // namespace

void Membership::Configure(const MembershipName& name, uint64_t nonce, Nanoseconds born) {
  name_ = name;
  nonce_ = nonce;
  born_ = born;
  key_ = Region::DrawKey();
}

void Membership::Open(Nanoseconds now) {
  Seek(now);
  if (alone_before_) lead_from_ = now;
  Try(now);
}

void Membership::Cease() {
  alone_before_ = state_ == State::kLeading && !leader_.HasMembers(Now());
  leader_.End();
  connection_ = descriptor_ = -1;
  question_count_ = 0;
  state_ = State::kSeeking;
}

void Membership::Close() {
  for (Question question; TakeQuestion(&question);) close(question.reply_to);
  Hang();
  HoldDescriptor(-1);
  Cease();
}

void Membership::BecomeChild(uint64_t nonce, Nanoseconds born) {
  nonce_ = nonce;
  born_ = born;
  forked_at_ = 0;
  slot_ = last_slot_ = kNoSlot;
  without_slot_ = alone_before_ = false;
  // The parent's thread may have been given up on before it forgot them.
  connection_ = descriptor_ = -1;
  question_count_ = 0;
  trouble_ = Reason::kNone;
  leader_.Forget();
}

int Membership::Watch(pollfd* fds, Nanoseconds now) const {
  if (state_ == State::kLeading) return leader_.Watch(fds, now);
  if (connection_ < 0) return 0;
  fds[0] = {connection_, POLLIN | POLLRDHUP, 0};
  return 1;
}

Nanoseconds Membership::Deadline() const {
  if (state_ == State::kLeading) return leader_.Deadline();
  // A member waits for nothing but the end of its leader.
  return state_ == State::kMember ? INT64_MAX : next_try_;
}

void Membership::Handle(const pollfd* fds, int count, Nanoseconds now) {
  if (state_ == State::kLeading) {
    leader_.Handle(fds, count, now);
    return;
  }
  if (count > 0 && connection_ >= 0 && fds[0].fd == connection_ && fds[0].revents != 0)
    Hear(now);
  if (state_ == State::kMember || state_ == State::kLeading || now < next_try_) return;
  if (state_ == State::kGreeting || connection_ >= 0) {
    Hang();
    StandApart(Reason::kLeaderSilent, now);
  } else {
    Try(now);
  }
}

// From when on this process may lead. Forks make a bad leader: each one stops the server.
Nanoseconds Membership::LeadFrom(Nanoseconds now) const {
  bool infant = now - born_ < kInfancy;
  bool forker = forked_at_ != 0 && now - forked_at_ < kForkerFor;
  // No region: nobody led yet that it knows of, and nobody misses a leader.
  if (!region().mapped() && forker)
    return std::max(now, forked_at_ + kInfancy + kForkerWaits);
  if (!region().mapped() && infant) return born_ + kInfancy;
  return now + (forker ? kForkerWaits : infant ? kInfantWaits : 0);
}

void Membership::Seek(Nanoseconds now) {
  state_ = State::kSeeking;
  lead_from_ = LeadFrom(now);
  next_try_ = now;
  pause_ = kShortestPause;
}

void Membership::Try(Nanoseconds now) {
  int fd = ConnectTo(name_);
  if (fd >= 0) {
    Greet(fd, now);
    return;
  }
  bool nobody = errno == ECONNREFUSED;
  bool soon = nobody || errno == EAGAIN || errno == EINTR;
  if (!soon) {
    StandApart(Reason::kPrivate, now);
    return;
  }
  if (nobody && now >= lead_from_ && TryToLead(now)) return;
  // As soon as it may lead, but looking for another leader meanwhile.
  next_try_ = now + pause_;
  pause_ = std::min(pause_ * 2, kLongestPause);
}

void Membership::Greet(int fd, Nanoseconds now) {
  connection_ = fd;
  Peer peer{};
  leader_trusted_ = PeerOf(fd, &peer) && SameUser(peer);
  holder_pid_ = peer.pid;
  Message hello = MakeMessage(MessageKind::kHello);
  DrawChallenge(&hello);
  std::copy_n(hello.challenge, 2, challenge_);
  hello.nonce = nonce_;
  hello.slot = slot_;
  hello.region_id = region().mapped() ? region().id() : 0;
  // Alone it stays what it is until it is welcome elsewhere.
  if (state_ != State::kAlone) state_ = State::kGreeting;
  next_try_ = now + kHelloPatience;
  if (!Send(fd, hello, -1)) {
    Hang();
    LoseLeader(now);
  }
}

// The region in place, with a descriptor to hand out: without one (they end with the
// thread at a fork) a successor region takes its place.
bool Membership::HaveRegion() {
  if (region().mapped() && descriptor_ >= 0) return true;
  int descriptor;
  Region made = Region::Create(region(), &descriptor);
  if (!made.mapped()) return false;
  made.SetKey(key_);
  MoveTo(made);
  HoldDescriptor(descriptor);
  return true;
}

bool Membership::TryToLead(Nanoseconds now) {
  int listener = ListenUnder(name_);
  if (listener < 0) {
    if (errno == EADDRINUSE) return false;  // another one was faster
    StandApart(Reason::kPrivate, now);
    return true;
  }
  if (!HaveRegion()) {
    close(listener);
    StandApart(Reason::kPrivate, now);
    return true;
  }
  EndpointCounters& counters = region().counters();
  uint64_t before = counters.leader.exchange(nonce_);
  if (before != 0 && before != nonce_) ++counters.leader_changes;
  leader_.Begin(listener, region(), descriptor_, nonce_);
  state_ = State::kLeading;
  trouble_ = Reason::kNone;
  back_off_ = hang_ups_ = 0;
  // What has been claimed already is looked through at once.
  leader_.Handle(nullptr, 0, now);
  return true;
}

void Membership::Hear(Nanoseconds now) {
  Message message;
  int descriptor;
  Received received = Receive(connection_, &message, &descriptor);
  if (received == Received::kNothing) return;
  bool welcome_before = state_ == State::kMember;
  if (received == Received::kMessage && Answer(message, descriptor, now)) return;
  Hang();
  bool ended = received == Received::kClosed && leader_trusted_;
  if (ended && (welcome_before || ++hang_ups_ < kMostHangUps)) {
    LoseLeader(now);
  } else {
    StandApart(leader_trusted_ ? Reason::kRefused : Reason::kNameTaken, now);
  }
}

// False if the leader is not to be trusted, or makes no sense. Takes the descriptor.
bool Membership::Answer(const Message& message, int descriptor, Nanoseconds) {
  bool right = false;
  if (state_ == State::kMember) {
    return KeepQuestion(message, descriptor);  // nothing else is said to a member
  } else if (message.kind == MessageKind::kChallenge) {
    right = AnswerChallenge(message);
  } else if (message.kind == MessageKind::kWelcome) {
    return AnswerWelcome(message, descriptor);
  }
  if (descriptor >= 0) close(descriptor);
  return right;
}

bool Membership::AnswerChallenge(const Message& message) {
  if (message.proof != Prove(key_, Side::kLeader, challenge_)) return false;
  leader_trusted_ = true;
  Message proof = MakeMessage(MessageKind::kProof);
  proof.proof = Prove(key_, Side::kMember, message.challenge);
  return Send(connection_, proof, -1);
}

bool Membership::AnswerWelcome(const Message& message, int descriptor) {
  if (!leader_trusted_ || descriptor < 0) {
    if (descriptor >= 0) close(descriptor);
    return false;
  }
  bool same = region().mapped() && region().id() == message.region_id;
  if (!same) {
    Region handed_over = Region::Adopt(descriptor);
    if (!handed_over.mapped()) {
      close(descriptor);
      return false;
    }
    MoveTo(handed_over);
  }
  HoldDescriptor(descriptor);
  state_ = State::kMember;
  trouble_ = Reason::kNone;
  back_off_ = hang_ups_ = 0;
  // Another region has another holder's slot, or none, under this number.
  if (region().Owner(slot_) != nonce_) slot_ = kNoSlot;
  TellSlot();
  return true;
}

// Of more than may be asked at once, nobody waits any more for the one that ends first.
void Membership::Keep(const Question& question) {
  if (question_count_ == kMostAtOnce) {
    Question* over = std::min_element(
        questions_, questions_ + question_count_,
        [](const Question& a, const Question& b) { return a.deadline < b.deadline; });
    close(over->reply_to);
    Remove(over);
  }
  questions_[question_count_++] = question;
}

void Membership::Remove(Question* question) {
  std::copy(question + 1, questions_ + question_count_, question);
  --question_count_;
}

bool Membership::KeepQuestion(const Message& message, int descriptor) {
  bool makes_sense = message.kind == MessageKind::kQuestion && descriptor >= 0 &&
                     message.nonce == nonce_ &&
                     message.question < static_cast<uint32_t>(QuestionKind::kCount);
  if (!makes_sense) {
    if (descriptor >= 0) close(descriptor);
    return false;
  }
  Keep({static_cast<QuestionKind>(message.question), static_cast<int>(message.slot),
        message.argument, message.deadline, descriptor});
  return true;
}

bool Membership::TakeQuestion(Question* question, Take which) {
  Question* end = questions_ + question_count_;
  Question* oldest = std::find_if(questions_, end, [&](const Question& one) {
    return which == Take::kAny || !RowOf(one.kind).remedy;
  });
  if (oldest == end) return false;
  *question = *oldest;
  Remove(oldest);
  return true;
}

bool Membership::Forward(const Question& question) const {
  return state_ == State::kLeading && leader_.Forward(question);
}

void Membership::MoveTo(const Region& region) {
  previous_.Unmap();
  previous_ = region_.load();
  last_slot_ = slot_ == kNoSlot ? last_slot_ : slot_.load();
  region_ = region;
  key_ = region.key();
}

void Membership::HoldDescriptor(int descriptor) {
  if (descriptor_ >= 0) close(descriptor_);
  descriptor_ = descriptor;
}

void Membership::Hang() {
  if (connection_ >= 0) close(connection_);
  connection_ = -1;
}

void Membership::LoseLeader(Nanoseconds now) {
  if (state_ == State::kAlone) {
    next_try_ = now + kShortestBackOff;
    return;
  }
  Seek(now);
  Nanoseconds turn = kLastTurn;
  if (slot_ != kNoSlot)
    turn = region().HeldBetween(region().counters().leader, slot_) * kTurnStep;
  next_try_ = now + std::min(turn, kLastTurn);
}

// No place in a shared endpoint for now. A process that has no region serves itself
// alone; one that has goes on writing there, for a leader that comes back.
void Membership::StandApart(Reason reason, Nanoseconds now) {
  trouble_ = reason;
  back_off_ = std::clamp(back_off_ * 2, kShortestBackOff, kLongestBackOff);
  next_try_ = now + back_off_;
  bool shared_later = reason == Reason::kLeaderSilent || region().mapped();
  if (state_ == State::kAlone) return;
  state_ = State::kSeeking;
  if (shared_later) return;
  int descriptor;
  Region made = Region::Create({}, &descriptor);
  if (!made.mapped()) made = Region::CreatePrivate();
  if (!made.mapped()) return;
  made.SetKey(key_);
  made.counters().leader = nonce_.load();
  MoveTo(made);
  HoldDescriptor(descriptor);
  state_ = State::kAlone;
}

void Membership::Publish(const Sample& sample, Nanoseconds now) {
  if (!region().mapped() || now - born_ < kInfancy) return;
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (slot_ == kNoSlot) {
      slot_ = region().Claim(nonce_, last_slot_);
      // A page that cannot be had is an error here, and a signal at the first write.
      if (slot_ != kNoSlot && !Region::Reserve(descriptor_, slot_)) {
        region().Release(slot_, nonce_);
        slot_ = kNoSlot;
      }
      bool before = without_slot_;
      without_slot_ = slot_ == kNoSlot;
      if (!without_slot_ || !before) TellSlot();
      if (without_slot_) return;
      last_slot_ = slot_;
    }
    if (region().Write(slot_, sample)) return;
    // Taken for dead, and the slot given away.
    slot_ = kNoSlot;
  }
}

void Membership::TellSlot() {
  if (state_ != State::kMember) return;
  if (slot_ == kNoSlot && !without_slot_) return;
  Message message = MakeMessage(MessageKind::kSlot);
  message.nonce = nonce_;
  message.slot = slot_;
  // A leader that does not take it is on its way out; the next one hears it with the
  // hello.
  Send(connection_, message, -1);
}

Reason Membership::reason() const {
  if (trouble_ != Reason::kNone) return trouble_;
  if (without_slot_) return Reason::kNoSlot;
  return state_ == State::kMember || state_ == State::kLeading ? Reason::kNone
                                                               : Reason::kStarting;
}

void Membership::SetGoodbye(bool goodbye) {
  Region region = region_.load();
  if (region.mapped()) region.SetGoodbye(slot_, nonce_, goodbye);
}

}  // namespace pymalloc_exporter
