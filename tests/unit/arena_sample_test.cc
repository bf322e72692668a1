#include "exporter/cpython/arena_sample.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <vector>

namespace pymalloc_exporter {
namespace {

constexpr int kPasses = 4000;

// What a pass that reads a share of arenas with these totals makes of them.
struct Estimate {
  double total;
  double error;
};

Estimate Take(ArenaSample& sample, double share, const std::vector<double>& arenas) {
  double sum = 0, squares = 0;
  sample.Begin(share);
  for (double total : arenas) {
    if (!sample.Draw()) continue;
    sum += total;
    squares += total * total;
  }
  return {sum * sample.scale(), sample.StandardError(sum, squares)};
}

// Of many passes.
struct Summary {
  double mean = 0;
  double spread = 0;       // standard deviation of the estimates
  double mean_square = 0;  // of the errors that they come with
  double covered = 0;      // share of the estimates within two errors of the truth
};

Summary TakeMany(double share, const std::vector<double>& arenas) {
  ArenaSample sample(1);
  double truth = std::accumulate(arenas.begin(), arenas.end(), 0.0);
  double sum = 0, squares = 0;
  Summary all;
  for (int i = 0; i < kPasses; ++i) {
    Estimate estimate = Take(sample, share, arenas);
    sum += estimate.total;
    squares += estimate.total * estimate.total;
    all.mean_square += estimate.error * estimate.error / kPasses;
    all.covered += std::abs(estimate.total - truth) <= 2 * estimate.error ? 1.0 : 0.0;
  }
  all.mean = sum / kPasses;
  all.spread = std::sqrt(squares / kPasses - all.mean * all.mean);
  all.covered /= kPasses;
  return all;
}

// A type that fills some arenas, lives scattered in others and is missing in most.
std::vector<double> Uneven() {
  std::vector<double> arenas(1000, 0);
  for (size_t i = 0; i < 200; ++i) arenas[i] = 1 << 20;
  for (size_t i = 200; i < 500; ++i) arenas[i] = static_cast<double>(i * 97 % 50'000);
  return arenas;
}

TEST(ArenaSample, IsWithoutBias) {
  std::vector<double> arenas = Uneven();
  double truth = std::accumulate(arenas.begin(), arenas.end(), 0.0);
  for (double share : {0.05, 0.3, 0.9}) {
    Summary all = TakeMany(share, arenas);
    EXPECT_NEAR(all.mean, truth, 5 * all.spread / std::sqrt(kPasses)) << share;
  }
}

TEST(ArenaSample, TellsItsError) {
  for (double share : {0.1, 0.3, 0.9}) {
    Summary all = TakeMany(share, Uneven());
    EXPECT_NEAR(std::sqrt(all.mean_square), all.spread, 0.05 * all.spread) << share;
    EXPECT_NEAR(all.covered, 0.954, 0.02) << share;
  }
}

TEST(ArenaSample, HasNoErrorWhereAllArenasAreAlike) {
  ArenaSample sample(1);
  Estimate estimate = Take(sample, 0.1, std::vector<double>(1000, 4096));
  EXPECT_DOUBLE_EQ(estimate.total, 4096e3);
  EXPECT_EQ(estimate.error, 0);
  EXPECT_FALSE(sample.whole());
}

TEST(ArenaSample, OfAllArenasIsNoEstimate) {
  ArenaSample sample(1);
  Estimate estimate = Take(sample, 1, {1, 2, 3});
  EXPECT_EQ(estimate.total, 6);
  EXPECT_EQ(estimate.error, 0);
  EXPECT_TRUE(sample.whole());
  EXPECT_EQ(sample.drawn(), 3u);
}

TEST(ArenaSample, DrawsAsManyAsWanted) {
  ArenaSample sample(1);
  Take(sample, 0.25, std::vector<double>(100'000, 1));
  EXPECT_EQ(sample.arenas(), 100'000u);
  EXPECT_NEAR(static_cast<double>(sample.drawn()), 25'000, 700);
}

TEST(ArenaSample, OfOneArenaIsNoMeasure) {
  ArenaSample sample(1);
  double error = 0;
  do {
    error = Take(sample, 0.1, {5, 5, 5, 5}).error;
  } while (sample.drawn() != 1);
  EXPECT_TRUE(std::isinf(error));
}

}  // namespace
}  // namespace pymalloc_exporter
