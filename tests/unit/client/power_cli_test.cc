#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "client/cli/exit_codes.h"
#include "client/views/power_view.h"
#include "tests/unit/client/fake_daemon.h"
#include "tests/unit/client/run_cli.h"

namespace scoville::client {
namespace {

using testing::HasSubstr;
using testing::Not;

class PowerCliTest : public testing::Test {
 protected:
  Said Power(std::vector<std::string> words) {
    words.insert(words.begin(), {"--address", daemon_.address(), "power"});
    return RunWords(std::move(words));
  }

  FakeDaemon daemon_;
};

TEST_F(PowerCliTest, SendsWhatWasTyped) {
  daemon_.power_answer.set_would_apply(true);
  EXPECT_EQ(Power({"set", "1.2kW", "--by", "30s", "--ramp", "50W/s", "--basis", "wall", "--node",
                   "rack-3", "--dry-run", "--best-effort"})
                .exit_code,
            kExitDone);
  v1::SetPowerBudgetRequest sent = daemon_.last_power;
  EXPECT_EQ(sent.milliwatts(), 1'200'000);
  EXPECT_EQ(sent.by_ns(), 30'000'000'000);
  EXPECT_EQ(sent.ramp_milliwatts_per_second(), 50'000);
  EXPECT_EQ(sent.basis(), v1::POWER_BASIS_WALL);
  EXPECT_EQ(sent.node(), "rack-3");
  EXPECT_TRUE(sent.dry_run());
  EXPECT_TRUE(sent.best_effort());

  // A bare number is watts; what was not said is not sent.
  EXPECT_EQ(Power({"set", "900.5", "--ramp", "2"}).exit_code, kExitDone);
  sent = daemon_.last_power;
  EXPECT_EQ(sent.milliwatts(), 900'500);
  EXPECT_EQ(sent.ramp_milliwatts_per_second(), 2'000);
  EXPECT_FALSE(sent.has_by_ns());
  EXPECT_EQ(sent.basis(), v1::POWER_BASIS_DEVICE);
}

TEST_F(PowerCliTest, NothingAppliedIsAFailure) {
  daemon_.power_answer.set_summary("fleet: too late");
  const Said outcome = Power({"set", "900"});
  EXPECT_EQ(outcome.exit_code, kExitFailed);
  EXPECT_THAT(outcome.out, HasSubstr("Not set: fleet: too late"));
  const Said json = Power({"set", "900", "--json"});
  EXPECT_EQ(json.exit_code, kExitFailed);
  EXPECT_THAT(json.out, HasSubstr("\"would_apply\": false"));
}

TEST_F(PowerCliTest, MisuseIsSaidBeforeAnythingIsSent) {
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"set"},
                                             {"set", "many"},
                                             {"set", "900", "800"},
                                             {"set", "900", "--by", "soon"},
                                             {"set", "900", "--ramp", "fast"},
                                             {"set", "900", "--basis", "rack"},
                                             {"cap", "0"},
                                             {"cap", "x", "300"},
                                             {"cap", "0", "x"},
                                             {"show", "0"},
                                             {"--dry-run"},
                                             {"cap", "0", "300", "--by", "3s"},
                                             {"raise", "900"}}) {
    const Said outcome = Power(words);
    EXPECT_EQ(outcome.exit_code, kExitUsage) << words.back();
    EXPECT_THAT(outcome.err, Not(testing::IsEmpty()));
  }
  EXPECT_EQ(daemon_.last_power.milliwatts(), 0);
}

TEST_F(PowerCliTest, CapsADevice) {
  const Said outcome = Power({"cap", "3", "300"});
  EXPECT_EQ(outcome.exit_code, kExitDone);
  EXPECT_THAT(outcome.out, HasSubstr("Device 3: 250 W, less than asked for: a budget is in the "
                                     "way; holds in 1.50 s"));
}

v1::GetPowerBudgetResponse TwoRacks() {
  v1::GetPowerBudgetResponse state;
  const auto add = [&state](const char* name, const char* parent, v1::BudgetLevel level) {
    v1::BudgetNodeState* node = state.add_nodes();
    node->set_name(name);
    node->set_parent(parent);
    node->set_level(level);
    node->set_counted_milliwatts(480'500);
    return node;
  };
  add("hall", "", v1::BUDGET_LEVEL_FLEET)->set_budget_milliwatts(900'000);
  add("rack-a", "hall", v1::BUDGET_LEVEL_RACK);
  add("tray-1", "rack-a", v1::BUDGET_LEVEL_TRAY);
  v1::DevicePowerState* device = state.add_devices();
  device->set_node("tray-1");
  device->set_fate(v1::DEVICE_FATE_DRAIN);
  device->set_cap_milliwatts(120'000);
  device->set_counted_milliwatts(500'000);
  device->set_effective_in_ns(1'200'000'000);
  v1::LadderRung* rung = state.add_ladder();
  rung->set_rung(6);
  rung->set_name("drain");
  rung->set_freed_milliwatts(90'000);
  rung->add_devices(0);
  state.set_rung(6);
  state.set_reserve_ppm(50'000);
  return state;
}

TEST(PowerView, ShowsTreeDevicesAndLadder) {
  const std::string text = PowerBudgetText(TwoRacks(), Terminal());
  EXPECT_THAT(text, HasSubstr("EMULATED"));
  EXPECT_THAT(text, HasSubstr("down to rung 6"));
  EXPECT_THAT(text, HasSubstr("    tray-1"));  // two levels down
  EXPECT_THAT(text, HasSubstr("900 W"));
  EXPECT_THAT(text, HasSubstr("480.5 W"));
  EXPECT_THAT(text, HasSubstr("none"));
  EXPECT_THAT(text, HasSubstr("drain"));
  EXPECT_THAT(text, HasSubstr("in 1.20 s"));
  EXPECT_THAT(text, HasSubstr("unknown"));  // nobody knows how long draining takes
  EXPECT_THAT(text, HasSubstr("5 % of each budget"));
}

TEST(PowerView, ShowsWhatAnAnswerMeans) {
  v1::SetPowerBudgetResponse answer;
  answer.set_summary("hall from 2000 W to 900 W");
  answer.set_would_apply(true);
  answer.set_before_millitokens_per_second(2'000'000);
  answer.set_after_millitokens_per_second(1'000'000);
  answer.set_latency_factor_milli(2'000);
  for (int i = 0; i < 20; ++i) {
    v1::PowerStair* stair = answer.add_stairs();
    stair->set_at_ns(i * 1'000'000'000LL);
    stair->set_limit_milliwatts(2'000'000 - i * 1'000);
  }
  const std::string text = PowerAnswerText(answer, true, Terminal());
  EXPECT_THAT(text, HasSubstr("Dry run: hall from 2000 W"));
  EXPECT_THAT(text, HasSubstr("2,000 tokens/s now, 1,000 tokens/s then; a token takes 2 times"));
  EXPECT_THAT(text, HasSubstr("1997 W in 3.00 s …, 1984 W in 16.0 s"));
  EXPECT_THAT(text, Not(HasSubstr("1990 W")));
  EXPECT_THAT(PowerAnswerText(answer, false, Terminal()), HasSubstr("Set: "));
}

}  // namespace
}  // namespace scoville::client
