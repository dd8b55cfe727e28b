// Many small worlds, each drawn by one seed: pool, blocks, limits, power, traffic, cancels and
// deadlines, and which of these are off altogether (swarm testing: Groce et al., ISSTA '12). Every
// invariant is checked after every event, the books at the end, and each world is run twice.
#include <gtest/gtest.h>

#include <cstdint>
#include <iostream>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/random.h"
#include "base/stable_hash.h"
#include "sim/simulation.h"

namespace scoville::sim {
namespace {

constexpr uint64_t kSeeds = 200;

class World {
 public:
  explicit World(uint64_t seed) : seed_(seed) {}

  Scenario Make() {
    Scenario scenario;
    scenario.name = absl::StrCat("swarm-", seed_);
    scenario.seed = seed_;
    scenario.workload.seed = seed_;
    scenario.pool.executor = device::ExecutorKind::kSynthetic;
    scenario.pool.devices = static_cast<int32_t>(Between(1, 4));
    scenario.pool.parallelism.chips = On() ? Between(1, 4) : 1;
    scenario.pool.kv_block_size = On() ? Between(1, 32) : 16;
    scenario.pool.kv_blocks = On() ? Between(8, 30) : Between(60, 400);
    if (On()) {
      scenario.pool.power.cap = Watts(Between(150, 700) * scenario.pool.parallelism.chips);
      scenario.pool.power.cap_window = Milliseconds(Between(5, 1000));
    }
    if (On()) {
      scenario.pool.power.mode = device::CapMode::kEff;
      scenario.scheduler.itl_target = Microseconds(Between(300, 3'000));
      scenario.scheduler.ttft_target = Milliseconds(Between(1, 200));
    }
    if (On()) {
      scenario.scheduler.routing = scheduler::RoutePolicy::kConsolidate;
      scenario.pool.power.park_after = Milliseconds(Between(1, 20));
    }
    scenario.scheduler.max_running = static_cast<int32_t>(On() ? Between(1, 6) : 64);
    scenario.scheduler.max_step_tokens = On() ? Between(1, 40) : Between(64, 512);
    scenario.pool.max_step_tokens = scenario.scheduler.max_step_tokens;
    DrawPolicies(scenario);
    if (On()) {
      scenario.scheduler.max_queued.requests = Between(1, 10);
    }
    if (On()) {
      scenario.scheduler.max_queued.tokens = Between(50, 1'000);
    }
    AddTraffic(scenario);
    return scenario;
  }

 private:
  void DrawPolicies(Scenario& scenario) {
    scheduler::SchedulerOptions& options = scenario.scheduler;
    options.join = static_cast<scheduler::JoinPolicy>(On() ? 0 : Between(0, 3));
    options.victims = static_cast<scheduler::VictimPolicy>(On() ? 0 : Between(0, 1));
    options.queue = static_cast<scheduler::QueuePolicy>(Between(0, 1));
    options.look_ahead = static_cast<int32_t>(On() ? Between(0, 20) : 8);
    options.max_passes = static_cast<int32_t>(On() ? Between(0, 4) : 32);
    options.max_preemptions = static_cast<int32_t>(On() ? Between(0, 3) : 2);
    options.overflow_risk = On() ? 0.02 : static_cast<double>(Between(0, 500)) / 1000;
    options.refuse_hopeless = On();
    options.late_share = static_cast<int32_t>(On() ? Between(0, 4) : 8);
    options.lend_slack = On();
    options.max_drafts = static_cast<int32_t>(On() ? Between(1, 6) : 0);
    options.class_ageing = On() ? Milliseconds(Between(1, 20)) : Duration();
    options.fairness.enabled = On();
    scenario.pool.kv.prefix_cache = On();
    scenario.pool.kv.pin_quota_blocks = On() ? Between(1, 20) : 0;
    options.prefix_ttl = On() ? Milliseconds(Between(1, 20)) : Duration();
    scenario.pool.host_tier.blocks = On() ? Between(1, 60) : 0;
    scenario.pool.host_tier.bytes_per_second =
        On() ? 50'000'000'000 : Between(1'000'000, 1'000'000'000);
    if (scenario.scheduler.routing == scheduler::RoutePolicy::kCost && On()) {
      options.routing = static_cast<scheduler::RoutePolicy>(Between(0, 5));
      options.nanoseconds_per_joule = On() ? Between(0, 1'000'000) : 0;
    }
  }

  void AddFaults(Scenario& scenario) {
    const int64_t faults = Between(1, 6);
    for (int64_t i = 0; i < faults; ++i) {
      ScenarioEvent event;
      event.at = TimePoint(Between(0, 40'000'000));
      event.kind = static_cast<EventKind>(Between(static_cast<int64_t>(EventKind::kKillDevice),
                                                  static_cast<int64_t>(EventKind::kReturnDevice)));
      event.device = static_cast<uint32_t>(Between(0, scenario.pool.devices - 1));
      event.percent = Between(100, 1'500);
      event.migrate = On();
      event.pages = {static_cast<uint32_t>(Between(0, scenario.pool.kv_blocks - 1)),
                     static_cast<uint32_t>(Between(0, scenario.pool.kv_blocks - 1))};
      scenario.events.push_back(event);
    }
    // In the end everything comes back, so that whatever waits can go on.
    for (int32_t device = 0; device < scenario.pool.devices; ++device) {
      ScenarioEvent back;
      back.at = TimePoint(100'000'000 + device);
      back.kind = EventKind::kReturnDevice;
      back.device = static_cast<uint32_t>(device);
      scenario.events.push_back(back);
    }
  }

  void AddTraffic(Scenario& scenario) {
    scenario.workload.requests = Between(1, 120);
    client::ArrivalOptions& arrivals = scenario.workload.arrivals;
    arrivals.kind = static_cast<client::ArrivalKind>(Between(0, 4));
    arrivals.requests_per_second = static_cast<double>(Between(100, 20'000));
    arrivals.cv = static_cast<double>(Between(1, 40)) / 10;
    arrivals.users = Between(1, 12);
    arrivals.think = Nanoseconds(Between(0, 3'000'000));
    scenario.workload.prompt = Lengths(200);
    scenario.workload.output = Lengths(60);
    scenario.cancel_share = On() ? 0.5 : 0;
    scenario.cancel_within = Nanoseconds(Between(1, 50'000'000));
    if (On()) {
      scenario.deadline = Nanoseconds(Between(1, 60'000'000));
    }
    if (Between(0, 5) == 0) {
      scenario.events.push_back({TimePoint(Between(0, 20'000'000)), EventKind::kDrain});
      scenario.events.push_back({TimePoint(Between(20'000'000, 40'000'000)), EventKind::kEndAll});
    }
    if (On()) {
      AddFaults(scenario);
    }
    const int64_t written = On() ? Between(1, 12) : 0;
    for (int64_t i = 0; i < written; ++i) {
      WrittenRequest request;
      request.id = absl::StrCat("w", i);
      request.at = TimePoint(Between(0, 20'000'000));
      request.text = std::string(static_cast<size_t>(Between(1, 120)), 'x');
      request.max_tokens = Between(1, 60);
      request.ignore_eos = On();
      request.sampling.seed = static_cast<uint64_t>(i);
      if (On()) {
        request.cancel_after = Nanoseconds(Between(1, 30'000'000));
      }
      if (On()) {
        request.deadline = Nanoseconds(Between(1, 30'000'000));
      }
      scenario.requests.push_back(std::move(request));
    }
  }

  client::LengthOptions Lengths(int64_t high) {
    client::LengthOptions length;
    length.kind = static_cast<client::LengthKind>(Between(0, 2));
    length.value = Between(1, high);
    length.low = Between(1, high);
    length.high = Between(length.low, high);
    length.median = static_cast<double>(Between(1, high));
    length.sigma = 0.9;
    return length;
  }

  int64_t Between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(
                     RandomBelow(seed_, 77, draws_++, static_cast<uint64_t>(high - low + 1)));
  }
  bool On() { return Between(0, 1) == 1; }

  const uint64_t seed_;
  uint64_t draws_ = 0;
};

// How often the swarm went where it should go; a swarm that avoids a corner proves nothing of it.
struct Reached {
  int64_t preemptions = 0;
  int64_t throttled = 0;
  int64_t migrations = 0;
  int64_t devices_lost = 0;
  int64_t lost_steps = 0;
  int64_t by_outcome[16] = {};
  int64_t by_refusal[16] = {};
  StableHasher hash;  // of all event hashes: two builds that decide alike agree
};

void CheckWorld(const Scenario& scenario, const model::LoadedModel& model, Reached& reached) {
  const auto checked = RunScenario(scenario, model, {.check_every_event = true});
  ASSERT_TRUE(checked.ok()) << checked.status();
  const auto again = RunScenario(scenario, model);
  ASSERT_TRUE(again.ok()) << again.status();
  // Looking at a run does not change it.
  EXPECT_EQ(checked->event_hash, again->event_hash);
  EXPECT_EQ(checked->offered,
            scenario.workload.requests + static_cast<int64_t>(scenario.requests.size()));
  int64_t output = 0;
  for (const scheduler::RequestRecord& record : checked->records.requests) {
    output += record.output_tokens;
    ++reached.by_outcome[static_cast<size_t>(record.outcome)];
    EXPECT_GE(record.end, record.arrival);
    if (record.output_tokens > 0) {
      EXPECT_LE(record.scheduled, record.first_token);
      EXPECT_LE(record.first_token, record.last_token);
      EXPECT_LE(record.last_token, record.end);
    }
  }
  // A step's token may belong to a request that was cancelled meanwhile, and is then given to no
  // one.
  EXPECT_LE(output, checked->records.output_tokens);
  for (const Answer& answer : checked->answers) {
    if (answer.refusal) {
      EXPECT_TRUE(answer.tokens.empty());
      continue;
    }
    EXPECT_EQ(static_cast<int64_t>(answer.tokens.size()), answer.record.output_tokens);
  }
  for (const device::DeviceStatus& device : checked->devices) {
    EXPECT_EQ(device.kv_blocks_used, 0);
  }
  reached.hash.Add(checked->event_hash.low);
  reached.preemptions += checked->records.preemptions;
  reached.throttled += checked->records.throttled_steps;
  reached.migrations += checked->records.migrations;
  reached.devices_lost += checked->records.devices_lost;
  reached.lost_steps += checked->records.lost_steps;
  for (size_t i = 0; i < checked->records.refusals.size(); ++i) {
    reached.by_refusal[i] += checked->records.refusals[i];
  }
}

TEST(SwarmTest, InvariantsHoldAfterEveryEventInManyWorlds) {
  const auto model = model::SyntheticModel();
  ASSERT_TRUE(model.ok()) << model.status();
  Reached reached;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    CheckWorld(World(seed).Make(), **model, reached);
    if (HasFatalFailure()) {
      return;
    }
  }
  std::cout << "event hash of all worlds: " << reached.hash.hash().ToString() << "\n";
  using scheduler::Outcome;
  using scheduler::RefusalReason;
  EXPECT_GT(reached.preemptions, 40);
  EXPECT_GT(reached.migrations, 20);
  EXPECT_GT(reached.devices_lost, 20);
  EXPECT_GT(reached.lost_steps, 5);
  for (Outcome outcome :
       {Outcome::kLength, Outcome::kCancelled, Outcome::kDeadlineExceeded, Outcome::kDraining}) {
    EXPECT_GT(reached.by_outcome[static_cast<size_t>(outcome)], 20) << static_cast<int>(outcome);
  }
  EXPECT_GT(reached.by_refusal[static_cast<size_t>(RefusalReason::kQueueFull)], 100);
  EXPECT_GT(reached.by_refusal[static_cast<size_t>(RefusalReason::kNeverFits)], 10);
}

}  // namespace
}  // namespace scoville::sim
