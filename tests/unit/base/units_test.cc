#include "base/units.h"

#include <gtest/gtest.h>

#include <type_traits>
#include <utility>

namespace scoville {
namespace {

template <typename A, typename B>
concept Addable = requires(A a, B b) {
  a + b;
};
template <typename A, typename B>
concept Multipliable = requires(A a, B b) {
  a* b;
};

static_assert(!Addable<Power, Duration>);
static_assert(!Addable<TimePoint, TimePoint>);
static_assert(!Addable<Tokens, Bytes>);
static_assert(!Multipliable<Power, Power>);
static_assert(!Multipliable<Energy, Duration>);
static_assert(std::is_same_v<decltype(std::declval<Power>() * std::declval<Duration>()), Energy>);
static_assert(!std::is_convertible_v<int64_t, Power>);

TEST(UnitsTest, PowerTimesDurationIsExactInPicojoules) {
  const Energy e = Milliwatts(3) * Nanoseconds(7);
  EXPECT_EQ(e.microjoules(), 0);
  EXPECT_EQ(e.picojoules(), 21);
  EXPECT_EQ((Watts(1) * Seconds(1)).microjoules(), 1'000'000);
}

TEST(UnitsTest, AYearAtAHundredKilowattsDoesNotOverflow) {
  const Energy e = Watts(100'000) * Seconds(365 * 86'400);
  EXPECT_EQ(e.microjoules(), 3'153'600'000'000'000'000);
}

TEST(UnitsTest, EnergyCarriesAndBorrowsItsRemainder) {
  const Energy a = Energy::FromPicojoules(999'999);
  const Energy b = Energy::FromPicojoules(2);
  EXPECT_EQ((a + b).microjoules(), 1);
  EXPECT_EQ((a + b).picojoules(), 1);
  EXPECT_EQ(a + b - b, a);
  const Energy negative = b - a;
  EXPECT_EQ(negative.microjoules(), -1);
  EXPECT_EQ(negative.picojoules(), 3);
  EXPECT_LT(negative, b);
}

TEST(UnitsTest, InstantsAndDurations) {
  const TimePoint t = TimePoint(5) + Microseconds(2);
  EXPECT_EQ(t.ns(), 2'005);
  EXPECT_EQ(t - TimePoint(5), Nanoseconds(2'000));
  EXPECT_EQ(Seconds(3) / Milliseconds(1), 3'000);
}

}  // namespace
}  // namespace scoville
