// Budgets that the daemon's file names: in force from the start, or no start at all.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "scoville/v1/power.pb.h"
#include "tests/e2e/daemon_test.h"

namespace scoville::tests {
namespace {

using testing::HasSubstr;

class PowerBudgetsTest : public DaemonTest {
 protected:
  ~PowerBudgetsTest() override { unlink(path_.c_str()); }

  // Two racks; the second's cap as told.
  std::string WriteConfig(absl::string_view second) {
    std::ofstream(path_) << "pool:\n"
                            "  budgets:\n"
                            "    - {name: rack-a, level: rack, cap: 900W, devices: [0-1]}\n"
                         << "    - {name: rack-b, level: rack, cap: " << second
                         << ", devices: [2]}\n"
                         << "power: {budget: 1kW}\n";
    return path_;
  }
  DaemonOptions With(const std::string& config) {
    return {.executor = "synthetic", .devices = 3, .more_flags = {"--config=" + config}};
  }

  const std::string path_ = absl::StrCat(testing::TempDir(), "/budgets-", getpid(), ".yaml");
};

TEST_F(PowerBudgetsTest, HoldFromTheStartAndCanBeSeen) {
  StartDaemon(With(WriteConfig("600W")));
  const auto state = client().GetPowerBudget(v1::GetPowerBudgetRequest(), {});
  ASSERT_TRUE(state.ok()) << state.status();
  std::map<std::string, v1::BudgetNodeState> nodes;
  for (const v1::BudgetNodeState& node : state->nodes()) {
    nodes[node.name()] = node;
  }
  ASSERT_EQ(nodes.size(), 3u);
  EXPECT_EQ(nodes["fleet"].budget_milliwatts(), 1'000'000);
  EXPECT_EQ(nodes["rack-a"].budget_milliwatts(), 900'000);
  EXPECT_EQ(nodes["rack-a"].parent(), "fleet");
  EXPECT_EQ(nodes["rack-b"].usable_milliwatts(), 570'000);
  for (const auto& [name, node] : nodes) {
    EXPECT_LE(node.counted_milliwatts(), node.usable_milliwatts()) << name;
  }
  EXPECT_EQ(daemon().Metric("scoville_power_budget_watts", "node=\"rack-b\""), 600);
  EXPECT_LE(daemon().Metric("scoville_pool_caps_watts"), 950);
}

TEST_F(PowerBudgetsTest, TheDaemonDoesNotStartUnderWhatItCannotKeep) {
  const std::string config = WriteConfig("60W");
  const auto started = DaemonProcess::Start(With(config));
  ASSERT_FALSE(started.ok());
  const std::string message(started.status().message());
  EXPECT_THAT(message, HasSubstr("the daemon ended with 78"));
  EXPECT_THAT(message, HasSubstr(config + ":4:7: pool.budgets[1]: rack 'rack-b' may draw 57 W"));
}

}  // namespace
}  // namespace scoville::tests
