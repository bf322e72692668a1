// Clocks, in nanoseconds and in seconds.

#pragma once

#include <time.h>

#include <cstdint>

namespace pymalloc_exporter {

using Nanoseconds = int64_t;

inline constexpr Nanoseconds kSecond = 1'000'000'000;
inline constexpr Nanoseconds kMillisecond = 1'000'000;
inline constexpr Nanoseconds kMicrosecond = 1'000;

inline Nanoseconds Now(clockid_t clock = CLOCK_MONOTONIC) {
  timespec time{};
  clock_gettime(clock, &time);
  return time.tv_sec * kSecond + time.tv_nsec;
}

inline double Seconds(clockid_t clock) {
  return static_cast<double>(Now(clock)) / kSecond;
}

// Unix time less the time since boot: what a step of the clock changes.
inline double ClockOffset() { return Seconds(CLOCK_REALTIME) - Seconds(CLOCK_BOOTTIME); }

// Names the time namespace of this process: the time since boot differs between them. 0
// where the kernel has none (before Linux 5.6).
uint64_t TimeNamespace();

inline timespec ToTimespec(Nanoseconds time) { return {time / kSecond, time % kSecond}; }

inline void Sleep(Nanoseconds time) {
  timespec pause = ToTimespec(time);
  nanosleep(&pause, nullptr);
}

}  // namespace pymalloc_exporter
