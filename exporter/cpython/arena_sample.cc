#include "exporter/cpython/arena_sample.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace pymalloc_exporter {
namespace {

// splitmix64, in the public domain (S. Vigna, https://prng.di.unimi.it/splitmix64.c).
uint64_t Next(uint64_t& state) {
  uint64_t word = state += 0x9e3779b97f4a7c15;
  word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9;
  word = (word ^ word >> 27) * 0x94d049bb133111eb;
  return word ^ word >> 31;
}

}  // namespace

void ArenaSample::Begin(double share) {
  share_ = share;
  arenas_ = drawn_ = 0;
}

bool ArenaSample::Draw() {
  ++arenas_;
  bool drawn = share_ >= 1 || static_cast<double>(Next(state_) >> 11) * 0x1p-53 < share_;
  drawn_ += drawn ? 1 : 0;
  return drawn;
}

double ArenaSample::scale() const {
  return whole() ? 1 : static_cast<double>(arenas_) / static_cast<double>(drawn_);
}

double ArenaSample::StandardError(double sum, double squares) const {
  if (whole()) return 0;
  if (drawn_ < 2) return std::numeric_limits<double>::infinity();
  auto all = static_cast<double>(arenas_), drawn = static_cast<double>(drawn_);
  double variance = std::max(squares - sum * sum / drawn, 0.0) / (drawn - 1);
  return all * std::sqrt((1 - drawn / all) * variance / drawn);
}

}  // namespace pymalloc_exporter
