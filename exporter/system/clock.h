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

inline timespec ToTimespec(Nanoseconds time) { return {time / kSecond, time % kSecond}; }

inline void Sleep(Nanoseconds time) {
  timespec pause = ToTimespec(time);
  nanosleep(&pause, nullptr);
}

}  // namespace pymalloc_exporter
