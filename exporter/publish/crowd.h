// Slow clients in numbers must not keep the others waiting.
//
// civetweb gives each client a thread, and each a second to send its request. Where more
// are connected than there are threads, a client of which nothing has come for kPatience
// is hung up on: who asks for metrics sends its request in one piece, and it mostly is
// there before a thread is. civetweb's build points its calls of accept(2) and poll(2)
// here.
//
// Thread safety: any thread of the server. No GIL, no malloc.

#pragma once

#include "exporter/system/clock.h"

namespace pymalloc_exporter {

inline constexpr int kServerThreads = 3;
inline constexpr Nanoseconds kCrowdedPatience = 10 * kMillisecond;

// Before a server starts, and in a forked child: nobody is connected.
void ForgetConnections();

// A connection was closed.
void CountOut();

}  // namespace pymalloc_exporter
