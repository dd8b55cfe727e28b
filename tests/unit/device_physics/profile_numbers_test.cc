// Profiles with other numbers in place of their own: what samples and sensitivities are made of.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "device/physics/profile.h"

namespace scoville::device {
namespace {

using ::testing::HasSubstr;
using Values = std::vector<std::pair<std::string, double>>;

std::map<std::string, NamedNumber> ByKey(const Profile& profile) {
  std::map<std::string, NamedNumber> numbers;
  for (const NamedNumber& number : ProfileNumbers(profile)) {
    numbers[number.key] = number;
  }
  return numbers;
}

TEST(ProfileNumbersTest, NamesEveryNumberInAUnitOfTheFiles) {
  auto numbers = ByKey(DefaultProfile());
  EXPECT_EQ(numbers["hbm_bandwidth"].unit, "TB/s");
  EXPECT_DOUBLE_EQ(numbers["hbm_bandwidth"].number.value / numbers["hbm_bandwidth"].scale, 15.4);
  EXPECT_EQ(numbers["issue_latency"].unit, "us");
  EXPECT_EQ(numbers["tdp"].unit, "W");
  EXPECT_EQ(numbers["overlap"].unit, "");
  EXPECT_TRUE(numbers["row_tile"].whole);
}

TEST(ProfileNumbersTest, NoChangeGivesTheSameProfile) {
  for (const std::string& name : BuiltinProfileNames()) {
    const absl::StatusOr<Profile> profile = BuiltinProfile(name);
    ASSERT_TRUE(profile.ok());
    const absl::StatusOr<Profile> same = WithNumbers(*profile, {});
    ASSERT_TRUE(same.ok()) << same.status();
    EXPECT_EQ(same->content_hash, profile->content_hash) << name;
    EXPECT_EQ(same->weakest, profile->weakest) << name;
  }
}

TEST(ProfileNumbersTest, ChangesReachTheTablesAndTheHash) {
  const Profile base = DefaultProfile();
  const absl::StatusOr<Profile> changed =
      WithNumbers(base, Values{{"clock_max", 1.7e9}, {"voltage_min", 0.5}});
  ASSERT_TRUE(changed.ok()) << changed.status();
  EXPECT_EQ(changed->pstates.size(), base.pstates.size());
  EXPECT_EQ(changed->pstates.back().hertz, 1.7e9);
  EXPECT_DOUBLE_EQ(changed->pstates.front().volts, 0.5);
  EXPECT_NE(changed->content_hash, base.content_hash);
  EXPECT_EQ(changed->hbm_bandwidth.value, base.hbm_bandwidth.value);
}

TEST(ProfileNumbersTest, WhatTheFileLeavesOutFollows) {
  const Profile base = DefaultProfile();
  ASSERT_EQ(base.efficiency[1].value, base.efficiency[2].value);
  EXPECT_EQ(ByKey(base).count("compute_efficiency_fp8"), 0u);
  const absl::StatusOr<Profile> changed = WithNumbers(base, Values{{"compute_efficiency", 0.45}});
  ASSERT_TRUE(changed.ok()) << changed.status();
  EXPECT_EQ(changed->efficiency[1].value, 0.45);
  EXPECT_EQ(changed->efficiency[0].value, 0.45);
  EXPECT_EQ(changed->attention_efficiency.value, 0.45);
  // Unless it is named itself.
  const absl::StatusOr<Profile> both =
      WithNumbers(base, Values{{"compute_efficiency", 0.45}, {"compute_efficiency_fp8", 0.6}});
  ASSERT_TRUE(both.ok()) << both.status();
  EXPECT_EQ(both->efficiency[2].value, 0.45);
  EXPECT_EQ(both->efficiency[1].value, 0.6);
}

TEST(ProfileNumbersTest, RefusesWhatMakesNoSense) {
  const Profile base = DefaultProfile();
  const auto message = [&](const Values& values) {
    const absl::StatusOr<Profile> changed = WithNumbers(base, values);
    return changed.ok() ? std::string("accepted") : std::string(changed.status().message());
  };
  EXPECT_THAT(message({{"hbm_bandwith", 1e12}}), HasSubstr("hbm_bandwith: no such number"));
  EXPECT_THAT(message({{"hbm_bandwidth", -1}}), HasSubstr("hbm_bandwidth: makes no sense"));
  EXPECT_THAT(message({{"clock_min", 1.8e9}}), HasSubstr("clock_min: not below clock_max"));
  EXPECT_THAT(message({{"parked_power", 300}}), HasSubstr("parked_power"));
}

}  // namespace
}  // namespace scoville::device
