#include "device/physics/energy_meter.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace scoville::device {
namespace {

TEST(EnergyMeterTest, IntegratesPiecesExactly) {
  EnergyMeter meter(TimePoint(1000), Milliwatts(89'333));
  EXPECT_EQ(meter.Read(TimePoint(1000)), Energy());
  EXPECT_EQ(meter.Read(TimePoint(1001)), Energy::FromPicojoules(89'333));
  meter.SetPower(TimePoint(4000), Milliwatts(1));
  meter.SetPower(TimePoint(4000), Milliwatts(700'000));
  EXPECT_EQ(meter.Read(TimePoint(4007)), Energy::FromPicojoules(89'333 * 3000 + 7 * 700'000));
  EXPECT_EQ(meter.power(), Watts(700));
  EXPECT_EQ(meter.last_change(), TimePoint(4000));
}

// Against a plain sum of products; readings in between change nothing and never decrease.
TEST(EnergyMeterTest, EqualsThePlainSumOverRandomPieces) {
  TimePoint now(0);
  Power power = Watts(90);
  EnergyMeter meter(now, power);
  __int128 expected = 0;
  Energy last;
  for (uint64_t i = 0; i < 10'000; ++i) {
    const int64_t ns = static_cast<int64_t>(RandomBelow(1, 0, 2 * i, 3'000'000'000));
    expected += static_cast<__int128>(power.value()) * ns;
    EXPECT_LE(last, meter.Read(now + Duration(ns / 2)));
    now += Duration(ns);
    power = Power(static_cast<int64_t>(RandomBelow(1, 0, 2 * i + 1, 1'000'000)));
    meter.SetPower(now, power);
    ASSERT_EQ(meter.Read(now).total_picojoules(), expected);
    EXPECT_GE(meter.Read(now), last);
    last = meter.Read(now);
  }
}

TEST(EnergyMeterDeathTest, TimeAndPowerAreChecked) {
  EnergyMeter meter(TimePoint(10), Watts(1));
  EXPECT_DEATH(meter.Read(TimePoint(9)), "last_change_");
  EXPECT_DEATH(meter.SetPower(TimePoint(9), Watts(1)), "last_change_");
  EXPECT_DEATH(meter.SetPower(TimePoint(11), Watts(-1)), "power");
}

}  // namespace
}  // namespace scoville::device
