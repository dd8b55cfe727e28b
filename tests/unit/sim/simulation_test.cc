#include "sim/simulation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "sim/report.h"
#include "sim/self_check.h"

namespace scoville::sim {
namespace {

// Runs with every invariant checked after every event.
SimulationResult RunChecked(const std::string& yaml) {
  const auto scenario = ParseScenario(yaml, "test.yaml");
  CHECK(scenario.ok());
  const auto model = LoadScenarioModel(*scenario);
  CHECK(model.ok());
  SimulationOptions options;
  options.check_every_event = true;
  absl::StatusOr<SimulationResult> result = RunScenario(*scenario, **model, options);
  EXPECT_TRUE(result.ok()) << result.status();
  CHECK(result.ok());
  return *std::move(result);
}

// Made-up tokens, too, are drawn from what the constraint leaves.
TEST(Simulation, AWrittenRequestsAnswerMatchesItsConstraint) {
  const SimulationResult result = RunChecked(
      "name: constrained\npool: {devices: 2}\nscheduler: {max_drafts: 4}\nrequests:\n"
      "  - {text: is it, choices: [certainly, never], max_tokens: 40}\n"
      "  - {text: how many, regex: \"[1-9][0-9]{2}\", max_tokens: 40}\n"
      "  - {text: a list, json_schema: '{\"type\":\"array\",\"items\":{\"type\":\"boolean\"},"
      "\"minItems\":2,\"maxItems\":3}', max_tokens: 60}\n"
      "events:\n  - {at: 1ms, do: kill_device, device: 0}\n");
  ASSERT_EQ(result.answers.size(), 3u);
  for (const Answer& answer : result.answers) {
    EXPECT_EQ(answer.record.outcome, scheduler::Outcome::kStop) << answer.id;
  }
  EXPECT_TRUE(result.answers[0].text == "certainly" || result.answers[0].text == "never")
      << result.answers[0].text;
  EXPECT_EQ(result.answers[1].text.size(), 3u) << result.answers[1].text;
  EXPECT_EQ(result.answers[1].text.find_first_not_of("0123456789"), std::string::npos);
  EXPECT_EQ(result.answers[2].text.front(), '[') << result.answers[2].text;
  EXPECT_EQ(result.answers[2].text.back(), ']') << result.answers[2].text;
}

// A real trace on a card whose operators were measured: every request gets its tokens, a first one
// no sooner than its prompt takes.
TEST(Simulation, ReplaysARequestTraceOnMeasuredOperators) {
  const std::string data = SCOVILLE_SOURCE_DIR "/tests/data/operator_tables";
  const std::string yaml =
      "name: tables\n"
      "model: {card: qwen3-32b}\n"
      "pool:\n"
      "  profile: rtx-pro-6000-server\n"
      "  devices: 1\n"
      "  chips_per_device: 2\n"
      "  operator_tables: " +
      data +
      "\n"
      "scheduler: {max_running: 128, max_step_tokens: 2048}\n"
      "workload: {request_trace: " +
      data + "/requests_20.jsonl}\n";
  const SimulationResult result = RunChecked(yaml);
  ASSERT_EQ(result.records.requests.size(), 20u);
  EXPECT_EQ(RunChecked(yaml).event_hash, result.event_hash);
  for (const scheduler::RequestRecord& record : result.records.requests) {
    EXPECT_EQ(record.outcome, scheduler::Outcome::kLength);
    if (record.id.value == 1) {
      EXPECT_EQ(record.prompt_tokens, 2361);
      EXPECT_EQ(record.output_tokens, 532);
      // 64 layers over two steps of at most 2,048 tokens, on an idle pair of chips.
      const double seconds = ToSeconds(record.first_token - record.arrival);
      EXPECT_GT(seconds, 0.3);
      EXPECT_LT(seconds, 0.9);
    }
  }
}

// Prompts come with the tokens that the trace's blocks stand for, and no request is lost.
TEST(Simulation, AnswersEndWhereTheTraceSaysThoughClientsAskForMore) {
  const std::string yaml =
      "name: open\n"
      "seed: 3\n"
      "model: {card: llama-3.1-8b}\n"
      "pool: {profile: h100-sxm, devices: 1}\n"
      "workload:\n"
      "  requests: 40\n"
      "  arrivals: {rate: 20}\n"
      "  output: {kind: uniform, low: 1, high: 300}\n"
      "  tenants: [{name: a, share: 3, class: interactive, ttft: 1ns}, {name: b, class: batch}]\n";
  const SimulationResult exact = RunChecked(yaml);
  const SimulationResult open = RunChecked(yaml + "  max_tokens: 1000\n");
  std::map<uint64_t, int64_t> lengths;
  for (const scheduler::RequestRecord& record : exact.records.requests) {
    lengths[record.id.value] = record.output_tokens;
  }
  ASSERT_EQ(open.records.requests.size(), 40u);
  for (const scheduler::RequestRecord& record : open.records.requests) {
    EXPECT_EQ(record.outcome, scheduler::Outcome::kStop);
    EXPECT_EQ(record.output_tokens, lengths[record.id.value]);
    EXPECT_EQ(record.service_class, record.tenant == "a" ? scheduler::ServiceClass::kInteractive
                                                         : scheduler::ServiceClass::kBatch);
  }
  const Report report = MakeReport(open, 1);
  EXPECT_EQ(report.tenants.at("a").offered + report.tenants.at("b").offered, 40);
  EXPECT_GT(report.tenants.at("a").offered, report.tenants.at("b").offered);
  EXPECT_EQ(report.tenants.at("a").slo_met, 0);  // nobody answers in a nanosecond
  EXPECT_EQ(report.tenants.at("b").attainment, 1);
}

TEST(Simulation, ReplaysAMooncakeTrace) {
  const std::string yaml =
      "name: mooncake\n"
      "seed: 2\n"
      "model: {card: llama-3.1-8b}\n"
      "pool: {profile: h100-sxm, devices: 2}\n"
      "scheduler: {max_step_tokens: 2048}\n"
      "workload:\n"
      "  trace_speed: 8\n"
      "  trace_spread: true\n"
      "  mooncake_trace: " SCOVILLE_SOURCE_DIR "/tests/data/traces/mooncake_conversation.jsonl\n";
  const SimulationResult result = RunChecked(yaml);
  ASSERT_EQ(result.records.requests.size(), 26u);
  EXPECT_EQ(RunChecked(yaml).event_hash, result.event_hash);
  int64_t prompt = 0;
  int64_t output = 0;
  std::vector<TimePoint> arrivals;
  for (const scheduler::RequestRecord& record : result.records.requests) {
    EXPECT_EQ(record.outcome, scheduler::Outcome::kLength);
    prompt += record.prompt_tokens;
    output += record.output_tokens;
    arrivals.push_back(record.arrival);
  }
  EXPECT_EQ(prompt, 325'510);
  EXPECT_EQ(output, 10'313);
  std::sort(arrivals.begin(), arrivals.end());
  EXPECT_EQ(std::adjacent_find(arrivals.begin(), arrivals.end()), arrivals.end());
}

constexpr char kTwoRacks[] =
    "name: racks\n"
    "seed: 12\n"
    "model: {card: llama-3.1-8b}\n"
    "pool:\n"
    "  devices: 6\n"
    "  budgets:\n"
    "    - {name: rack-a, level: rack, cap: 900W, devices: [0-3]}\n"
    "    - {name: rack-b, level: rack, cap: 700W, devices: [4, 5]}\n"
    "power: {budget: 1400W}\n"
    "scheduler: {max_running: 64, itl_target: 20ms}\n"
    "workload:\n"
    "  requests: 300\n"
    "  arrivals: {rate: 60}\n"
    "  prompt: {kind: lognormal, median: 500, sigma: 0.7, low: 16, high: 4000}\n"
    "  output: {kind: lognormal, median: 200, sigma: 0.6, low: 1, high: 1000}\n";

double MeanWatts(const SimulationResult& result, size_t first, size_t last) {
  double joules = 0;
  for (size_t i = first; i < last; ++i) {
    joules += result.devices[i].energy.total().joules();
  }
  return joules / ToSeconds(result.end - TimePoint());
}

// RunChecked audits every window of every node; here is what makes the nodes bind.
TEST(Simulation, RacksStayUnderTheirCapsAndTheFleetUnderItsBudget) {
  const SimulationResult result = RunChecked(kTwoRacks);
  ASSERT_EQ(result.records.requests.size(), 300u);
  EXPECT_EQ(RunChecked(kTwoRacks).event_hash, result.event_hash);
  // Without budgets the same work draws more than each of them allows.
  std::string free = kTwoRacks;
  const size_t from = free.find("  budgets:");
  free.erase(from, free.find("scheduler:") - from);
  const SimulationResult unbound = RunChecked(free);
  EXPECT_GT(MeanWatts(unbound, 0, 4), 900);
  EXPECT_GT(MeanWatts(unbound, 0, 6), 1400);
  EXPECT_LT(MeanWatts(result, 0, 4), 900 * 0.95);
  EXPECT_LT(MeanWatts(result, 4, 6), 700 * 0.95);
  EXPECT_LT(MeanWatts(result, 0, 6), 1400 * 0.95);
}

TEST(Simulation, BudgetsBelowWhatDevicesNeedAreRefusedBeforeTheRun) {
  std::string text = kTwoRacks;
  text.replace(text.find("700W"), 4, "70W");
  const auto scenario = ParseScenario(text, "test.yaml");
  ASSERT_TRUE(scenario.ok()) << scenario.status();
  const auto model = LoadScenarioModel(*scenario);
  ASSERT_TRUE(model.ok());
  const auto result = RunScenario(*scenario, **model);
  EXPECT_EQ(result.status().code(), absl::StatusCode::kFailedPrecondition);
  const std::string message(result.status().message());
  EXPECT_EQ(message.find("test.yaml:8:7: pool.budgets[1]: rack 'rack-b' may draw 66.5 W"), 0u)
      << message;
}

// Ids follow arrivals, and each user's requests are told by what they were drawn with.
TEST(Simulation, ClosedLoopUsersThinkAndNeverOverlap) {
  const SimulationResult result = RunChecked(
      "name: loop\n"
      "pool: {devices: 2}\n"
      "workload:\n"
      "  requests: 60\n"
      "  arrivals: {kind: closed_loop, users: 5, think: 2ms}\n"
      "  prompt: {value: 40}\n"
      "  output: {kind: uniform, low: 1, high: 20}\n");
  ASSERT_EQ(result.records.requests.size(), 60u);
  client::WorkloadOptions options;
  options.requests = 60;
  std::map<uint64_t, size_t> index_of;  // by seed
  const auto shapes = client::GenerateWorkload(options);
  ASSERT_TRUE(shapes.ok());
  for (size_t i = 0; i < shapes->size(); ++i) {
    index_of[(*shapes)[i].seed] = i;
  }
  std::vector<scheduler::RequestRecord> by_index(60);
  for (const scheduler::RequestRecord& record : result.records.requests) {
    by_index.at(index_of.at(record.seed)) = record;
  }
  for (size_t i = 0; i < 60; ++i) {
    const TimePoint arrival = i < 5 ? TimePoint() : by_index[i - 5].end + Milliseconds(2);
    EXPECT_EQ(by_index[i].arrival, arrival) << i;
  }
}

TEST(Simulation, EventsCancelDrainAndEnd) {
  const SimulationResult result = RunChecked(
      "name: events\n"
      "pool: {devices: 1}\n"
      "requests:\n"
      "  - {id: cancelled, text: one, max_tokens: 4000, ignore_eos: true}\n"
      "  - {id: ended, text: two, max_tokens: 4000, ignore_eos: true}\n"
      "  - {id: short, text: three, max_tokens: 3, ignore_eos: true}\n"
      "  - {id: late, at: 30ms, text: four}\n"
      "events:\n"
      "  - {at: 10ms, do: cancel, request: cancelled}\n"
      "  - {at: 20ms, do: drain}\n"
      "  - {at: 40ms, do: end_all}\n");
  ASSERT_EQ(result.answers.size(), 4u);
  EXPECT_EQ(result.answers[0].record.outcome, scheduler::Outcome::kCancelled);
  EXPECT_GE(result.answers[0].record.end, TimePoint() + Milliseconds(10));
  EXPECT_LT(result.answers[0].record.end, TimePoint() + Milliseconds(12));
  EXPECT_EQ(result.answers[1].record.outcome, scheduler::Outcome::kDraining);
  EXPECT_GE(result.answers[1].record.end, TimePoint() + Milliseconds(40));
  EXPECT_EQ(result.answers[2].record.outcome, scheduler::Outcome::kLength);
  ASSERT_TRUE(result.answers[3].refusal.has_value());
  EXPECT_EQ(result.answers[3].refusal->reason, scheduler::RefusalReason::kDraining);
  EXPECT_FALSE(result.answers[0].refusal.has_value());
}

// A client that would have left an hour later adds no hour of idle energy.
TEST(Simulation, EndsWithItsLastRequest) {
  const SimulationResult result = RunChecked(
      "name: patient\n"
      "requests: [{text: hello, max_tokens: 4, ignore_eos: true, cancel_after: 1h, deadline: "
      "2h}]\n");
  EXPECT_EQ(result.end, result.answers[0].record.end);
}

TEST(Simulation, ChatIsAConversationOfOneMessage) {
  const SimulationResult result = RunChecked(
      "name: chat\n"
      "requests:\n"
      "  - {id: a, chat: hello there, max_tokens: 4, seed: 3}\n"
      "  - {id: b, messages: [{role: user, content: hello there}], max_tokens: 4, seed: 3}\n");
  EXPECT_EQ(result.answers[0].record.prompt_tokens, result.answers[1].record.prompt_tokens);
  EXPECT_EQ(result.answers[0].record.token_hash, result.answers[1].record.token_hash);
}

TEST(SelfCheck, StartsFollowTheRecursions) {
  SelfCheckOptions options;
  options.seeds = 2;
  options.requests = 3'000;
  const auto lines = RunSelfCheck(options);
  ASSERT_TRUE(lines.ok()) << lines.status();
  int starts = 0;
  for (const SelfCheckLine& line : *lines) {
    // Averages need more requests than a quick test can have.
    if (line.name.find("every start") != std::string::npos) {
      EXPECT_TRUE(line.passed) << line.name << ": " << line.detail;
      ++starts;
    }
  }
  EXPECT_EQ(starts, 4);
  EXPECT_EQ(lines->size(), 7u);
  options.seeds = 0;
  EXPECT_FALSE(RunSelfCheck(options).ok());
}

// More devices under load and then fewer: nothing ends otherwise, and every joule is somebody's.
TEST(Simulation, APoolIsScaledWhileItServes) {
  const auto run = [](const std::string& budgets, const std::string& events) {
    return RunChecked(
        "name: scaled\nseed: 3\npool: {devices: 2, kv_blocks: 400" + budgets +
        "}\nscheduler: {max_running: 3}\nworkload: {requests: 100, arrivals: {rate: 1000}, prompt: "
        "{kind: uniform, low: 50, high: 400}, output: {kind: uniform, low: 20, high: 140}}\n" +
        events);
  };
  const auto events = [](const std::string& node) {
    return "events:\n  - {at: 20ms, do: scale, devices: 5" + node +
           "}\n  - {at: 40ms, do: kill_device, device: 3}\n"
           "  - {at: 70ms, do: scale, devices: 1}\n  - {at: 90ms, do: scale, devices: 3" +
           node + "}\n";
  };
  const SimulationResult plain = run("", "");
  const SimulationResult scaled = run("", events(""));
  ASSERT_EQ(scaled.devices.size(), 7u);
  std::map<uint64_t, uint64_t> tokens;
  for (const scheduler::RequestRecord& record : plain.records.requests) {
    tokens[record.id.value] = record.token_hash;
  }
  ASSERT_EQ(scaled.records.requests.size(), 100u);
  std::set<uint32_t> ended_on;
  for (const scheduler::RequestRecord& record : scaled.records.requests) {
    EXPECT_EQ(record.token_hash, tokens.at(record.id.value));
    EXPECT_TRUE(scheduler::IsCompletion(record.outcome));
    ended_on.insert(record.device.value);
  }
  EXPECT_GE(ended_on.size(), 5u);
  EXPECT_LT(scaled.end, plain.end);
  // Under a budget: in no window does the node draw more than its limit.
  const SimulationResult budgeted = run(
      ", budgets: [{name: all, level: rack, cap: 700W, devices: [0-1]}]", events(", node: all"));
  EXPECT_EQ(budgeted.records.requests.size(), 100u);
  EXPECT_EQ(budgeted.devices.size(), 7u);
}

}  // namespace
}  // namespace scoville::sim
