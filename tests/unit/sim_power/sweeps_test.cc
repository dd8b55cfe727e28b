#include "sim/power/sweeps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <variant>
#include <vector>

#include "sim/power/compare.h"
#include "tests/unit/sim_power/study_fixture.h"

namespace scoville::sim::power {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

Json Rows(const absl::StatusOr<PowerReport>& report, const std::string& table) {
  EXPECT_TRUE(report.ok()) << report.status();
  return report.ok() ? Json::parse(ToJson(*report))["tables"][table] : Json();
}

TEST(ClockSweepTest, JoulesPerTokenAreAU) {
  const auto report = ClockSweep(MakeTestStudy());
  const Json rows = Rows(report, "clock");
  ASSERT_EQ(rows.size(), 13u);
  size_t least = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i]["joules_per_output_token"] < rows[least]["joules_per_output_token"]) {
      least = i;
    }
    double shares = 0;
    for (const char* cause : {"compute", "memory", "links", "fixed", "host"}) {
      shares += rows[i][std::string(cause) + "_percent"].get<double>();
    }
    EXPECT_NEAR(shares, 100, 1e-3);
  }
  EXPECT_GT(least, 0u);
  EXPECT_LT(least, 12u);
  EXPECT_THAT(report->lead, HasSubstr("Least energy at"));
}

TEST(ClockSweepTest, BarsOfEnergySumToTheJoulesOfTheLine) {
  const auto report = ClockSweep(MakeTestStudy());
  ASSERT_TRUE(report.ok());
  const charts::Figure& figure = report->figures[0].figure;
  const auto& line = std::get<charts::XyPanel>(figure.panels[0]).series[0];
  const auto& bars = std::get<charts::BarPanel>(figure.panels[2]).bars;
  ASSERT_EQ(line.points.size(), bars.size());
  for (size_t i = 0; i < bars.size(); ++i) {
    EXPECT_NEAR(bars[i].segments.back().to, line.points[i].y, 1e-6);
  }
}

TEST(BatchSweepTest, EndsAtWhatFits) {
  const Study study = MakeTestStudy("jalapeno-gen1", 1, 5);
  const Json rows = Rows(BatchSweep(study), "batch");
  ASSERT_GT(rows.size(), 5u);
  EXPECT_EQ(rows.front()["batch"], 1);
  EXPECT_EQ(rows.back()["batch"], study.deployment.MostSequences(2048));
  for (size_t i = 0; i < rows.size(); ++i) {
    EXPECT_LE(rows[i]["joules_per_output_token_p5"], rows[i]["joules_per_output_token_p95"]);
  }
}

TEST(BatchSweepTest, SequencesShareTheWeightsJoules) {
  const Json rows = Rows(BatchSweep(MakeTestStudy("jalapeno-gen1", 1)), "batch");
  for (size_t i = 1; i < rows.size() && rows[i]["batch"] <= 64; ++i) {
    EXPECT_LT(rows[i]["joules_per_output_token"], rows[i - 1]["joules_per_output_token"]);
    EXPECT_GT(rows[i]["mfu_percent"], rows[i - 1]["mfu_percent"]);
  }
}

TEST(RooflineTest, NoPointIsAboveItsRoof) {
  for (const char* name : {"jalapeno-gen1", "h100-sxm", "mi355x"}) {
    const Study study = MakeTestStudy(name, 8);
    const device::Profile& p = study.deployment.profile;
    const double peak = p.Peak(study.deployment.timing.linear_math) * 1e-12;
    const Json rows = Rows(Roofline(study), "roofline");
    for (const Json& row : rows) {
      const double rate = row["tflops_per_chip"];
      EXPECT_LE(rate, peak) << name << row;
      EXPECT_LE(rate, row["flops_per_byte"].get<double>() * p.hbm_bandwidth.value * 1e-12) << row;
    }
  }
}

TEST(SensitivityTest, TheLargestEffectStandsFirstAndPublishedNumbersAreAbsent) {
  const Json rows = Rows(Sensitivity(MakeTestStudy()), "sensitivity");
  ASSERT_GT(rows.size(), 20u);
  const auto reach = [](const Json& row) {
    double most = 0;
    for (const char* key : {"rate_at_low_percent", "rate_at_high_percent", "joules_at_low_percent",
                            "joules_at_high_percent"}) {
      most = row[key].is_null() ? most : std::max(most, std::abs(row[key].get<double>()));
    }
    return most;
  };
  for (size_t i = 1; i < rows.size(); ++i) {
    EXPECT_GE(reach(rows[i - 1]), reach(rows[i]));
    EXPECT_NE(rows[i]["number"], "hbm_bandwidth");
  }
  // Known by arithmetic: power constants move joules and no time.
  const auto hbm = std::find_if(rows.begin(), rows.end(),
                                [](const Json& row) { return row["number"] == "hbm_energy"; });
  ASSERT_NE(hbm, rows.end());
  EXPECT_EQ((*hbm)["rate_at_low_percent"], 0);
  EXPECT_LT((*hbm)["joules_at_low_percent"], 0);
  EXPECT_GT((*hbm)["joules_at_high_percent"], 0);
}

TEST(CapSweepTest, ThreeRulesAndAYardstickUpToTheTdp) {
  const Study study = MakeTestStudy("jalapeno-gen1", 8, 3);
  const auto report = CapSweep(study, {{}, Milliseconds(100)});
  const Json rows = Rows(report, "cap");
  ASSERT_EQ(rows.size() % 4, 0u);
  EXPECT_EQ(rows.back()["cap_watts_per_chip"], 700);
  for (const Json& row : rows) {
    if (!row["watts_per_chip"].is_null()) {
      EXPECT_LE(row["watts_per_chip"].get<double>(), 1.02 * row["cap_watts_per_chip"].get<double>())
          << row;
    }
  }
}

TEST(CapSweepTest, RefusesCapsThatDoNotRise) {
  const Study study = MakeTestStudy();
  EXPECT_FALSE(CapSweep(study, {{300, 200}, Seconds(1)}).ok());
  EXPECT_FALSE(CapSweep(study, {{-5}, Seconds(1)}).ok());
  EXPECT_TRUE(CapSweep(study, {{200, 300}, Milliseconds(50)}).ok());
}

CompareOptions AllChips() {
  CompareOptions options;
  for (const std::string& name : device::BuiltinProfileNames()) {
    options.profiles.push_back(*device::BuiltinProfile(name));
  }
  options.card = *MakeCard("llama-3.1-70b", {});
  return options;
}

TEST(CompareTest, EveryBuiltinChipAndEveryBasis) {
  CompareOptions options = AllChips();
  options.samples = 3;
  const auto report = Compare(options);
  const Json rows = Rows(report, "energy");
  EXPECT_EQ(rows.size(), options.profiles.size()) << ToText(*report);
  for (const Json& row : rows) {
    // The more watts a basis counts, the fewer tokens each gets.
    EXPECT_GT(row["output_tokens_per_s_per_device_watt"], row["output_tokens_per_s_per_wall_watt"]);
    EXPECT_GT(row["output_tokens_per_s_per_tdp_watt"],
              row["output_tokens_per_s_per_provisioned_watt"]);
    EXPECT_GT(row["device_joules_per_output_token"], row["device_joules_per_total_token"]);
  }
}

TEST(CompareTest, LargestBatchWithinATargetKeepsIt) {
  CompareOptions options = AllChips();
  options.traffic = {.prompt = 2048, .output = 256, .batch = 512, .itl_s = 0.05};
  const Json rows = Rows(Compare(options), "compare");
  ASSERT_FALSE(rows.empty());
  for (const Json& row : rows) {
    EXPECT_LE(row["itl_ms"], 50) << row;
  }
}

TEST(CompareTest, SaysWhatIsLeftOutAndWhy) {
  CompareOptions options = AllChips();
  options.deployment.chips = 1;  // 141 GB of weights
  const auto report = Compare(options);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(report->notes, Contains(HasSubstr("h100-sxm is left out")));
  options.traffic.output = 0;
  EXPECT_FALSE(Compare(options).ok());
}

TEST(CompareTest, TheSimulatorRunsTheSameRequestsOnEachProfile) {
  const auto report = CompareScenario(SCOVILLE_SOURCE_DIR "/deploy/scenarios/quickstart.yaml",
                                      {"jalapeno-gen1", "h100-sxm"});
  const Json rows = Rows(report, "compare");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_GT(rows[0]["completed"], 1'900);
  EXPECT_FALSE(CompareScenario("/nowhere.yaml", {"jalapeno-gen1"}).ok());
  EXPECT_FALSE(
      CompareScenario(SCOVILLE_SOURCE_DIR "/deploy/scenarios/quickstart.yaml", {"jalapeno-gen0"})
          .ok());
}

TEST(PowerReportTest, SaysThatItIsEmulatedAndFromWhat) {
  const auto report = ClockSweep(MakeTestStudy());
  ASSERT_TRUE(report.ok());
  for (const std::string& text : {ToText(*report), ToHtml(*report)}) {
    EXPECT_THAT(text, HasSubstr("Emulated"));
    EXPECT_THAT(text, HasSubstr("jalapeno-gen1 ("));
    EXPECT_THAT(text, HasSubstr("weakest: assumed"));
    EXPECT_THAT(text, Not(HasSubstr("not a forecast")));
  }
  EXPECT_EQ(Json::parse(ToJson(*report))["power_source"], "emulated");
  EXPECT_EQ(ToHtml(*report), ToHtml(*ClockSweep(MakeTestStudy())));
}

TEST(PowerReportTest, WhatIfProfilesSaySo) {
  const auto report = ClockSweep(MakeTestStudy("jalapeno-gen2-whatif"));
  ASSERT_TRUE(report.ok());
  EXPECT_THAT(ToText(*report), HasSubstr("what-if, not a forecast"));
  EXPECT_THAT(report->figures[0].figure.footer, HasSubstr("What-if, not a forecast"));
}

TEST(PowerReportTest, AFolderThatCannotBeMadeIsNamed) {
  const auto report = ClockSweep(MakeTestStudy());
  ASSERT_TRUE(report.ok());
  const absl::Status status = WriteReport(*report, "/dev/null/x");
  EXPECT_THAT(std::string(status.message()), HasSubstr("/dev/null/x"));
}

}  // namespace
}  // namespace scoville::sim::power
