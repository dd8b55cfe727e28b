#include "device/physics/energy_attribution.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "tests/unit/device_physics/physics_fixtures.h"

namespace scoville::device {
namespace {

std::vector<int64_t> Split(int64_t picojoules, const std::vector<uint64_t>& weights) {
  std::vector<Energy> shares(weights.size());
  SplitEnergy(Energy::FromPicojoules(picojoules), weights, absl::MakeSpan(shares));
  std::vector<int64_t> result;
  result.reserve(shares.size());
  for (const Energy& e : shares) {
    result.push_back(static_cast<int64_t>(e.total_picojoules()));
  }
  return result;
}

TEST(SplitEnergyTest, CutsAtRunningSums) {
  using ::testing::ElementsAre;
  EXPECT_THAT(Split(10, {1, 1, 1}), ElementsAre(3, 3, 4));
  EXPECT_THAT(Split(10, {0, 5, 0}), ElementsAre(0, 10, 0));
  EXPECT_THAT(Split(0, {2, 3}), ElementsAre(0, 0));
  EXPECT_THAT(Split(7, {4}), ElementsAre(7));
  EXPECT_THAT(Split(2, {1, 1, 1, 1}), ElementsAre(0, 1, 0, 1));
}

TEST(SplitEnergyTest, AllZeroWeightsShareEqually) {
  EXPECT_THAT(Split(10, {0, 0, 0}), ::testing::ElementsAre(3, 3, 4));
}

TEST(SplitEnergyTest, SharesSumToTheWholeAndAreWithinAPicojouleOfTheirDue) {
  for (uint64_t index = 0; index < 2000; ++index) {
    std::vector<uint64_t> weights(1 + RandomBelow(5, index, 0, 300));
    __int128 sum = 0;
    for (size_t i = 0; i < weights.size(); ++i) {
      weights[i] = RandomBits(5, index, i + 1) >> (9 + index % 48);
      sum += weights[i];
    }
    const Energy energy = Energy::FromPicojoules(
        static_cast<__int128>(RandomBits(5, index, 1000) >> (1 + index % 40)));
    std::vector<Energy> shares(weights.size());
    SplitEnergy(energy, weights, absl::MakeSpan(shares));
    Energy total;
    for (size_t i = 0; i < shares.size(); ++i) {
      total += shares[i];
      ASSERT_GE(shares[i], Energy());
      if (sum > 0) {
        const __int128 due = energy.total_picojoules() * weights[i] / sum;
        ASSERT_LE(shares[i].total_picojoules() - due, 1);
        ASSERT_GE(shares[i].total_picojoules() - due, -1);
      }
    }
    ASSERT_EQ(total, energy);
  }
}

TEST(SplitEnergyTest, TheLargestEnergyAndWeights) {
  const uint64_t half = (uint64_t{1} << 62) - 1;
  const int64_t most = INT64_MAX;
  const std::vector<int64_t> shares = Split(most, {half, half});
  EXPECT_EQ(shares[0], most / 2);
  EXPECT_EQ(shares[1], most - most / 2);
}

TEST(SplitEnergyDeathTest, Preconditions) {
  Energy shares[2];
  const uint64_t weights[] = {uint64_t{1} << 63, 1};
  EXPECT_DEATH(SplitEnergy(Energy(), weights, absl::MakeSpan(shares)), "kMaxWeight");
  const uint64_t fine[] = {1, 1};
  EXPECT_DEATH(SplitEnergy(Energy::FromPicojoules(-1), fine, absl::MakeSpan(shares)), "total");
  EXPECT_DEATH(SplitEnergy(Energy(), {}, absl::Span<Energy>()), "count");
}

class AttributionTest : public ::testing::Test {
 protected:
  std::vector<SequenceEnergy> Attribute(const PowerModel& power, const ModelTiming& model,
                                        const std::vector<SequenceWork>& work, int state) {
    price_ = PriceStep(profile_, model, ShapeOf(work), state);
    std::vector<SequenceEnergy> out(work.size());
    AttributeStep(power, model, price_, state, 1.0, work, absl::MakeSpan(out));
    return out;
  }

  const Profile profile_ = DefaultProfile();
  const ModelTiming small_ = Timing(profile_, Small135M(), 1);
  const ModelTiming large_ = Timing(profile_, Dense70B(), 8);
  const PowerModel one_{profile_, 1};
  const PowerModel eight_{profile_, 8};
  StepPrice price_;
};

TEST_F(AttributionTest, SequencesAndTermsSumToTheStepExactly) {
  for (uint64_t index = 0; index < 1000; ++index) {
    const std::vector<SequenceWork> work = RandomWork(index);
    const bool big = index % 2 == 0;
    const PowerModel& power = big ? eight_ : one_;
    const int state = static_cast<int>(index % profile_.pstates.size());
    const std::vector<SequenceEnergy> shares = Attribute(power, big ? large_ : small_, work, state);
    Energy total;
    for (size_t i = 0; i < work.size(); ++i) {
      total += shares[i].total();
      ASSERT_GT(shares[i].total(), Energy());
      ASSERT_EQ(shares[i].waste > Energy(), work[i].recomputed > 0);
      const Energy& other =
          work[i].role == StepRole::kPrefill ? shares[i].decode : shares[i].prefill;
      ASSERT_EQ(other, Energy());
    }
    ASSERT_EQ(total, power.StepEnergy(price_, state));
    const EnergyTerms terms = SplitStepTerms(power, price_, state);
    ASSERT_EQ(terms.total(), power.StepEnergy(price_, state));
    ASSERT_EQ(terms.link > Energy(), big);
  }
}

TEST_F(AttributionTest, EqualSequencesPayEqually) {
  const std::vector<SequenceEnergy> shares = Attribute(one_, small_, Decodes(7, 512), 12);
  for (const SequenceEnergy& s : shares) {
    // Each of six splits may round by a picojoule.
    EXPECT_NEAR(static_cast<double>(s.decode.total_picojoules()),
                static_cast<double>(shares[0].decode.total_picojoules()), 6);
  }
}

TEST_F(AttributionTest, ALongerContextCostsMoreAndALongerChunkToo) {
  std::vector<SequenceWork> work = Decodes(2, 100);
  work[1].cached = 8000;
  std::vector<SequenceEnergy> shares = Attribute(eight_, large_, work, 12);
  EXPECT_GT(shares[1].decode, shares[0].decode);
  work = {SequenceWork{StepRole::kPrefill, 0, 64, 0, 0},
          SequenceWork{StepRole::kPrefill, 0, 256, 0, 0}};
  shares = Attribute(eight_, large_, work, 12);
  EXPECT_GT(shares[1].prefill.joules(), 3 * shares[0].prefill.joules());
}

TEST_F(AttributionTest, OrderOfSlotsMovesOnlyPicojoules) {
  std::vector<SequenceWork> work = RandomWork(11);
  const std::vector<SequenceEnergy> forward = Attribute(one_, small_, work, 12);
  std::vector<SequenceWork> reversed(work.rbegin(), work.rend());
  const std::vector<SequenceEnergy> backward = Attribute(one_, small_, reversed, 12);
  for (size_t i = 0; i < work.size(); ++i) {
    EXPECT_NEAR(static_cast<double>(forward[i].total().total_picojoules()),
                static_cast<double>(backward[work.size() - 1 - i].total().total_picojoules()), 6);
  }
}

TEST_F(AttributionTest, RecomputedTokensAreWaste) {
  std::vector<SequenceWork> work = {SequenceWork{StepRole::kPrefill, 0, 100, 0, 25}};
  const std::vector<SequenceEnergy> shares = Attribute(one_, small_, work, 12);
  EXPECT_NEAR(shares[0].waste.joules() / shares[0].total().joules(), 0.25, 1e-9);
}

}  // namespace
}  // namespace scoville::device
