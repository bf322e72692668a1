// Samples as a healthy process writes them.

#pragma once

#include <cstdio>

#include "exporter/publish/scrape.h"

namespace pymalloc_exporter {

inline Sample HealthySample(uint64_t nonce = 1) {
  Sample sample;
  Identity& identity = sample.identity;
  identity.nonce = nonce;
  identity.pid = 100 + static_cast<int>(nonce);
  identity.parent_pid = 100;
  snprintf(identity.app, sizeof identity.app, "shop");
  snprintf(identity.implementation, sizeof identity.implementation, "CPython");
  snprintf(identity.version, sizeof identity.version, "3.11.7");
  snprintf(identity.version_patchlevel, sizeof identity.version_patchlevel, "7");
  identity.version_major = 3;
  identity.version_minor = 11;
  sample.timestamp_seconds = 1.7e9;
  for (CollectorStatus& status : sample.collectors)
    status = {Reason::kNone, 0.001, 1.7e9};
  sample.process.resident_bytes = 50'000'000;
  sample.pymalloc.arena_size_bytes = 1 << 20;
  sample.pymalloc.pool_size_bytes = 1 << 14;
  sample.pymalloc.arenas = 3;
  sample.pymalloc.live_bytes = 2 << 20;
  sample.pymalloc.uncarved_bytes = 1 << 20;
  sample.pymalloc.arenas_by_occupancy[9] = 3;
  return sample;
}

inline LiveSample Live(int worker, const Sample& sample) {
  return {worker, Role::kProcess, sample};
}

}  // namespace pymalloc_exporter
