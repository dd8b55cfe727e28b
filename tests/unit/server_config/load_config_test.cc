#include "server/config/load_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <utility>

#include "server/config/address.h"
#include "server/config/scheduler_settings.h"

namespace scoville::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class LoadConfigTest : public ::testing::Test {
 protected:
  LoadConfigTest() {
    std::string pattern = ::testing::TempDir() + "scoville-config-XXXXXX";
    directory_ = mkdtemp(pattern.data());
  }
  ~LoadConfigTest() override {
    unlink(file().c_str());
    rmdir(directory_.c_str());
  }

  std::string file() const { return directory_ + "/scoville.yaml"; }
  void WriteFile(const std::string& text) {
    std::ofstream(file()) << text;
    inputs_.file = file();
  }
  std::string OriginOf(const LoadedConfig& loaded, const std::string& path) {
    for (const ConfigOrigin& row : loaded.origins) {
      if (row.path == path) {
        return row.origin;
      }
    }
    return "no such key";
  }
  std::string Error() {
    const absl::StatusOr<LoadedConfig> loaded = LoadConfig(inputs_);
    return loaded.ok() ? "no error" : std::string(loaded.status().message());
  }

  std::string directory_;
  ConfigInputs inputs_;
};

TEST_F(LoadConfigTest, DefaultsAreLoopbackAndFourDevices) {
  const absl::StatusOr<LoadedConfig> loaded = LoadConfig(inputs_);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->config.listeners.grpc, "127.0.0.1:50051");
  EXPECT_EQ(loaded->config.listeners.http, "127.0.0.1:8000");
  EXPECT_EQ(loaded->config.pool.devices, 4);
  EXPECT_EQ(OriginOf(*loaded, "pool.devices"), "default");
  EXPECT_THAT(loaded->warnings, IsEmpty());
}

TEST_F(LoadConfigTest, FlagBeatsEnvironmentBeatsFileBeatsDefault) {
  WriteFile(
      "pool:\n  devices: 2\n  cap_per_device: 250W\n  kv_blocks: 100\n"
      "executor: synthetic\nlimits:\n  http_body: 1MiB\n");
  inputs_.environment = {{"SCOVILLE_POOL_DEVICES", "3"},
                         {"SCOVILLE_POOL_KV_BLOCKS", "200"},
                         {"SCOVILLE_DRAIN_LAMEDUCK", "1500ms"}};
  inputs_.flags = {{"pool.devices", "8", "--devices"}};
  const absl::StatusOr<LoadedConfig> loaded = LoadConfig(inputs_);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->config.pool.devices, 8);
  EXPECT_EQ(OriginOf(*loaded, "pool.devices"), "flag --devices");
  EXPECT_EQ(loaded->config.pool.kv_blocks, 200);
  EXPECT_EQ(OriginOf(*loaded, "pool.kv_blocks"), "environment SCOVILLE_POOL_KV_BLOCKS");
  EXPECT_EQ(loaded->config.pool.cap_per_device, Watts(250));
  EXPECT_EQ(OriginOf(*loaded, "pool.cap_per_device"), "file " + file() + ":3");
  EXPECT_EQ(loaded->config.executor, "synthetic");
  EXPECT_EQ(loaded->config.limits.http_body, Bytes(1 << 20));
  EXPECT_EQ(loaded->config.drain.lameduck, Milliseconds(1500));
  EXPECT_EQ(loaded->config.drain.deadline, Seconds(270));
}

TEST_F(LoadConfigTest, TheEnvironmentNamesTheFile) {
  WriteFile("pool:\n  devices: 7\n");
  inputs_.environment = {{"SCOVILLE_CONFIG", inputs_.file}};
  inputs_.file.clear();
  const absl::StatusOr<LoadedConfig> loaded = LoadConfig(inputs_);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->config.pool.devices, 7);
}

TEST_F(LoadConfigTest, UnknownKeyHasItsPlaceAndTheNearestKey) {
  WriteFile("pool:\n  devices: 2\n  cap_per_devise: 250W\n");
  const std::string error = Error();
  EXPECT_THAT(error, HasSubstr("scoville.yaml:3:3"));
  EXPECT_THAT(error, HasSubstr("cap_per_device"));
}

TEST_F(LoadConfigTest, UnknownSectionIsNamed) {
  WriteFile("listener:\n  grpc: 127.0.0.1:1\n");
  EXPECT_THAT(Error(), HasSubstr("'listeners'"));
}

TEST_F(LoadConfigTest, MistypedKeyIsReportedBeforeABadValue) {
  WriteFile("pool:\n  devices: many\n  profil: x\n");
  EXPECT_THAT(Error(), HasSubstr("profil"));
}

TEST_F(LoadConfigTest, QuantitiesNeedUnitsAndStayInRange) {
  WriteFile("pool:\n  cap_per_device: 250\n");
  EXPECT_THAT(Error(), HasSubstr("scoville.yaml:2:"));
  WriteFile("pool:\n  devices: 0\n");
  EXPECT_THAT(Error(), HasSubstr("integer from 1 to 4096"));
  inputs_.file.clear();
  inputs_.environment = {{"SCOVILLE_LIMITS_MAX_REQUEST_DURATION", "5"}};
  EXPECT_THAT(Error(), HasSubstr("SCOVILLE_LIMITS_MAX_REQUEST_DURATION"));
}

TEST_F(LoadConfigTest, ChoicesOfferTheNearestOne) {
  inputs_.flags = {{"executor", "syntetic", "--executor"}};
  EXPECT_THAT(Error(), HasSubstr("flag --executor"));
  EXPECT_THAT(Error(), HasSubstr("'synthetic'"));
}

TEST_F(LoadConfigTest, MissingFileIsNotFound) {
  inputs_.file = directory_ + "/absent.yaml";
  const absl::StatusOr<LoadedConfig> loaded = LoadConfig(inputs_);
  EXPECT_EQ(loaded.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(loaded.status().message()), HasSubstr("absent.yaml"));
}

TEST_F(LoadConfigTest, PublicAddressNeedsConsentAndTheErrorSaysWhy) {
  WriteFile("listeners:\n  http: 0.0.0.0:8000\n");
  EXPECT_THAT(Error(), HasSubstr("no authentication"));
  EXPECT_THAT(Error(), HasSubstr("listeners.allow_public"));
  EXPECT_THAT(Error(), HasSubstr("scoville.yaml:2"));
  WriteFile("listeners:\n  http: 0.0.0.0:8000\n  allow_public: true\n");
  EXPECT_EQ(Error(), "no error");
}

TEST_F(LoadConfigTest, OnePortCannotServeBoth) {
  inputs_.flags = {{"listeners.http", "127.0.0.1:50051", "--http-listen"}};
  EXPECT_THAT(Error(), HasSubstr("a port each"));
}

TEST_F(LoadConfigTest, KubernetesServiceVariablesAreIgnoredWithOneWarning) {
  inputs_.environment = {{"SCOVILLE_PORT", "tcp://10.0.0.1:50051"},
                         {"SCOVILLE_SERVICE_HOST", "10.0.0.1"},
                         {"SCOVILLE_PORT_50051_TCP_ADDR", "10.0.0.1"},
                         {"SCOVILLE_SERVICE_PORT_GRPC", "50051"}};
  const absl::StatusOr<LoadedConfig> loaded = LoadConfig(inputs_);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  ASSERT_EQ(loaded->warnings.size(), 1u);
  EXPECT_THAT(loaded->warnings[0], HasSubstr("SCOVILLE_PORT"));
  EXPECT_THAT(loaded->warnings[0], HasSubstr("Kubernetes"));
}

TEST_F(LoadConfigTest, UnknownVariableIsAWarningWithTheNearestName) {
  inputs_.environment = {{"SCOVILLE_POOL_DEVICE", "3"}};
  const absl::StatusOr<LoadedConfig> loaded = LoadConfig(inputs_);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_THAT(loaded->warnings, ElementsAre(HasSubstr("SCOVILLE_POOL_DEVICES")));
}

TEST_F(LoadConfigTest, PrintedConfigurationGivesItselfAgain) {
  inputs_.flags = {{"scheduler.overflow_risk", "0.125", "--set scheduler.overflow_risk"},
                   {"scheduler.guaranteed", "interactive,batch", "--set scheduler.guaranteed"},
                   {"fairness.weights", "acme=2.5,b=1", "--set fairness.weights"},
                   {"pool.cap_per_device", "1500mW", "--cap-per-device"},
                   {"model.path", "/tmp/a model.gguf", "--model"}};
  const absl::StatusOr<LoadedConfig> first = LoadConfig(inputs_);
  ASSERT_TRUE(first.ok()) << first.status();
  WriteFile(PrintConfig(*first, /*with_origin=*/true));
  inputs_.flags.clear();
  const absl::StatusOr<LoadedConfig> second = LoadConfig(inputs_);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(PrintConfig(*first, false), PrintConfig(*second, false));
  EXPECT_THAT(PrintConfig(*first, true), HasSubstr("# flag --cap-per-device"));
}

TEST_F(LoadConfigTest, DefaultsOfTheSchedulerAreItsOwn) {
  const absl::StatusOr<LoadedConfig> loaded = LoadConfig(inputs_);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  const scheduler::SchedulerOptions got = SchedulerOptionsFor(loaded->config);
  const scheduler::SchedulerOptions own;
  EXPECT_EQ(got.queue, own.queue);
  EXPECT_EQ(got.fairness.enabled, own.fairness.enabled);
  EXPECT_EQ(got.fairness.weights, own.fairness.weights);
  EXPECT_EQ(got.implied_deadline, own.implied_deadline);
  EXPECT_EQ(got.class_ageing, own.class_ageing);
  EXPECT_EQ(got.max_queued_by_class, own.max_queued_by_class);
  EXPECT_EQ(got.max_queued_by_tenant, own.max_queued_by_tenant);
  EXPECT_EQ(got.max_queued, own.max_queued);
  EXPECT_EQ(got.max_queued_of_tenant, own.max_queued_of_tenant);
  EXPECT_EQ(got.max_running, own.max_running);
  EXPECT_EQ(got.max_step_tokens, own.max_step_tokens);
  EXPECT_EQ(got.slow_reader_timeout, own.slow_reader_timeout);
  EXPECT_EQ(got.refuse_hopeless, own.refuse_hopeless);
  EXPECT_EQ(got.look_ahead, own.look_ahead);
  EXPECT_EQ(got.max_passes, own.max_passes);
  EXPECT_EQ(got.late_share, own.late_share);
  EXPECT_EQ(got.lend_slack, own.lend_slack);
  EXPECT_EQ(got.routing, own.routing);
  EXPECT_EQ(got.nanoseconds_per_joule, own.nanoseconds_per_joule);
  EXPECT_EQ(got.join, own.join);
  EXPECT_EQ(got.overflow_risk, own.overflow_risk);
  EXPECT_EQ(got.guaranteed, own.guaranteed);
  EXPECT_EQ(got.victims, own.victims);
  EXPECT_EQ(got.max_preemptions, own.max_preemptions);
  EXPECT_EQ(got.max_drafts, own.max_drafts);
  EXPECT_EQ(got.prefix_ttl, own.prefix_ttl);
  EXPECT_EQ(got.promised_prefixes, own.promised_prefixes);
  EXPECT_EQ(got.fairness_unit, own.fairness_unit);
  EXPECT_EQ(got.patience, own.patience);
}

TEST_F(LoadConfigTest, EveryPolicyCanBeSet) {
  WriteFile(R"(scheduler:
  queue: fcfs
  implied_deadline: 7s
  class_ageing: 90s
  max_queued_by_tenant: ["requests=11", "acme bytes=2MiB time=3s"]
  max_queued_by_class: ["interactive requests=1", "batch tokens=3"]
  refuse_hopeless: false
  look_ahead: 4
  max_passes: 5
  late_share: 3
  lend_slack: false
  routing: consolidate
  nanoseconds_per_joule: 6
  join: reserve
  overflow_risk: 0.25
  guaranteed: [interactive, batch]
  victims: newest
  max_preemptions: 7
  prefix_ttl: 3s
  promised_prefixes: false
  max_drafts: 8
  patience: 9
fairness:
  enabled: false
  unit: energy
  weights: ["acme=2", "a=b=0.5"]
pool:
  prefix_cache: false
constraints:
  kept: 5
  timeout: 250ms
)");
  const absl::StatusOr<LoadedConfig> loaded = LoadConfig(inputs_);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  const scheduler::SchedulerOptions got = SchedulerOptionsFor(loaded->config);
  EXPECT_EQ(got.queue, scheduler::QueuePolicy::kFcfs);
  EXPECT_EQ(got.implied_deadline, Seconds(7));
  EXPECT_EQ(got.class_ageing, Seconds(90));
  using scheduler::QueueLimits;
  EXPECT_EQ(got.max_queued_by_tenant, (QueueLimits{11, 0, 0, Duration()}));
  ASSERT_EQ(got.max_queued_of_tenant.size(), 1u);
  EXPECT_EQ(got.max_queued_of_tenant.at("acme"), (QueueLimits{0, 0, 2 << 20, Seconds(3)}));
  EXPECT_THAT(got.max_queued_by_class, ElementsAre(QueueLimits{1, 0, 0, Duration()}, QueueLimits(),
                                                   QueueLimits{0, 3, 0, Duration()}));
  EXPECT_FALSE(got.refuse_hopeless);
  EXPECT_EQ(got.look_ahead, 4);
  EXPECT_EQ(got.max_passes, 5);
  EXPECT_EQ(got.late_share, 3);
  EXPECT_FALSE(got.lend_slack);
  EXPECT_EQ(got.routing, scheduler::RoutePolicy::kConsolidate);
  EXPECT_EQ(got.nanoseconds_per_joule, 6);
  EXPECT_EQ(got.join, scheduler::JoinPolicy::kReserve);
  EXPECT_EQ(got.overflow_risk, 0.25);
  EXPECT_THAT(got.guaranteed, ElementsAre(true, false, true));
  EXPECT_EQ(got.victims, scheduler::VictimPolicy::kNewest);
  EXPECT_EQ(got.max_preemptions, 7);
  EXPECT_EQ(got.max_drafts, 8);
  EXPECT_EQ(got.prefix_ttl, Seconds(3));
  EXPECT_FALSE(got.promised_prefixes);
  EXPECT_EQ(got.fairness_unit, scheduler::CostUnit::kEnergy);
  EXPECT_EQ(got.patience, 9);
  EXPECT_FALSE(got.fairness.enabled);
  EXPECT_EQ(got.fairness.weights.at("acme"), 2 * scheduler::kWeightOne);
  EXPECT_EQ(got.fairness.weights.at("a=b"), scheduler::kWeightOne / 2);
  EXPECT_FALSE(loaded->config.pool.prefix_cache);
  EXPECT_EQ(loaded->config.constraints.kept, 5);
  EXPECT_EQ(loaded->config.constraints.timeout, Milliseconds(250));
}

TEST_F(LoadConfigTest, WrongPoliciesSayWhatIsAllowed) {
  const std::pair<const char*, const char*> cases[] = {
      {"scheduler: {queue: lifo}", "fcfs, edf"},
      {"scheduler: {overflow_risk: 0.6}", "number from 0 to 0.5"},
      {"scheduler: {guaranteed: [urgent]}", "list of interactive, standard, batch"},
      {"scheduler: {guaranteed: interactive}", "guaranteed"},
      {"fairness: {weights: [acme]}", "tenant=weight"},
      {"fairness: {weights: [acme=0]}", "0.001 to 1000"},
      {"fairness: {weights: [a=1, a=2]}", "'a' twice"},
  };
  for (const auto& [text, what] : cases) {
    WriteFile(text);
    EXPECT_THAT(Error(), HasSubstr(what)) << text;
  }
  inputs_.file.clear();
  inputs_.flags = {{"scheduler.overflow_risk", "some", "--set scheduler.overflow_risk"}};
  EXPECT_THAT(Error(), HasSubstr("'some' is not a number"));
}

TEST_F(LoadConfigTest, ACardIsTimedAndNeverComputed) {
  inputs_.flags = {{"model.card", "llama-3.1-70b", "--model-card"}};
  const absl::StatusOr<LoadedConfig> computed = LoadConfig(inputs_);
  ASSERT_FALSE(computed.ok());
  EXPECT_THAT(std::string(computed.status().message()), HasSubstr("a card has no weights"));
  EXPECT_THAT(std::string(computed.status().message()), HasSubstr("--executor synthetic"));
  inputs_.flags.push_back({"executor", "synthetic", "--executor"});
  const absl::StatusOr<LoadedConfig> timed = LoadConfig(inputs_);
  ASSERT_TRUE(timed.ok()) << timed.status();
  EXPECT_EQ(timed->config.model.card, "llama-3.1-70b");
  inputs_.flags.push_back({"model.path", "a.gguf", "--model"});
  EXPECT_THAT(std::string(LoadConfig(inputs_).status().message()),
              HasSubstr("stands beside model.path"));
}

TEST_F(LoadConfigTest, SchemaNamesEveryKeyAndItsVariable) {
  const absl::StatusOr<LoadedConfig> loaded = LoadConfig(inputs_);
  ASSERT_TRUE(loaded.ok());
  const std::string schema = DescribeConfig();
  for (const ConfigOrigin& row : loaded->origins) {
    EXPECT_THAT(schema, HasSubstr(row.path + "\n"));
  }
  EXPECT_THAT(schema, HasSubstr("SCOVILLE_POOL_CAP_PER_DEVICE"));
}

TEST(HostPortTest, ReadsAddresses) {
  EXPECT_EQ(ParseHostPort("127.0.0.1:8000")->ToString(), "127.0.0.1:8000");
  EXPECT_EQ(ParseHostPort("[::1]:0")->ToString(), "[::1]:0");
  EXPECT_TRUE(ParseHostPort("127.9.9.9:1")->is_loopback());
  EXPECT_TRUE(ParseHostPort("[::1]:1")->is_loopback());
  EXPECT_TRUE(ParseHostPort("localhost:1")->is_loopback());
  EXPECT_FALSE(ParseHostPort("0.0.0.0:1")->is_loopback());
  EXPECT_FALSE(ParseHostPort("[::]:1")->is_loopback());
}

TEST(HostPortTest, RefusesWhatIsNoAddress) {
  for (const char* text : {"", "8000", ":8000", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536",
                           "127.0.0.1:-1", "::1:8000", "[127.0.0.1]:1", "example.org:80"}) {
    EXPECT_FALSE(ParseHostPort(text).ok()) << text;
  }
}

TEST_F(LoadConfigTest, BudgetsComeFromTheFileAndArePrinted) {
  WriteFile(
      "pool:\n  devices: 3\n  budgets:\n"
      "    - {name: rack-a, level: rack, cap: 900W, devices: [0-1]}\n"
      "    - {name: rack-b, level: rack, cap: 1.5kW, devices: [2]}\n"
      "power: {budget: 2kW, pue_milli: 1200}\n");
  inputs_.environment = {{"SCOVILLE_POWER_BUDGET", "1800W"}};
  const absl::StatusOr<LoadedConfig> loaded = LoadConfig(inputs_);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  ASSERT_EQ(loaded->config.pool.budgets.size(), 2u);
  EXPECT_EQ(loaded->config.pool.budgets[1].cap, Watts(1500));
  EXPECT_EQ(loaded->config.power.budget, Watts(1800));
  EXPECT_EQ(loaded->config.power.pue_milli, 1200);
  EXPECT_EQ(OriginOf(*loaded, "pool.budgets"), "file " + file() + ":4");
  // What is printed gives it again.
  const std::string printed = PrintConfig(*loaded, false);
  WriteFile(printed);
  inputs_.environment.clear();
  const absl::StatusOr<LoadedConfig> again = LoadConfig(inputs_);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(PrintConfig(*again, false), printed);
  EXPECT_THAT(printed, HasSubstr("cap: 1500W, devices: [2]"));
  EXPECT_THAT(DescribeConfig(), HasSubstr("pool.budgets"));
}

TEST_F(LoadConfigTest, BudgetsMustFitThePoolThatResults) {
  WriteFile(
      "pool:\n  devices: 2\n  budgets:\n"
      "    - {name: rack-a, level: rack, cap: 900W, devices: [0, 1]}\n");
  EXPECT_EQ(Error(), "no error");
  inputs_.flags = {{"pool.devices", "3", "--devices"}};
  EXPECT_THAT(Error(), HasSubstr("scoville.yaml:4:7: pool.budgets[0]: device 2 is on no node"));
  inputs_.flags = {{"pool.devices", "1", "--devices"}};
  EXPECT_THAT(Error(), HasSubstr("rack 'rack-a' has device 1, the pool has 0 to 0"));
  inputs_.flags.clear();
  // A mistyped key is reported before a bad value of any node.
  WriteFile(
      "pool:\n  devises: 2\n  budgets:\n"
      "    - 7\n    - {name: a, level: rack, cap: 0W, devices: [0, 1]}\n");
  EXPECT_THAT(Error(), HasSubstr("'devices'"));
}

}  // namespace
}  // namespace scoville::server
