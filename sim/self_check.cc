#include "sim/self_check.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <queue>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "sim/scenario.h"
#include "sim/simulation.h"

namespace scoville::sim {

namespace {

using scheduler::RequestRecord;

constexpr double kTolerance = 0.01;

// A queue in front of devices of batch 1. Every request of one prompt length has one service time
// per number of output tokens.
struct Queue {
  const char* name;
  int32_t servers;
  client::LengthOptions output;
  double load;  // of each server, below 1
  bool theory;  // the mean wait is known
};

client::LengthOptions Fixed(int64_t value) {
  client::LengthOptions length;
  length.kind = client::LengthKind::kFixed;
  length.value = value;
  return length;
}

client::LengthOptions Uniform(int64_t low, int64_t high) {
  client::LengthOptions length;
  length.kind = client::LengthKind::kUniform;
  length.low = low;
  length.high = high;
  return length;
}

std::vector<Queue> Queues() {
  return {
      {"M/D/1, load 0.5", 1, Fixed(1), 0.5, true},
      {"M/D/1, load 0.7", 1, Fixed(1), 0.7, true},
      {"M/G/1, load 0.5", 1, Uniform(1, 6), 0.5, true},
      {"M/G/3, load 0.8", 3, Uniform(1, 6), 0.8, false},
  };
}

Scenario ScenarioOf(const Queue& queue, uint64_t seed, int64_t requests, double rate) {
  Scenario scenario;
  scenario.name = queue.name;
  scenario.seed = seed;
  scenario.pool.executor = device::ExecutorKind::kSynthetic;
  scenario.pool.devices = queue.servers;
  scenario.scheduler.max_running = 1;
  scenario.scheduler.max_queued.requests = requests;
  scenario.workload.seed = seed;
  scenario.workload.requests = requests;
  scenario.workload.arrivals.requests_per_second = rate;
  scenario.workload.prompt = Fixed(16);
  scenario.workload.output = queue.output;
  return scenario;
}

struct Sums {
  int64_t requests = 0;
  int64_t waited_ns = 0;
  double service = 0;          // s
  double service_squared = 0;  // s^2
  double span = 0;             // s, from the first arrival to the last

  int64_t wrong_starts = 0;
};

// Starts as the recursion gives them, beside the records'.
void CompareStarts(const std::vector<RequestRecord>& by_arrival, int32_t servers, Sums* sums) {
  std::priority_queue<int64_t, std::vector<int64_t>, std::greater<>> free_at;
  for (int32_t i = 0; i < servers; ++i) {
    free_at.push(0);
  }
  for (const RequestRecord& r : by_arrival) {
    const int64_t start = std::max(r.arrival.ns(), free_at.top());
    const int64_t service = (r.end - r.scheduled).value();
    free_at.pop();
    free_at.push(start + service);
    sums->wrong_starts += start != r.scheduled.ns();
    sums->waited_ns += (r.scheduled - r.arrival).value();
    sums->service += ToSeconds(Duration(service));
    sums->service_squared += ToSeconds(Duration(service)) * ToSeconds(Duration(service));
  }
  sums->requests += static_cast<int64_t>(by_arrival.size());
  sums->span += ToSeconds(by_arrival.back().arrival - by_arrival.front().arrival);
}

absl::StatusOr<double> MeanService(const Queue& queue, const model::LoadedModel& model) {
  // At a rate of one a second nobody waits.
  Scenario scenario = ScenarioOf(queue, 0, 1'000, 1.0);
  ASSIGN_OR_RETURN(const SimulationResult result, RunScenario(scenario, model));
  Sums sums;
  CompareStarts(result.records.requests, queue.servers, &sums);
  return sums.service / static_cast<double>(sums.requests);
}

absl::StatusOr<Sums> RunQueue(const Queue& queue, const SelfCheckOptions& options,
                              const model::LoadedModel& model) {
  ASSIGN_OR_RETURN(const double service, MeanService(queue, model));
  const double rate = queue.load * queue.servers / service;
  Sums sums;
  for (int64_t i = 0; i < options.seeds; ++i) {
    const Scenario scenario =
        ScenarioOf(queue, options.seed + static_cast<uint64_t>(i), options.requests, rate);
    ASSIGN_OR_RETURN(SimulationResult result, RunScenario(scenario, model));
    std::vector<RequestRecord>& records = result.records.requests;
    std::sort(records.begin(), records.end(),
              [](const RequestRecord& a, const RequestRecord& b) { return a.id < b.id; });
    CompareStarts(records, queue.servers, &sums);
  }
  return sums;
}

// Pollaczek-Khinchine: lambda E[S^2] / (2 (1 - lambda E[S])), with the moments that were drawn.
SelfCheckLine CompareMean(const Queue& queue, const Sums& sums) {
  const double n = static_cast<double>(sums.requests);
  const double lambda = n / sums.span;
  const double expected =
      lambda * (sums.service_squared / n) / (2 * (1 - lambda * sums.service / n));
  const double mean = ToSeconds(Duration(sums.waited_ns)) / n;
  const double deviation = mean / expected - 1;
  return {absl::StrCat(queue.name, ": mean wait"),
          deviation <= kTolerance && deviation >= -kTolerance,
          absl::StrFormat("%.2f us, theory %.2f us, %+.2f %%", mean * 1e6, expected * 1e6,
                          deviation * 100)};
}

}  // namespace

absl::StatusOr<std::vector<SelfCheckLine>> RunSelfCheck(const SelfCheckOptions& options) {
  if (options.seeds < 1 || options.requests < 1) {
    return absl::InvalidArgumentError("at least one seed and one request are needed");
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<model::LoadedModel> model, model::SyntheticModel());
  std::vector<SelfCheckLine> lines;
  for (const Queue& queue : Queues()) {
    ASSIGN_OR_RETURN(const Sums sums, RunQueue(queue, options, *model));
    lines.push_back(
        {absl::StrCat(queue.name, ": every start"), sums.wrong_starts == 0,
         absl::StrFormat("%d of %d differ from the recursion", sums.wrong_starts, sums.requests)});
    if (queue.theory) {
      lines.push_back(CompareMean(queue, sums));
    }
  }
  return lines;
}

}  // namespace scoville::sim
