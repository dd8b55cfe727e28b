#include "device/power/window_audit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/random.h"

namespace scoville::device {
namespace {

TEST(WindowAuditTest, FindsTheWindowThatHoldsTheBurst) {
  const TracePiece trace[] = {{TimePoint(0), Duration(100), Power(10)},
                              {TimePoint(100), Duration(20), Power(500)},
                              {TimePoint(120), Duration(100), Power(10)}};
  const TraceCap caps[] = {{TimePoint(0), Power(200)}};
  const WindowExcess worst = WorstWindow(trace, caps, Duration(50));
  EXPECT_EQ(static_cast<int64_t>(worst.picojoules), 20 * 500 + 30 * 10 - 50 * 200);
  EXPECT_EQ(worst.end, TimePoint(120));
}

TEST(WindowAuditTest, AtItsCapIsNotAbove) {
  const TracePiece trace[] = {{TimePoint(0), Duration(100), Power(200)}};
  const TraceCap caps[] = {{TimePoint(0), Power(200)}};
  EXPECT_EQ(static_cast<int64_t>(WorstWindow(trace, caps, Duration(50)).picojoules), 0);
}

TEST(WindowAuditTest, ALowerCapJudgesWindowsThatEndAfterIt) {
  const TracePiece trace[] = {{TimePoint(0), Duration(100), Power(300)},
                              {TimePoint(100), Duration(100), Power(100)}};
  const TraceCap kept[] = {{TimePoint(0), Power(300)}, {TimePoint(150), Power(100)}};
  EXPECT_EQ(static_cast<int64_t>(WorstWindow(trace, kept, Duration(50)).picojoules), 0);
  const TraceCap early[] = {{TimePoint(0), Power(300)}, {TimePoint(149), Power(100)}};
  EXPECT_EQ(static_cast<int64_t>(WorstWindow(trace, early, Duration(50)).picojoules), 200);
}

TEST(WindowAuditTest, BeforeARaiseTheOldCapHolds) {
  const TracePiece trace[] = {{TimePoint(0), Duration(100), Power(300)}};
  const TraceCap caps[] = {{TimePoint(0), Power(200)}, {TimePoint(40), Power(400)}};
  // Windows of 50 ending just before 40 hold nearly 40 x 300 of at most 50 x 200.
  EXPECT_EQ(static_cast<int64_t>(WorstWindow(trace, caps, Duration(50)).picojoules),
            40 * 300 - 50 * 200);
}

TEST(WindowAuditTest, IsWhatLookingAtEveryNanosecondFinds) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    std::vector<TracePiece> trace;
    std::vector<int64_t> plain;
    for (uint64_t i = 0; i < 30; ++i) {
      const auto length = static_cast<int64_t>(1 + RandomBelow(seed, 0, i, 15));
      const auto power = static_cast<int64_t>(RandomBelow(seed, 1, i, 500));
      trace.push_back(
          {TimePoint(static_cast<int64_t>(plain.size())), Duration(length), Power(power)});
      plain.insert(plain.end(), static_cast<size_t>(length), power);
    }
    const std::vector<TraceCap> caps = {{TimePoint(0), Power(300)}, {TimePoint(70), Power(250)}};
    const auto window = static_cast<int64_t>(1 + RandomBelow(seed, 2, 0, 60));
    int64_t most = INT64_MIN;
    for (int64_t end = 0; end <= static_cast<int64_t>(plain.size()); ++end) {
      int64_t energy = 0;
      for (int64_t t = std::max<int64_t>(0, end - window); t < end; ++t) {
        energy += plain[static_cast<size_t>(t)];
      }
      most = std::max(most, energy - (end >= 70 ? 250 : 300) * window);
    }
    EXPECT_EQ(static_cast<int64_t>(WorstWindow(trace, caps, Duration(window)).picojoules), most);
  }
}

}  // namespace
}  // namespace scoville::device
