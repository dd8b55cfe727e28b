#include "device/power/power_ledger.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "base/random.h"

namespace scoville::device {
namespace {

constexpr Duration kWindow = Microseconds(1);
constexpr Power kTail = Power(100);

PowerLedger Ledger(int64_t pieces = 1024) {
  return PowerLedger(TimePoint(), kTail, kWindow, pieces);
}

int64_t Pj(const PowerLedger& ledger, int64_t from, int64_t to) {
  return static_cast<int64_t>(ledger.EnergyOver(TimePoint(from), TimePoint(to)));
}

TEST(PowerLedgerTest, TheTailIsBeforeTheStartAndTheFloorAfter) {
  PowerLedger ledger = Ledger();
  EXPECT_EQ(Pj(ledger, -1000, 0), 100 * 1000);
  ledger.Append(Duration(10), Power(7));  // parked: counts as the tail
  ledger.Append(Duration(10), Power(500));
  EXPECT_EQ(Pj(ledger, 0, 20), 100 * 10 + 500 * 10);
  EXPECT_EQ(Pj(ledger, -5, 15), 100 * 15 + 500 * 5);
  EXPECT_EQ(ledger.end(), TimePoint(20));
}

TEST(PowerLedgerTest, EqualNeighboursAreOnePiece) {
  PowerLedger ledger = Ledger();
  for (int i = 0; i < 100; ++i) {
    ledger.Append(Duration(10), Power(i % 90));
  }
  EXPECT_EQ(ledger.pieces(), 1);
  ledger.Append(Duration(0), Power(900));
  EXPECT_EQ(ledger.pieces(), 1);
}

TEST(PowerLedgerTest, SumsAreThoseOfAPlainArray) {
  // Nanosecond by nanosecond.
  PowerLedger ledger = Ledger();
  std::vector<int64_t> plain;
  for (uint64_t i = 0; i < 500; ++i) {
    const auto power = static_cast<int64_t>(RandomBelow(7, 0, i, 300));
    const auto length = static_cast<int64_t>(RandomBelow(7, 1, i, 20));
    ledger.Append(Duration(length), Power(power));
    plain.insert(plain.end(), static_cast<size_t>(length), std::max<int64_t>(power, 100));
  }
  const auto size = static_cast<int64_t>(plain.size());
  for (uint64_t i = 0; i < 500; ++i) {
    const auto a = static_cast<int64_t>(RandomBelow(7, 2, i, static_cast<uint64_t>(size)));
    const auto b = a + static_cast<int64_t>(RandomBelow(7, 3, i, static_cast<uint64_t>(size - a)));
    int64_t sum = 0;
    int64_t excess = 0;
    for (int64_t t = a; t < b; ++t) {
      sum += plain[static_cast<size_t>(t)];
    }
    EXPECT_EQ(Pj(ledger, a, b), sum);
    // The first instant by which `wanted` above the tail is shed.
    const auto wanted = static_cast<int64_t>(1 + RandomBelow(7, 4, i, 20'000));
    int64_t t = a;
    while (t < size && excess < wanted) {
      excess += plain[static_cast<size_t>(t)] - 100;
      ++t;
    }
    const std::optional<TimePoint> shed = ledger.ShedTime(TimePoint(a), wanted);
    ASSERT_EQ(shed.has_value(), excess >= wanted);
    if (shed) {
      EXPECT_EQ(shed->ns(), t);
    }
  }
}

TEST(PowerLedgerTest, TruncatingForgetsThePlan) {
  PowerLedger ledger = Ledger();
  ledger.Append(Duration(10), Power(200));
  ledger.Append(Duration(50), Power(300));
  ledger.Append(Duration(50), Power(400));
  ledger.Truncate(TimePoint(30));
  EXPECT_EQ(ledger.end(), TimePoint(30));
  EXPECT_EQ(ledger.pieces(), 3);
  ledger.Append(Duration(10), Power(300));
  EXPECT_EQ(Pj(ledger, 0, 40), 10 * 200 + 30 * 300);
  ledger.Truncate(TimePoint(10));
  EXPECT_EQ(Pj(ledger, 0, 10), 2000);
}

TEST(PowerLedgerTest, OnlyWhatNoWindowNeedsIsForgotten) {
  PowerLedger ledger = Ledger();
  for (int i = 0; i < 200; ++i) {
    ledger.Append(Duration(10), Power(200 + i % 2));
    ledger.Forget(ledger.end());
    EXPECT_EQ(Pj(ledger, ledger.end().ns() - 1000, ledger.end().ns()),
              i < 99 ? 100 * (1000 - 10 * (i + 1)) + (2005 * i + 2000 + (i % 2) * 5)
                     : 500 * 200 + 500 * 201)
        << i;
  }
  EXPECT_LE(ledger.pieces(), 101);
}

TEST(PowerLedgerTest, AFullLedgerCountsTooMuchAndNeverTooLittle) {
  PowerLedger small = Ledger(16);
  PowerLedger large = Ledger(1024);
  bool more = false;
  for (uint64_t i = 0; i < 3000; ++i) {
    const Power power(static_cast<int64_t>(RandomBelow(9, 0, i, 400)));
    const Duration length(1 + static_cast<int64_t>(RandomBelow(9, 1, i, 40)));
    for (PowerLedger* ledger : {&small, &large}) {
      ledger->Forget(ledger->end());
      ledger->Append(length, power);
    }
    EXPECT_LE(small.pieces(), 16);
    for (const int64_t window : {10, 100, 500, 1000}) {
      const int64_t end = small.end().ns();
      const int64_t counted = Pj(small, end - window, end);
      EXPECT_GE(counted, Pj(large, end - window, end));
      more = more || counted > Pj(large, end - window, end);
    }
  }
  EXPECT_TRUE(more);
}

TEST(PowerLedgerTest, IdlingMergesNothing) {
  PowerLedger ledger = Ledger(16);
  for (int i = 0; i < 100; ++i) {
    ledger.Append(Duration(5), Power(200 + i));
  }
  const int64_t before = Pj(ledger, ledger.end().ns() - 300, ledger.end().ns());
  const TimePoint end = ledger.end();
  ledger.Append(Duration(5), Power(0));
  EXPECT_EQ(Pj(ledger, end.ns() - 300, end.ns()), before);
}

TEST(PowerLedgerTest, KnowsUntilWhenItWasHigh) {
  PowerLedger ledger = Ledger();
  ledger.SetHighThreshold(Power(250));
  EXPECT_LT(ledger.HighUntil(), TimePoint(-1'000'000));
  ledger.Append(Duration(10), Power(300));
  ledger.Append(Duration(10), Power(250));
  EXPECT_EQ(ledger.HighUntil(), TimePoint(10));
  ledger.SetHighThreshold(Power(200));
  EXPECT_EQ(ledger.HighUntil(), TimePoint(20));
  ledger.SetHighThreshold(Power(300));
  EXPECT_LT(ledger.HighUntil(), TimePoint(-1'000'000));
}

}  // namespace
}  // namespace scoville::device
