#include "sim/power/profile_samples.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>
#include <string>
#include <vector>

namespace scoville::sim::power {
namespace {

TEST(ProfileSamplesTest, EveryBuiltinProfileCanBeDrawnWithinItsRanges) {
  for (const std::string& name : device::BuiltinProfileNames()) {
    const auto profile = device::BuiltinProfile(name);
    ASSERT_TRUE(profile.ok());
    const auto samples = SampleProfiles(*profile, 20, 3);
    ASSERT_TRUE(samples.ok()) << samples.status();
    ASSERT_EQ(samples->size(), 20u);
    for (const device::Profile& sample : *samples) {
      for (const device::NamedNumber& named : device::ProfileNumbers(sample)) {
        if (named.number.low) {
          EXPECT_GE(named.number.value, *named.number.low) << name << " " << named.key;
          EXPECT_LE(named.number.value, *named.number.high) << name << " " << named.key;
        }
        if (named.whole) {
          EXPECT_EQ(named.number.value, std::round(named.number.value)) << named.key;
        }
      }
    }
  }
}

TEST(ProfileSamplesTest, EqualSeedsGiveEqualDrawsAndOthersOthers) {
  const device::Profile profile = device::DefaultProfile();
  const auto a = SampleProfiles(profile, 5, 7);
  const auto b = SampleProfiles(profile, 5, 7);
  const auto c = SampleProfiles(profile, 5, 8);
  ASSERT_TRUE(a.ok() && b.ok() && c.ok());
  std::set<std::string> hashes;
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_EQ((*a)[i].content_hash, (*b)[i].content_hash);
    EXPECT_NE((*a)[i].content_hash, (*c)[i].content_hash);
    hashes.insert((*a)[i].content_hash.ToString());
  }
  EXPECT_EQ(hashes.size(), 5u);
}

TEST(ProfileSamplesTest, DrawsAreLikeliestAroundTheValue) {
  const device::Profile profile = device::DefaultProfile();
  const auto samples = SampleProfiles(profile, 2000, 1);
  ASSERT_TRUE(samples.ok());
  // The mean of a triangle is a third of its corners' sum.
  const device::ProfileNumber& number = profile.hbm_energy_per_bit;
  double sum = 0;
  int near = 0;
  for (const device::Profile& sample : *samples) {
    sum += sample.hbm_energy_per_bit.value;
    near +=
        std::abs(sample.hbm_energy_per_bit.value - number.value) < (*number.high - *number.low) / 8
            ? 1
            : 0;
  }
  const double mean = (*number.low + *number.high + number.value) / 3;
  EXPECT_NEAR(sum / 2000, mean, 0.02 * mean);
  EXPECT_GT(near, 700);  // a uniform draw: 500
}

TEST(ProfileSamplesTest, UncertainNumbersHaveARange) {
  const auto numbers = UncertainNumbers(device::DefaultProfile());
  EXPECT_GT(numbers.size(), 20u);
  for (const device::NamedNumber& named : numbers) {
    EXPECT_LT(*named.number.low, *named.number.high) << named.key;
    EXPECT_NE(named.key, "hbm_bandwidth");  // published, no range
  }
}

TEST(BandTest, NearestRankOfWhatIsThere) {
  std::vector<double> values;
  for (int i = 100; i >= 1; --i) {
    values.push_back(i);
  }
  values.push_back(std::numeric_limits<double>::quiet_NaN());
  const Band band = BandOf(values);
  EXPECT_EQ(band.low, 5);
  EXPECT_EQ(band.high, 95);
  EXPECT_EQ(BandOf({4}).low, 4);
  EXPECT_TRUE(std::isnan(BandOf({}).low));
}

}  // namespace
}  // namespace scoville::sim::power
