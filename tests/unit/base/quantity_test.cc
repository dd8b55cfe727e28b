#include "base/quantity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace scoville {
namespace {

using ::testing::HasSubstr;

TEST(QuantityTest, Durations) {
  EXPECT_EQ(ParseDuration("30s").value(), Seconds(30));
  EXPECT_EQ(ParseDuration("1.5ms").value(), Microseconds(1500));
  EXPECT_EQ(ParseDuration("0.1 s").value(), Milliseconds(100));
  EXPECT_EQ(ParseDuration(" 2h ").value(), Seconds(7200));
  EXPECT_EQ(ParseDuration("1d").value(), Seconds(86'400));
  EXPECT_EQ(ParseDuration("7ns").value(), Nanoseconds(7));
  EXPECT_EQ(ParseDuration("3us").value(), Microseconds(3));
  EXPECT_EQ(ParseDuration("3m").value(), Seconds(180));
  EXPECT_EQ(ParseDuration("0").value(), Duration());
}

TEST(QuantityTest, PowersAndBytes) {
  EXPECT_EQ(ParsePower("250W").value(), Watts(250));
  EXPECT_EQ(ParsePower("1.5kW").value(), Watts(1500));
  EXPECT_EQ(ParsePower("250mW").value(), Milliwatts(250));
  EXPECT_EQ(ParsePower("20MW").value(), Watts(20'000'000));
  EXPECT_EQ(ParseBytes("512MiB").value(), Bytes(512LL << 20));
  EXPECT_EQ(ParseBytes("1.5GiB").value(), Bytes(3LL << 29));
  EXPECT_EQ(ParseBytes("2kB").value(), Bytes(2000));
  EXPECT_EQ(ParseBytes("4096B").value(), Bytes(4096));
}

TEST(QuantityTest, Refusals) {
  EXPECT_THAT(std::string(ParseDuration("30").status().message()), HasSubstr("has no unit"));
  EXPECT_THAT(std::string(ParseDuration("30x").status().message()),
              HasSubstr("unknown unit 'x'; write a number and a unit of ns, us, ms, s, m, h, d"));
  EXPECT_THAT(std::string(ParseDuration("0.5ns").status().message()), HasSubstr("finer than 1 ns"));
  EXPECT_THAT(std::string(ParseBytes("1.5B").status().message()), HasSubstr("finer than 1 B"));
  EXPECT_THAT(std::string(ParseDuration("999999999d").status().message()), HasSubstr("too large"));
  for (const char* text : {"", "s", "-1s", ".5s", "1.s", "1e3s", "1.2.3s", "1s 2", "+1s",
                           "9999999999999999999s", "1 000s", "0x10s"}) {
    EXPECT_FALSE(ParseDuration(text).ok()) << text;
  }
  EXPECT_FALSE(ParsePower("250w").ok());
  EXPECT_FALSE(ParseBytes("512mib").ok());
}

}  // namespace
}  // namespace scoville
