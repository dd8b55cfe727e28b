#include "sim/power/deployment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "sim/power/compare.h"
#include "tests/unit/sim_power/study_fixture.h"

namespace scoville::sim::power {
namespace {

using ::testing::HasSubstr;

// The figures that the design of the profile gives for this load, within 5 %: ms, W per chip, mJ.
TEST(DeploymentTest, SeventyBillionParametersOnEightChips) {
  const Study study = MakeTestStudy();
  const std::vector<OperatingPoint> points = AtAllClocks(study.deployment, study.load);
  ASSERT_EQ(points.size(), 13u);
  const OperatingPoint& fast = points[12];
  EXPECT_NEAR(fast.clock_ghz, 1.8, 1e-9);
  EXPECT_NEAR(fast.step_s * 1e3, 2.85, 0.05 * 2.85);
  EXPECT_NEAR(fast.watts_per_chip(), 296, 0.05 * 296);
  EXPECT_NEAR(fast.joules_per_output() * 1e3, 106, 0.05 * 106);
  const OperatingPoint& slow = points[0];
  EXPECT_NEAR(slow.step_s * 1e3, 4.94, 0.05 * 4.94);
  EXPECT_NEAR(slow.watts_per_chip(), 178, 0.05 * 178);
}

TEST(DeploymentTest, APointAddsUp) {
  const Study study = MakeTestStudy();
  for (const OperatingPoint& p : AtAllClocks(study.deployment, study.load)) {
    EXPECT_DOUBLE_EQ(p.watts() * p.step_s, p.joules);
    EXPECT_NEAR(p.output_per_s() * p.joules_per_output(), p.watts(), 1e-9 * p.watts());
    EXPECT_EQ(p.output_tokens, 64);
  }
}

TEST(DeploymentTest, TakesTheFewestChipsThatHoldTheModel) {
  const auto profile = device::FindProfile("h100-sxm");
  ASSERT_TRUE(profile.ok());
  const auto card = MakeCard("llama-3.1-70b", {});
  ASSERT_TRUE(card.ok());
  const auto d = MakeDeployment(*profile, *card, {}, {});
  ASSERT_TRUE(d.ok()) << d.status();
  EXPECT_EQ(d->chips(), 4);  // 141 GB of weights and KV, 80 GB each
  EXPECT_GE(d->MostSequences(2048), 64);
  DeploymentOptions two;
  two.chips = 2;
  const auto tight = MakeDeployment(*profile, *card, two, {});
  ASSERT_FALSE(tight.ok());
  EXPECT_THAT(std::string(tight.status().message()), HasSubstr("llama-3.1-70b"));
}

TEST(DeploymentTest, RefusesABatchThatDoesNotFitWithTheArithmetic) {
  const auto profile = device::FindProfile("jalapeno-gen1");
  ASSERT_TRUE(profile.ok());
  const auto card = MakeCard("llama-3.1-70b", {});
  ASSERT_TRUE(card.ok());
  DeploymentOptions one;
  one.chips = 1;
  const auto d = MakeDeployment(*profile, *card, one, {.batch = 500, .context = 2048});
  ASSERT_FALSE(d.ok());
  EXPECT_THAT(std::string(d.status().message()),
              AllOf(HasSubstr("KV blocks of 16 tokens"), HasSubstr("and not 500")));
}

TEST(DeploymentTest, NamesThePrecisionsThereAre) {
  DeploymentOptions options;
  options.weights = "fp5";
  const auto card = MakeCard("llama-3.1-8b", options);
  ASSERT_FALSE(card.ok());
  EXPECT_THAT(std::string(card.status().message()),
              HasSubstr("--weights: 'fp5' is no precision, there are bf16, fp8"));
  EXPECT_FALSE(MakeCard("llama-3.1-71b", {}).ok());
}

TEST(DeploymentTest, StaysWithinTheTdp) {
  for (const std::string& name : device::BuiltinProfileNames()) {
    const auto profile = device::FindProfile(name);
    ASSERT_TRUE(profile.ok());
    const auto card = MakeCard("llama-3.1-8b", {});
    ASSERT_TRUE(card.ok());
    const Load load{.batch = 16, .context = 2048, .prefill = 512};
    const auto d = MakeDeployment(*profile, *card, {}, load);
    ASSERT_TRUE(d.ok()) << d.status();
    const OperatingPoint p = AtTdp(*d, load);
    if (p.state > 0) {
      EXPECT_LE(p.watts_per_chip(), profile->tdp.value) << name;
    }
    EXPECT_EQ(p.total_tokens, 16 + 512);
  }
}

TEST(TrafficTest, StepsHoldThePromptTokensThatKeepThemComing) {
  const Load few = LoadOf({.prompt = 2048, .output = 256}, 64);
  EXPECT_EQ(few.prefill_tokens(), 512);
  EXPECT_EQ(few.prompts, 1);
  EXPECT_EQ(few.prefill_cached, (2048 - 512) / 2);
  EXPECT_EQ(few.context, 2048 + 128);
  const Load many = LoadOf({.prompt = 1000, .output = 10}, 50);
  EXPECT_EQ(many.prompts, 5);
  EXPECT_EQ(many.prefill_tokens(), 5000);
  EXPECT_EQ(LoadOf({.prompt = 10, .output = 1000}, 1).prefill_tokens(), 1);
}

}  // namespace
}  // namespace scoville::sim::power
