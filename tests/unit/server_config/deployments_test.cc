#include "server/config/deployments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "server/config/load_config.h"

namespace scoville::server {
namespace {

using ::testing::HasSubstr;

class DeploymentsTest : public ::testing::Test {
 protected:
  DeploymentsTest() {
    std::string pattern = ::testing::TempDir() + "scoville-deployments-XXXXXX";
    directory_ = mkdtemp(pattern.data());
  }
  ~DeploymentsTest() override {
    unlink(inputs_.file.c_str());
    rmdir(directory_.c_str());
  }

  absl::StatusOr<LoadedConfig> Load(const std::string& text) {
    inputs_.file = directory_ + "/scoville.yaml";
    std::ofstream(inputs_.file) << text;
    return LoadConfig(inputs_);
  }
  std::string Error(const std::string& text) {
    const absl::StatusOr<LoadedConfig> loaded = Load(text);
    return loaded.ok() ? "no error" : std::string(loaded.status().message());
  }

  std::string directory_;
  ConfigInputs inputs_;
};

constexpr char kTwo[] = R"(
executor: synthetic
pool: {devices: 3, kv_blocks: 100}
deployments:
  - {name: a, model: {card: llama-3.1-8b}, pool: {kv_blocks: 200}, power: {budget: 900W}}
  - name: b
    pool:
      devices: 2
      budgets: [{name: rack, level: rack, cap: 1kW, devices: [0-1]}]
)";

TEST_F(DeploymentsTest, EntriesInheritWhatTheyLeaveOutButBudgets) {
  const absl::StatusOr<LoadedConfig> loaded = Load(kTwo);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  const std::vector<ServerConfig> each = EachDeployment(loaded->config);
  ASSERT_EQ(each.size(), 2u);
  EXPECT_EQ(each[0].model.id, "a");
  EXPECT_EQ(each[0].model.card, "llama-3.1-8b");
  EXPECT_EQ(each[0].executor, "synthetic");
  EXPECT_EQ(each[0].pool.devices, 3);
  EXPECT_EQ(each[0].pool.kv_blocks, 200);
  EXPECT_EQ(each[0].power.budget, Watts(900));
  EXPECT_TRUE(each[0].pool.budgets.empty());
  EXPECT_EQ(each[1].model.id, "b");
  EXPECT_EQ(each[1].pool.devices, 2);
  EXPECT_EQ(each[1].pool.kv_blocks, 100);
  EXPECT_EQ(each[1].power.budget, Power());
  ASSERT_EQ(each[1].pool.budgets.size(), 1u);
  EXPECT_TRUE(each[1].deployments.empty());
}

TEST_F(DeploymentsTest, FlagsReachEntriesThatDoNotSayOtherwise) {
  inputs_.flags = {{"pool.devices", "7", "--devices"}, {"executor", "synthetic", "--executor"}};
  const absl::StatusOr<LoadedConfig> loaded =
      Load("deployments: [{name: a, model: {card: llama-3.1-8b}}, {name: b, pool: {devices: 1}}]");
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->config.deployments[0].pool.devices, 7);
  EXPECT_EQ(loaded->config.deployments[1].pool.devices, 1);
}

TEST_F(DeploymentsTest, WithoutTheKeyThereIsOneAsBefore) {
  const absl::StatusOr<LoadedConfig> loaded = Load("pool: {devices: 5}\nmodel: {id: x}\n");
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  const std::vector<ServerConfig> each = EachDeployment(loaded->config);
  ASSERT_EQ(each.size(), 1u);
  EXPECT_EQ(each[0].pool.devices, 5);
  EXPECT_EQ(each[0].model.id, "x");
}

TEST_F(DeploymentsTest, WhatIsPrintedIsReadAsTheSame) {
  const absl::StatusOr<LoadedConfig> loaded = Load(kTwo);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  const std::string printed = PrintConfig(*loaded, false);
  const absl::StatusOr<LoadedConfig> again = Load(printed);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(PrintConfig(*again, false), printed);
  EXPECT_EQ(again->config.deployments.size(), 2u);
}

TEST_F(DeploymentsTest, SaysWhatIsWrongAndWhere) {
  EXPECT_THAT(Error("deployments: [{nam: a}]"), HasSubstr("name"));
  EXPECT_THAT(Error("deployments: [{name: a, limits: {max_running: 1}}]"), HasSubstr("limits"));
  EXPECT_THAT(Error("deployments: [{name: a}, {name: a}]"), HasSubstr("deployments[1]"));
  EXPECT_THAT(Error("deployments: [{name: a, model: {id: b}}]"),
              HasSubstr("stands beside model.id"));
  EXPECT_THAT(Error("deployments: [{name: a, pool: {devices: 0}}]"), HasSubstr("devices"));
  EXPECT_THAT(Error("deployments: [{name: a, model: {card: llama-3.1-8b}}]"),
              HasSubstr("model.card a card has no weights"));
  EXPECT_THAT(Error("model: {path: x.gguf}\ndeployments: [{name: a}]"),
              HasSubstr("model.path: stands beside `deployments`"));
  EXPECT_THAT(Error("power: {budget: 1kW}\ndeployments: [{name: a}]"),
              HasSubstr("power.budget: stands beside `deployments`"));
  EXPECT_THAT(Error("deployments: {a: {}}"), HasSubstr("deployments"));
}

}  // namespace
}  // namespace scoville::server
