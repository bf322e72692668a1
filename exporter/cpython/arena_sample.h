// Which arenas a pass reads where it may not read all, and what they say of all.
//
// Each arena is drawn for itself, with the same chance: so arenas may come and go while
// the pass goes on. Whatever the number of those drawn turns out to be, they are a simple
// random sample without replacement of that size. A total is that of the sample times
// arenas / drawn (Horvitz and Thompson's, without bias); its error comes from how the
// total is spread over the arenas drawn (W. G. Cochran, Sampling Techniques, chapter 2).
//
// Thread safety: none, no state but the object's. No GIL, no malloc.

#pragma once

#include <cstdint>

namespace pymalloc_exporter {

class ArenaSample {
 public:
  explicit ArenaSample(uint64_t seed) : state_(seed) {}

  // Another pass, which reads this share of the arenas; 1: all of them.
  void Begin(double share);
  // Whether to read the next arena.
  bool Draw();

  uint64_t arenas() const { return arenas_; }
  uint64_t drawn() const { return drawn_; }
  bool whole() const { return drawn_ == arenas_; }

  // By what a total of the arenas drawn is to be multiplied. REQUIRES: drawn() > 0.
  double scale() const;
  // Of a total after that, from its sum and its sum of squares over the arenas drawn:
  // its standard error; infinity where one arena is no measure.
  double StandardError(double sum, double squares) const;

 private:
  uint64_t state_;
  double share_ = 1;
  uint64_t arenas_ = 0;
  uint64_t drawn_ = 0;
};

}  // namespace pymalloc_exporter
