// SipHash-2-4: a keyed hash that proves knowledge of a key without telling it.
//
// Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012), with its
// test vectors in tests/unit/siphash_test.cc. Pure.

#pragma once

#include <cstddef>
#include <cstdint>

namespace pymalloc_exporter {

uint64_t SipHash(const uint64_t key[2], const void* message, size_t bytes);

}  // namespace pymalloc_exporter
