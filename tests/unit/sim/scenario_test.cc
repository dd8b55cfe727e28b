#include "sim/scenario.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "sim/simulation.h"

namespace scoville::sim {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kAll = R"(
name: all
seed: 12
model: /models/m.gguf
pool:
  profile: some-profile
  devices: 3
  chips_per_device: 2
  cap_per_device: 450W
  kv_blocks: 77
  kv_block_size: 32
  executor: functional
scheduler:
  max_queued_requests: 5
  max_queued_tokens: 6000
  max_running: 7
  max_step_tokens: 80
workload:
  requests: 9
  cancel_share: 0.25
  arrivals: {kind: fixed, rate: 2.5}
  prompt: {kind: uniform, low: 3, high: 4}
  output: {kind: lognormal, median: 50, sigma: 0.5, low: 2, high: 500}
requests:
  - id: first
    at: 2ms
    chat: hello
    max_tokens: 11
    ignore_eos: true
    stop: ["\n", END]
    temperature: 0.5
    top_p: 0.75
    top_k: 8
    seed: 99
    logprobs: 4
    cancel_after: 3us
    deadline: 4s
  - text: plain
slo: {ttft: 50ms, itl: 5ms}
)";

Scenario All() {
  const auto scenario = ParseScenario(kAll, "s.yaml");
  EXPECT_TRUE(scenario.ok()) << scenario.status();
  return scenario.ok() ? *scenario : Scenario();
}

TEST(ScenarioTest, ReadsEveryKeyOfPoolAndTraffic) {
  const Scenario s = All();
  EXPECT_EQ(s.name, "all");
  EXPECT_EQ(s.seed, 12u);
  EXPECT_EQ(s.workload.seed, 12u);
  EXPECT_EQ(s.model, "/models/m.gguf");
  EXPECT_EQ(s.pool.profile, "some-profile");
  EXPECT_EQ(s.pool.devices, 3);
  EXPECT_EQ(s.pool.parallelism.chips, 2);
  EXPECT_EQ(s.pool.power.cap, Watts(450));
  EXPECT_EQ(s.pool.kv_blocks, 77);
  EXPECT_EQ(s.pool.kv_block_size, 32);
  EXPECT_EQ(s.pool.executor, device::ExecutorKind::kFunctional);
  EXPECT_EQ(s.pool.max_step_tokens, 80);
  EXPECT_EQ(s.scheduler.max_queued.requests, 5);
  EXPECT_EQ(s.scheduler.max_queued.tokens, 6'000);
  EXPECT_EQ(s.scheduler.max_running, 7);
  EXPECT_EQ(s.scheduler.max_step_tokens, 80);
  EXPECT_EQ(s.workload.requests, 9);
  EXPECT_EQ(s.cancel_share, 0.25);
  EXPECT_EQ(s.workload.arrivals.kind, client::ArrivalKind::kFixed);
  EXPECT_EQ(s.workload.arrivals.requests_per_second, 2.5);
  EXPECT_EQ(s.workload.prompt.kind, client::LengthKind::kUniform);
  EXPECT_EQ(s.workload.prompt.low, 3);
  EXPECT_EQ(s.workload.prompt.high, 4);
  EXPECT_EQ(s.workload.output.kind, client::LengthKind::kLogNormal);
  EXPECT_EQ(s.workload.output.median, 50);
  EXPECT_EQ(s.workload.output.sigma, 0.5);
  EXPECT_EQ(s.slo.ttft, Milliseconds(50));
  EXPECT_EQ(s.slo.itl, Milliseconds(5));
}

TEST(ScenarioTest, ReadsEveryKeyOfARequest) {
  const Scenario s = All();
  ASSERT_EQ(s.requests.size(), 2u);
  const WrittenRequest& r = s.requests[0];
  EXPECT_EQ(r.id, "first");
  EXPECT_EQ(r.at, TimePoint(2'000'000));
  EXPECT_EQ(r.chat, "hello");
  EXPECT_EQ(r.max_tokens, 11);
  EXPECT_TRUE(r.ignore_eos);
  EXPECT_THAT(r.stop, ElementsAre("\n", "END"));
  EXPECT_EQ(r.sampling.temperature, 0.5f);
  EXPECT_EQ(r.sampling.top_p, 0.75f);
  EXPECT_EQ(r.sampling.top_k, 8);
  EXPECT_EQ(r.sampling.seed, 99u);
  EXPECT_EQ(r.sampling.logprobs, 4);
  EXPECT_EQ(r.cancel_after, Microseconds(3));
  EXPECT_EQ(r.deadline, Seconds(4));
  EXPECT_EQ(s.requests[1].id, "request-1");
  EXPECT_EQ(s.requests[1].text, "plain");
  EXPECT_EQ(s.requests[1].deadline, Duration());
}

TEST(ScenarioTest, NeedsNoMoreThanANameAndTraffic) {
  const auto s = ParseScenario("name: least\nworkload: {requests: 1}\n", "s.yaml");
  ASSERT_TRUE(s.ok()) << s.status();
  EXPECT_EQ(s->pool.executor, device::ExecutorKind::kSynthetic);
  EXPECT_EQ(s->seed, 0u);
  EXPECT_EQ(s->slo.ttft, Duration());
  EXPECT_TRUE(ParseScenario("name: t\nworkload: {azure_trace: a.csv}\n", "s.yaml").ok());
  EXPECT_TRUE(ParseScenario("name: t\nrequests: [{text: hi}]\n", "s.yaml").ok());
}

TEST(ScenarioTest, AModelCardInsteadOfAFile) {
  const std::string text = "name: t\nmodel: {card: llama-3.1-70b}\nworkload: {requests: 1}\n";
  const auto s = ParseScenario(text, "s.yaml");
  ASSERT_TRUE(s.ok()) << s.status();
  EXPECT_EQ(s->card, "llama-3.1-70b");
  EXPECT_TRUE(s->model.empty());
  const auto model = LoadScenarioModel(*s);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ((*model)->id, "llama-3.1-70b");
  EXPECT_EQ((*model)->card.layers(), 80);
  EXPECT_EQ((*model)->tokenizer->vocabulary(), 128'256);
  EXPECT_EQ((*model)->config.context, 131'072);

  ScenarioOverrides overrides;
  overrides.card = "qwen3-8b";
  EXPECT_EQ(ParseScenario(text, "s.yaml", overrides)->card, "qwen3-8b");
  overrides = {};
  overrides.model = "a.gguf";
  EXPECT_EQ(ParseScenario(text, "s.yaml", overrides)->card, "");
  const auto unknown =
      LoadScenarioModel(*ParseScenario("name: t\nmodel: {card: llama-3.1}\n"
                                       "workload: {requests: 1}\n",
                                       "s.yaml"));
  EXPECT_EQ(unknown.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(unknown.status().message()), HasSubstr("no built-in model card"));
}

struct Bad {
  const char* text;
  const char* place;  // "line:column: path" after the file's name
  const char* what;
};

class ScenarioRefusals : public ::testing::TestWithParam<Bad> {};

TEST_P(ScenarioRefusals, SayWhereAndWhat) {
  const auto s = ParseScenario(GetParam().text, "s.yaml");
  ASSERT_FALSE(s.ok()) << GetParam().text;
  EXPECT_EQ(s.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(s.status().message()), HasSubstr(GetParam().place));
  EXPECT_THAT(std::string(s.status().message()), HasSubstr(GetParam().what));
}

constexpr Bad kBad[] = {
    {"name: x\nmodel: {card: qwen3-8b}\npool: {executor: functional}\nworkload: {requests: 1}\n",
     "s.yaml:2:8: model:", "a card has no weights"},
    {"name: x\nmodel: {cards: qwen3-8b}\nworkload: {requests: 1}\n",
     "s.yaml:2:8: model:", "'card' is missing"},
    // Keys nobody knows, with the nearest one.
    {"name: x\nworkload: {requests: 1}\npools: {}\n", "s.yaml:3:1:", "'pool'"},
    {"name: x\nworkload: {requests: 1}\npool:\n  device: 3\n", "s.yaml:4:3: pool", "'devices'"},
    {"name: x\nworkload:\n  requests: 1\n  arrivals: {rat: 3}\n", "s.yaml:4:14:", "'rate'"},
    {"name: x\nrequests:\n  - {text: hi, temprature: 1}\n", "s.yaml:3:16: requests[0]",
     "'temperature'"},
    {"name: x\nworkload: {requests: 1}\nslo: {tfft: 1ms}\n", "s.yaml:3:7: slo", "'ttft'"},
    // Units.
    {"name: x\nworkload: {requests: 1}\nslo: {ttft: 50}\n", "s.yaml:3:13: slo.ttft", "no unit"},
    {"name: x\nworkload: {requests: 1}\nslo: {ttft: 50W}\n", "s.yaml:3:13: slo.ttft", "ms"},
    {"name: x\nworkload: {requests: 1}\npool: {cap_per_device: 400ms}\n",
     "s.yaml:3:24: pool.cap_per_device", "W"},
    {"name: x\nrequests: [{text: hi, at: 3}]\n", "s.yaml:2:27: requests[0].at", "no unit"},
    // Ranges and choices.
    {"name: x\nworkload: {requests: 1}\npool: {devices: 0}\n", "s.yaml:3:17: pool.devices", "1"},
    {"name: x\nworkload: {requests: 1}\npool: {executor: magic}\n", "s.yaml:3:18: pool.executor",
     "functional, synthetic"},
    {"name: x\nworkload: {requests: -1}\n", "s.yaml:2:22: workload.requests", "0"},
    {"name: x\nworkload: {requests: 1, cancel_share: 1.5}\n", "workload.cancel_share", "1"},
    {"name: x\nworkload: {requests: 1, arrivals: {rate: 0}}\n", "workload.arrivals.rate", ""},
    {"name: x\nworkload: {requests: 1, arrivals: {rate: .nan}}\n", "workload.arrivals.rate", ""},
    {"name: x\nworkload: {requests: 1, prompt: {kind: uniform, low: 9, high: 8}}\n",
     "workload.prompt.high", "must not be below low"},
    {"name: x\nworkload: {requests: 1}\nscheduler: {max_running: 0}\n", "scheduler.max_running",
     "1"},
    {"name: x\nworkload: {requests: 1}\nseed: -1\n", "s.yaml:3:7: seed", "0"},
    {"name: x\nrequests: [{text: hi, temperature: 2.5}]\n", "requests[0].temperature", "2"},
    {"name: x\nrequests: [{text: hi, max_tokens: 0}]\n", "requests[0].max_tokens", "1"},
    {"name: x\nrequests: [{text: hi, stop: [\"\"]}]\n", "requests[0].stop[0]", "must not be empty"},
    // What belongs together.
    {"name: x\nrequests: [{id: a}]\n", "s.yaml:2:12: requests[0]", "either `chat`"},
    {"name: x\nrequests: [{chat: a, text: b}]\n", "requests[0].chat", "either `chat`"},
    {"name: x\n", "s.yaml:", "no traffic"},
    {"name: x\npool: {devices: 2}\n", "workload", "no traffic"},
    {"name: x\nworkload: {requests: 1}\npool: {executor: functional}\n", "model",
     "the functional executor needs `model`"},
    {"workload: {requests: 1}\n", "name", ""},
    {"", "name", ""},
    {"name: x\nworkload: {requests: 1}\nevents: [{at: 1s, do: kill_device, device: 4}]\n",
     "events[0].device", "the pool has 0 to 3"},
    {"name: x\nworkload: {requests: 1}\nevents: [{at: 1s, do: slow_device, device: 0, percent: "
     "9}]\n",
     "events[0].percent", "100"},
    {"name: x\nworkload: {requests: 1}\nevents: [{at: 1s, do: lose_pages, device: 0, pages: 3}]\n",
     "events[0].pages", "kv_blocks"},
    {"name: x\nworkload: {requests: 1, tenants: [{share: 2}]}\n", "workload.tenants[0]", "name"},
    {"name: x\nworkload: {requests: 1, tenants: [{name: a, class: vip}]}\n",
     "workload.tenants[0].class", "interactive"},
    {"name: x\nworkload: {requests: 1}\nscheduler: {join: luck}\n", "scheduler.join", "forecast"},
    {"name: x\nworkload: {requests: 1}\nscheduler: {guaranteed: [vip]}\n",
     "scheduler.guaranteed[0]", "interactive"},
    {"name: x\nrequests: [{text: hi, regex: a, choices: [b]}]\n", "requests[0].regex",
     "at most one"},
    // Shapes.
    {"- a\n- b\n", "s.yaml:1:1:", ""},
    {"name: x\nworkload: 3\n", "s.yaml:2:11: workload", ""},
    {"name: x\nrequests: {text: hi}\n", "s.yaml:2:11: requests", ""},
    {"name: x\nrequests: [hi]\n", "s.yaml:2:12: requests[0]", ""},
    {"name: x\nname: y\nworkload: {requests: 1}\n", "s.yaml:2:1:", ""},
};

INSTANTIATE_TEST_SUITE_P(All, ScenarioRefusals, ::testing::ValuesIn(kBad));

TEST(ScenarioTest, AMissingFileIsNamed) {
  const auto s = LoadScenario("/nowhere/at/all.yaml");
  ASSERT_FALSE(s.ok());
  EXPECT_EQ(s.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(s.status().message()), HasSubstr("/nowhere/at/all.yaml"));
}

TEST(ScenarioTest, ReadsPoliciesFaultsAndConstraints) {
  const auto s = ParseScenario(R"(
name: policies
pool: {devices: 3, kv_blocks: 100, prefix_cache: false, prefix_quota_blocks: 7,
       host_tier: {blocks: 9}}
scheduler:
  queue: fcfs
  fairness: {enabled: false, unit: energy, weights: [{tenant: a, weight: 2}]}
  class_ageing: 3s
  look_ahead: 5
  max_passes: 6
  late_share: 5
  lend_slack: false
  join: reserve
  overflow_risk: 0.1
  guaranteed: [interactive]
  victims: newest
  max_preemptions: 4
  prefix_ttl: 2s
  max_drafts: 3
  routing: power_of_two
  nanoseconds_per_joule: 17
  patience: 20
requests:
  - {text: hi, regex: "[0-9]+"}
  - {text: hi, choices: [yes, no]}
events:
  - {at: 1ms, do: slow_device, device: 1, percent: 250}
  - {at: 2ms, do: lose_pages, device: 2, first_page: 4, pages: 3}
  - {at: 3ms, do: drain_device, device: 0, migrate: true}
)",
                               "s.yaml");
  ASSERT_TRUE(s.ok()) << s.status();
  EXPECT_FALSE(s->pool.kv.prefix_cache);
  EXPECT_EQ(s->pool.kv.pin_quota_blocks, 7);
  EXPECT_EQ(s->pool.host_tier.blocks, 9);
  const scheduler::SchedulerOptions& o = s->scheduler;
  EXPECT_EQ(o.queue, scheduler::QueuePolicy::kFcfs);
  EXPECT_FALSE(o.fairness.enabled);
  EXPECT_EQ(o.fairness_unit, scheduler::CostUnit::kEnergy);
  EXPECT_EQ(o.fairness.weights.at("a"), 2 * scheduler::kWeightOne);
  EXPECT_EQ(o.class_ageing, Seconds(3));
  EXPECT_EQ(o.look_ahead, 5);
  EXPECT_EQ(o.max_passes, 6);
  EXPECT_EQ(o.late_share, 5);
  EXPECT_FALSE(o.lend_slack);
  EXPECT_EQ(o.join, scheduler::JoinPolicy::kReserve);
  EXPECT_EQ(o.overflow_risk, 0.1);
  EXPECT_TRUE(o.guaranteed[0]);
  EXPECT_FALSE(o.guaranteed[2]);
  EXPECT_EQ(o.victims, scheduler::VictimPolicy::kNewest);
  EXPECT_EQ(o.max_preemptions, 4);
  EXPECT_EQ(o.prefix_ttl, Seconds(2));
  EXPECT_EQ(o.max_drafts, 3);
  EXPECT_EQ(o.routing, scheduler::RoutePolicy::kPowerOfTwo);
  EXPECT_EQ(o.nanoseconds_per_joule, 17);
  EXPECT_EQ(o.patience, 20);
  EXPECT_EQ(s->requests[0].constraint.kind, model::ConstraintSpec::Kind::kRegex);
  EXPECT_THAT(s->requests[1].constraint.choices, ElementsAre("yes", "no"));
  ASSERT_EQ(s->events.size(), 3u);
  EXPECT_EQ(s->events[0].kind, EventKind::kSlowDevice);
  EXPECT_EQ(s->events[0].percent, 250);
  EXPECT_THAT(s->events[1].pages, ElementsAre(4u, 5u, 6u));
  EXPECT_TRUE(s->events[2].migrate);
}

TEST(ScenarioTest, EveryExampleIsValid) {
  int examples = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(SCOVILLE_SOURCE_DIR "/deploy/scenarios")) {
    if (entry.path().extension() != ".yaml") {
      continue;
    }
    ++examples;
    // Functional examples are given their model on the command line.
    const auto scenario =
        LoadScenario(entry.path().string(), {.model = "m.gguf", .seed = std::nullopt});
    EXPECT_TRUE(scenario.ok()) << scenario.status();
  }
  EXPECT_GE(examples, 1);
}

TEST(ScenarioTest, TablesAndTraceAreReadAndOneTraceIsEnough) {
  const auto s = ParseScenario(
      "name: x\npool: {operator_tables: dir}\nworkload: {request_trace: a.jsonl}\n", "s.yaml");
  ASSERT_TRUE(s.ok()) << s.status();
  EXPECT_EQ(s->pool.operator_tables, "dir");
  EXPECT_EQ(s->request_trace, "a.jsonl");
  const auto both =
      ParseScenario("name: x\nworkload: {request_trace: a.jsonl, azure_trace: b.csv}\n", "s.yaml");
  ASSERT_FALSE(both.ok());
  EXPECT_THAT(std::string(both.status().message()), HasSubstr("s.yaml:2:"));
  EXPECT_THAT(std::string(both.status().message()), HasSubstr("replays one trace"));
}

TEST(ScenarioTest, TheCommandLineGoesBeforeTheFile) {
  const auto s = ParseScenario(
      "name: x\nseed: 4\nmodel: a.gguf\npool: {executor: functional}\nworkload: {requests: 1}\n",
      "s.yaml", {.model = "b.gguf", .seed = 9});
  ASSERT_TRUE(s.ok()) << s.status();
  EXPECT_EQ(s->model, "b.gguf");
  EXPECT_EQ(s->seed, 9u);
  EXPECT_EQ(s->workload.seed, 9u);
}

TEST(ScenarioTest, OneTraceAtATime) {
  const auto error = [](const char* keys) {
    return std::string(
        ParseScenario(absl::StrCat("name: x\nworkload:\n", keys), "s.yaml").status().message());
  };
  EXPECT_EQ(error("  mooncake_trace: m\n  trace_spread: true\n"), "");
  EXPECT_THAT(error("  request_trace: r\n  mooncake_trace: m\n"),
              HasSubstr("s.yaml:3:18: workload.request_trace: stands beside another"));
  EXPECT_THAT(error("  azure_trace: r\n  request_trace: m\n"), HasSubstr("stands beside another"));
  EXPECT_THAT(error("  azure_trace: r\n  mooncake_trace: m\n"),
              HasSubstr("s.yaml:4:19: workload.mooncake_trace: stands beside azure_trace"));
  EXPECT_THAT(error("  request_trace: r\n  trace_spread: true\n"),
              HasSubstr("s.yaml:4:17: workload.trace_spread: is for a mooncake_trace"));
}

std::string BudgetError(const std::string& budgets, const std::string& rest = "") {
  const std::string text =
      "name: x\nworkload: {requests: 1}\npool:\n  devices: 4\n  budgets:\n" + budgets + rest;
  return std::string(ParseScenario(text, "s.yaml").status().message());
}

TEST(ScenarioTest, ReadsBudgetsAndTheFleetsPower) {
  const auto s = ParseScenario(
      "name: x\nworkload: {requests: 1}\n"
      "pool:\n  budgets:\n"
      "    - {name: a, level: rack, cap: 900W, devices: [0, 1]}\n"
      "    - {name: b, level: tray, cap: 600W, devices: [2-3]}\n"
      "power: {budget: 1kW, reserve_ppm: 1000, pue_milli: 1250, overhead_per_device: 80W}\n"
      "events:\n  - {at: 1s, do: power_budget, node: b, watts: 500W}\n",
      "s.yaml");
  ASSERT_TRUE(s.ok()) << s.status();
  const scheduler::FleetPowerOptions& fleet = s->scheduler.fleet;
  ASSERT_EQ(fleet.nodes.size(), 2u);
  EXPECT_EQ(fleet.nodes[1].name, "b");
  EXPECT_EQ(fleet.nodes[1].level, scheduler::BudgetLevel::kTray);
  EXPECT_EQ(fleet.nodes[1].cap, Watts(600));
  EXPECT_THAT(fleet.nodes[1].devices, ElementsAre(2, 3));
  EXPECT_EQ(fleet.budget, Watts(1000));
  EXPECT_EQ(fleet.policy.reserve_ppm, 1000);
  EXPECT_EQ(fleet.policy.pue_milli, 1250);
  EXPECT_EQ(fleet.policy.overhead_per_device, Watts(80));
  EXPECT_EQ(s->events[0].budget.node, "b");
}

TEST(ScenarioTest, BudgetsThatAreNoTreeAreRefusedWithTheirPlace) {
  const std::string a = "    - {name: a, level: rack, cap: 900W, devices: [0-2]}\n";
  EXPECT_THAT(BudgetError(a), HasSubstr("s.yaml:6:7: pool.budgets[0]: device 3 is on no node"));
  const std::string b = "    - {name: b, level: rack, cap: 900W, devices: [3]}\n";
  EXPECT_EQ(BudgetError(a + b), "");
  EXPECT_THAT(BudgetError(a + "    - {name: b, level: rack, cap: 900W, devices: [2, 3]}\n"),
              HasSubstr("s.yaml:7:51: pool.budgets[1].devices[0]: device 2 is on 'a' already"));
  EXPECT_THAT(BudgetError(a + "    - {name: b, level: rack, cap: 900W, devises: [3]}\n"),
              HasSubstr("devices"));
  EXPECT_THAT(BudgetError(a + b, "events:\n  - {at: 1s, do: power_budget, node: c, watts: 9W}\n"),
              HasSubstr("s.yaml:9:38: events[0].node: no node 'c' in the budget tree"));
  EXPECT_THAT(BudgetError(a + b, "power: {budget: -1W}\n"), HasSubstr("s.yaml:8:17: power.budget"));
}

}  // namespace
}  // namespace scoville::sim
