// Both sides of the rendezvous against a peer that says whatever it likes: a leader among
// strange members, a member of a strange leader.

#include <poll.h>
#include <sys/socket.h>

#include <cstring>

#include "exporter/region/membership.h"
#include "tests/fuzz/fuzz.h"

using namespace pymalloc_exporter;

namespace {

MembershipName UniqueName() {
  static int number = 0;
  MembershipName name{geteuid(), {}};
  snprintf(name.address, sizeof name.address, "fuzz:%d:%d", getpid(), ++number);
  return name;
}

// A message that is sound but for what the input changes, or mere bytes; now and then
// with a descriptor.
void SendStrange(int fd, FuzzedDataProvider& input) {
  Message message =
      MakeMessage(static_cast<MessageKind>(input.ConsumeIntegralInRange<uint32_t>(0, 5)));
  message.nonce = input.ConsumeIntegralInRange<uint64_t>(0, 3);
  message.slot = input.ConsumeIntegral<int64_t>();
  message.proof = input.ConsumeIntegral<uint64_t>();
  message.region_id = input.ConsumeIntegral<uint8_t>();
  if (input.ConsumeBool()) {
    std::vector<char> bytes(reinterpret_cast<char*>(&message),
                            reinterpret_cast<char*>(&message + 1));
    bytes.resize(input.ConsumeIntegralInRange<size_t>(0, 2 * sizeof message));
    Patch(input, bytes.empty() ? (bytes = {0}) : bytes);
    send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return;
  }
  int descriptor = input.ConsumeBool() ? StrangeDescriptor(input) : -1;
  Send(fd, message, descriptor);
  if (descriptor >= 0) close(descriptor);
}

template <typename Party>
void Turn(Party& party, Nanoseconds now) {
  static pollfd fds[kMaxConnections + 1];
  int count = party.Watch(fds, now);
  poll(fds, static_cast<nfds_t>(count), 0);
  party.Handle(fds, count, now);
}

void LeadStrangers(FuzzedDataProvider& input) {
  static Leader& leader = *new Leader;
  MembershipName name = UniqueName();
  int descriptor;
  Region region = Region::Create({}, &descriptor);
  region.Claim(1, kNoSlot);
  region.Claim(2, kNoSlot);
  int listener = ListenUnder(name);
  Check(listener >= 0 && region.mapped());
  leader.Begin(listener, region, descriptor, 7);
  int members[4] = {-1, -1, -1, -1};
  Nanoseconds now = kSecond;
  for (int step = 0; step < 30 && input.remaining_bytes() > 0; ++step) {
    int& member = members[input.ConsumeIntegralInRange<int>(0, 3)];
    if (member < 0) {
      member = ConnectTo(name);
    } else if (input.ConsumeIntegral<uint8_t>() < 40) {
      close(member);
      member = -1;
    } else {
      SendStrange(member, input);
    }
    now += input.ConsumeIntegralInRange<Nanoseconds>(0, kSecond);
    Turn(leader, now);
    Check(leader.Deadline() >= now);
  }
  leader.End();
  for (int member : members)
    if (member >= 0) close(member);
  region.Unmap();
  close(descriptor);
}

void FollowAStranger(FuzzedDataProvider& input) {
  static Membership& membership = *new Membership;
  MembershipName name = UniqueName();
  int listener = ListenUnder(name);
  Check(listener >= 0);
  Nanoseconds now = Now();
  membership.Configure(name, 3, now - 2 * kSecond);
  membership.BecomeChild(3, now - 2 * kSecond);
  membership.Open(now);
  int leader = -1;
  for (int step = 0; step < 12 && input.remaining_bytes() > 0; ++step) {
    if (leader < 0) leader = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (leader >= 0) SendStrange(leader, input);
    if (leader >= 0 && input.ConsumeIntegral<uint8_t>() < 40) {
      close(leader);
      leader = -1;
    }
    now += input.ConsumeIntegralInRange<Nanoseconds>(0, 2 * kSecond);
    Turn(membership, now);
    membership.Publish(HealthySample(3), now);
    membership.SetGoodbye(input.ConsumeBool());
  }
  membership.Close();
  if (leader >= 0) close(leader);
  close(listener);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzedDataProvider input(data, size);
  input.ConsumeBool() ? LeadStrangers(input) : FollowAStranger(input);
  return 0;
}
