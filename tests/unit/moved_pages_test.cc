#include "exporter/system/moved_pages.h"

#include <gtest/gtest.h>

namespace pymalloc_exporter {
namespace {

constexpr Nanoseconds kPatience = kMillisecond;

// Adds up what it is asked to rest; does not.
class FastPace final : public Pace {
 public:
  explicit FastPace(bool forks = false) : forks_(forks) {}
  bool Rest() noexcept override { return !forks_; }
  bool RestUntil(Nanoseconds until) noexcept override {
    rested_ += until - Now();
    return !forks_;
  }
  Nanoseconds patience() const noexcept override { return kPatience; }
  Nanoseconds rested() const { return rested_; }

 private:
  const bool forks_;
  Nanoseconds rested_ = 0;
};

TEST(MovedPages, LooksAgainUntilTheyAreThere) {
  FastPace pace;
  bool ended = false;
  int looks = 0;
  EXPECT_FALSE(MovedPages().StaysSwapped(pace, &ended, [&] { return ++looks < 3; }));
  EXPECT_EQ(looks, 3);
  EXPECT_FALSE(ended);
}

// Regression: on a busy machine without swap space pages were on their way for longer
// than a walk waited, and then taken for swapped.
TEST(MovedPages, HasMorePatienceWhereNothingIsSwapped) {
  FastPace pace;
  bool ended = false;
  EXPECT_TRUE(MovedPages().StaysSwapped(pace, &ended, [] { return true; }));
  EXPECT_FALSE(ended);
  EXPECT_GT(pace.rested(), kPatience / 2);
  EXPECT_EQ(pace.rested() > 5 * kPatience, !SwapSpaceExists());
}

TEST(MovedPages, WaitsInAllAndNotForEach) {
  FastPace pace;
  bool ended = false;
  MovedPages moved;
  EXPECT_TRUE(moved.StaysSwapped(pace, &ended, [] { return true; }));
  int looks = 0;
  EXPECT_TRUE(moved.StaysSwapped(pace, &ended, [&] { return ++looks > 0; }));
  EXPECT_EQ(looks, 1);
}

TEST(MovedPages, LetsAForkEndTheWalk) {
  FastPace pace(true);
  bool ended = false;
  EXPECT_TRUE(MovedPages().StaysSwapped(pace, &ended, [] { return true; }));
  EXPECT_TRUE(ended);
}

}  // namespace
}  // namespace pymalloc_exporter
