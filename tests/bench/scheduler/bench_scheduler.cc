// Host time of the scheduler: planning, whole steps, placing, long queues, wide pools. README.md
// says what each line is.
//
//   bench_scheduler [CASE...]
//
// Cases: plan, step, first, real, route, refuse, queue, wide.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "base/simulated_event_loop.h"
#include "scheduler/core/live_request.h"
#include "scheduler/planning/planner.h"
#include "scheduler/planning/step_fitting.h"
#include "server/runtime/real_event_loop.h"
#include "tests/bench/scheduler/bench_pool.h"
#include "tests/support/nanoseconds.h"

namespace scoville::tests {
namespace {

constexpr int kRounds = 9;

// Sorted by Report.
class Samples {
 public:
  void Add(double value) { values_.push_back(value); }

  void Report(const std::string& name, const char* unit) {
    CHECK(!values_.empty());
    std::sort(values_.begin(), values_.end());
    std::printf(
        "{\"case\": \"%s\", \"unit\": \"%s\", \"median\": %.1f, \"low\": %.1f, \"p90\": %.1f, "
        "\"p99\": %.1f, \"high\": %.1f, \"samples\": %zu}\n",
        name.c_str(), unit, At(0.5), values_.front(), At(0.9), At(0.99), values_.back(),
        values_.size());
    std::fflush(stdout);
  }
  double median() const { return values_[values_.size() / 2]; }  // after Report

 private:
  double At(double share) const {
    return values_[static_cast<size_t>(share * static_cast<double>(values_.size() - 1) + 0.5)];
  }
  std::vector<double> values_;
};

// The rows of `n` decodes on a device, without a scheduler.
class Decodes {
 public:
  explicit Decodes(int64_t n) : pool_(&loop_, {}), options_(pool_.scheduler->options()) {
    device::Device& device = *pool_.devices.front();
    for (int64_t i = 0; i < n; ++i) {
      auto live = std::make_unique<scheduler::LiveRequest>();
      live->record.id = RequestId{static_cast<uint64_t>(i + 1)};
      live->record.prompt_tokens = 500 + i;
      live->record.output_tokens = 1;
      live->tokens.assign(static_cast<size_t>(501 + i), 7);
      live->computed = live->high_water = 500 + i;
      live->last_token = 4096;
      live->table = device::BlockTable(&device.kv());
      CHECK(live->table.Grow(live->computed));
      running_.push_back(live.get());
      owned_.push_back(std::move(live));
    }
    limits_.max_tokens = options_.max_step_tokens;
    limits_.free_blocks = device.kv().free_blocks();
    limits_.block_size = device.kv().block_size();
  }

  void Run(const std::string& n) {
    std::vector<scheduler::RowView> rows;
    for (const scheduler::LiveRequest* live : running_) {
      rows.push_back(live->View(limits_.block_size));
    }
    ReportNanoseconds("plan_step_" + n, 2'000, [&](int64_t) {
      return static_cast<int64_t>(scheduler::PlanStep(rows, limits_).rows.size());
    });
    ReportNanoseconds("fit_step_" + n, 1'000, [&](int64_t) {
      const scheduler::FittedStep step = scheduler::FitStep(
          pool_.devices.front().get(), running_, limits_, options_, lengths_, loop_.Now());
      return static_cast<int64_t>(step.plan.rows.size());
    });
  }

 private:
  SimulatedEventLoop loop_;
  BenchPool pool_;
  const scheduler::SchedulerOptions options_;
  std::vector<std::unique_ptr<scheduler::LiveRequest>> owned_;
  std::vector<scheduler::LiveRequest*> running_;
  scheduler::PlanLimits limits_;
  scheduler::OutputLengths lengths_{scheduler::OutputLengthsOptions{}};
};

void RunPlan() {
  for (const int64_t n : {16, 64, 256}) {
    Decodes(n).Run(std::to_string(n));
  }
}

// Runs `events` events and returns host nanoseconds of each device step among them.
double StepNanoseconds(SimulatedEventLoop& loop, BenchPool& pool, int64_t steps) {
  const int64_t before = pool.observer.steps;
  const int64_t begin = HostNanoseconds();
  while (pool.observer.steps < before + steps && loop.RunOne()) {
  }
  CHECK_EQ(pool.observer.steps, before + steps);
  return static_cast<double>(HostNanoseconds() - begin) / static_cast<double>(steps);
}

void EndAll(SimulatedEventLoop& loop, BenchPool& pool) {
  pool.scheduler->EndAll(scheduler::Outcome::kCancelled);
  loop.Run();
  CHECK(pool.scheduler->idle());
}

// Pure decode steps, end to end: the device's end of step, Commit, Plan, FitStep, CommitPlan,
// BeginStep.
void RunSteps(const std::string& name, int64_t running, const BenchOptions& options) {
  Samples samples;
  int64_t throttled = 0;
  for (int round = 0; round < kRounds; ++round) {
    SimulatedEventLoop loop;
    BenchPool pool(&loop, options);
    for (int64_t i = 0; i < running; ++i) {
      pool.Submit(400 + i, 4000);
    }
    while (pool.observer.tokens < running * 20 && loop.RunOne()) {
    }
    samples.Add(StepNanoseconds(loop, pool, 500));
    throttled = pool.observer.throttled;
    EndAll(loop, pool);
  }
  samples.Report("step_" + name, "ns a step");
  std::printf(
      "{\"case\": \"step_%s\", \"unit\": \"ns a decode row\", \"median\": %.1f, "
      "\"throttled_steps\": %lld}\n",
      name.c_str(), samples.median() / static_cast<double>(running),
      static_cast<long long>(throttled));
}

void RunStep() {
  for (const int64_t n : {16, 64, 256}) {
    RunSteps(std::to_string(n), n, {});
  }
  BenchOptions bare;
  bare.prefix_cache = false;
  RunSteps("256_without_prefix_cache", 256, bare);
  BenchOptions capped;
  capped.power.cap = Watts(330);
  RunSteps("256_capped", 256, capped);
  BenchOptions targets;
  targets.scheduler.itl_target = Milliseconds(20);
  targets.power.mode = device::CapMode::kEff;
  RunSteps("256_eff_with_targets", 256, targets);
}

// From Submit to the begin of the device's step, on an idle pool.
void RunFirst() {
  constexpr int kSamples = 4'000;
  for (const int32_t devices : {1, 256}) {
    Samples samples;
    SimulatedEventLoop loop;
    BenchOptions options;
    options.devices = devices;
    BenchPool pool(&loop, options);
    for (int i = 0; i < kSamples; ++i) {
      scheduler::Request request = pool.NewRequest(512, 2);
      pool.begun = 0;
      const int64_t begin = HostNanoseconds();
      CHECK(!pool.scheduler->Submit(std::move(request)).refusal);
      while (pool.begun == 0) {
        CHECK(loop.RunOne());
      }
      samples.Add(static_cast<double>(pool.begun - begin));
      loop.Run();
      loop.RunUntil(loop.Now() + Milliseconds(5));
    }
    samples.Report("first_step_" + std::to_string(devices), "ns from Submit to BeginStep");
  }
}

// The same through the daemon's loop: from the post by another thread.
void RunFirstReal() {
  constexpr int kSamples = 1'000;
  Samples samples;
  server::RealEventLoop loop;
  BenchPool pool(&loop, {});
  std::thread engine([&] { loop.Run(); });
  std::vector<std::atomic<int64_t>> begun(kSamples);
  for (size_t i = 0; i < kSamples; ++i) {
    const int64_t posted = HostNanoseconds();
    loop.Post([&] {
      pool.begun = 0;
      CHECK(!pool.scheduler->Submit(pool.NewRequest(512, 2)).refusal);
    });
    while (begun[i] == 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      loop.Post([&pool, &begun, i] {
        if (pool.scheduler->idle()) {
          begun[i] = pool.begun;
        }
      });
    }
    samples.Add(static_cast<double>(begun[i] - posted));
  }
  loop.Stop();
  engine.join();
  samples.Report("first_step_real_loop", "ns from Post to BeginStep");
}

// Submit alone, where every device runs `running` sequences.
void RunRouteCase(int32_t devices, int64_t running, bool prefix_cache,
                  scheduler::RoutePolicy policy) {
  SimulatedEventLoop loop;
  BenchOptions options;
  options.devices = devices;
  options.prefix_cache = prefix_cache;
  options.scheduler.routing = policy;
  options.scheduler.max_queued.requests = 1'000'000;
  options.scheduler.max_queued.tokens = INT64_MAX / 4;
  BenchPool pool(&loop, options);
  for (int64_t i = 0; i < devices * running; ++i) {
    pool.Submit(64, 4000);
  }
  while (pool.observer.tokens < devices * running * 4 && loop.RunOne()) {
  }
  Samples samples;
  for (int i = 0; i < 5'000; ++i) {
    scheduler::Request request = pool.NewRequest(512, 100);
    const int64_t begin = HostNanoseconds();
    const scheduler::SubmitResult result = pool.scheduler->Submit(std::move(request));
    samples.Add(static_cast<double>(HostNanoseconds() - begin));
    CHECK(!result.refusal);
    pool.scheduler->Cancel(result.id);
    if (i % 8 == 0) {
      loop.RunOne();
    }
  }
  samples.Report("submit_" + scheduler::RoutePolicyNames()[static_cast<size_t>(policy)] + "_" +
                     std::to_string(devices) + "x" + std::to_string(running) +
                     (prefix_cache ? "" : "_without_prefix_cache"),
                 "ns a Submit, 512 tokens");
  EndAll(loop, pool);
}

void RunRoute() {
  using scheduler::RoutePolicy;
  RunRouteCase(1, 16, true, RoutePolicy::kCost);
  RunRouteCase(256, 0, true, RoutePolicy::kCost);
  RunRouteCase(256, 16, true, RoutePolicy::kCost);
  RunRouteCase(256, 16, false, RoutePolicy::kCost);
  RunRouteCase(256, 16, true, RoutePolicy::kLeastLoaded);
}

// Submit of what is refused, by a busy pool whose queue is as full as it may be.
void RunRefuse() {
  constexpr int64_t kDevices = 256;
  constexpr int64_t kQueued = 10'000;
  SimulatedEventLoop loop;
  BenchOptions options;
  options.devices = kDevices;
  options.scheduler.max_running = 16;
  options.scheduler.max_queued.requests = kQueued;
  options.scheduler.max_queued.tokens = INT64_MAX / 4;
  BenchPool pool(&loop, options);
  const auto submit = [&pool](int64_t prompt, int64_t max_tokens, TimePoint deadline) {
    scheduler::Request request = pool.NewRequest(prompt, max_tokens);
    request.deadline = deadline;
    return pool.scheduler->Submit(std::move(request));
  };
  for (int64_t i = 0; i < kDevices * options.scheduler.max_running + kQueued - 1; ++i) {
    CHECK(!submit(64, 4000, loop.Now() + Seconds(3'600)).refusal);
  }
  const auto measure = [&](const char* name, int64_t max_tokens, Duration time,
                           scheduler::RefusalReason reason) {
    Samples samples;
    for (int i = 0; i < 2'000; ++i) {
      scheduler::Request request = pool.NewRequest(512, max_tokens);
      request.deadline = loop.Now() + time;
      const int64_t begin = HostNanoseconds();
      const scheduler::SubmitResult result = pool.scheduler->Submit(std::move(request));
      samples.Add(static_cast<double>(HostNanoseconds() - begin));
      CHECK(result.refusal && result.refusal->reason == reason);
    }
    samples.Report(name, "ns a Submit that is refused");
  };
  measure("refuse_too_long", 100'000'000, Seconds(3'600),
          scheduler::RefusalReason::kContextLengthExceeded);
  measure("refuse_hopeless", 100, Milliseconds(1), scheduler::RefusalReason::kHopeless);
  CHECK(!submit(64, 4000, loop.Now() + Seconds(3'600)).refusal);
  measure("refuse_queue_full", 100, Seconds(3'600), scheduler::RefusalReason::kQueueFull);
  EndAll(loop, pool);
}

// Steps of a full device beside a queue. `ends`: every sequence is short, so each step places some,
// and as many arrive.
double RunQueueCase(int64_t queued, bool ends) {
  constexpr int64_t kRunning = 64;
  Samples samples;
  for (int round = 0; round < 5; ++round) {
    SimulatedEventLoop loop;
    BenchOptions options;
    options.scheduler.max_running = kRunning;
    options.scheduler.max_queued.requests = 1'000'000;
    options.scheduler.max_queued.tokens = INT64_MAX / 4;
    options.scheduler.implied_deadline = Seconds(30);
    BenchPool pool(&loop, options);
    const int64_t length = ends ? 16 : 4000;
    for (int64_t i = 0; i < kRunning + queued; ++i) {
      pool.Submit(32, length);
    }
    while (pool.observer.steps < 100 && loop.RunOne()) {
    }
    const int64_t steps = 400;
    const int64_t before = pool.observer.steps;
    const int64_t begin = HostNanoseconds();
    while (pool.observer.steps < before + steps) {
      const int64_t ended = pool.observer.ended;
      CHECK(loop.RunOne());
      for (int64_t i = ended; i < pool.observer.ended; ++i) {
        pool.Submit(32, length);
      }
    }
    samples.Add(static_cast<double>(HostNanoseconds() - begin) / static_cast<double>(steps));
    EndAll(loop, pool);
  }
  samples.Report((ends ? "queue_turnover_" : "queue_") + std::to_string(queued), "ns a step");
  return samples.median();
}

void RunQueue() {
  for (const bool ends : {false, true}) {
    const double short_line = RunQueueCase(1'000, ends);
    const double long_line = RunQueueCase(100'000, ends);
    std::printf("{\"case\": \"queue%s_ratio\", \"unit\": \"100,000 / 1,000\", \"median\": %.2f}\n",
                ends ? "_turnover" : "", long_line / short_line);
  }
}

int64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t total = 0;
  int64_t resident = 0;
  statm >> total >> resident;
  return resident * 4096;
}

void RunWide() {
  for (const int32_t devices : {100, 10'000}) {
    const int64_t before = ResidentBytes();
    SimulatedEventLoop loop;
    BenchOptions options;
    options.devices = devices;
    const int64_t begin = HostNanoseconds();
    BenchPool pool(&loop, options);
    const double made = static_cast<double>(HostNanoseconds() - begin) / 1e9;
    const int64_t bytes = ResidentBytes() - before;
    Samples samples;
    for (int round = 0; round < kRounds; ++round) {
      const int64_t events = loop.events_run();
      const int64_t start = HostNanoseconds();
      for (int i = 0; i < 200; ++i) {
        pool.Submit(256, 32);
        loop.RunUntil(loop.Now() + Microseconds(500));
      }
      loop.Run();
      samples.Add(static_cast<double>(HostNanoseconds() - start) /
                  static_cast<double>(loop.events_run() - events));
    }
    const std::string name = "wide_" + std::to_string(devices);
    samples.Report(name, "ns an event, few busy");
    std::printf(
        "{\"case\": \"%s\", \"seconds_to_make\": %.2f, \"bytes_a_device\": %lld, "
        "\"megabytes_after\": %.0f}\n",
        name.c_str(), made, static_cast<long long>(bytes / devices),
        static_cast<double>(ResidentBytes()) / 1e6);
    EndAll(loop, pool);
  }
}

int Main(int argc, char** argv) {
  const auto wanted = [&](const char* name) {
    for (int i = 1; i < argc; ++i) {
      if (std::strcmp(argv[i], name) == 0) {
        return true;
      }
    }
    return argc == 1;
  };
  struct Case {
    const char* name;
    void (*run)();
  };
  const Case cases[] = {{"plan", RunPlan},      {"step", RunStep},   {"first", RunFirst},
                        {"real", RunFirstReal}, {"route", RunRoute}, {"refuse", RunRefuse},
                        {"queue", RunQueue},    {"wide", RunWide}};
  for (const Case& c : cases) {
    if (wanted(c.name)) {
      c.run();
    }
  }
  return 0;
}

}  // namespace
}  // namespace scoville::tests

int main(int argc, char** argv) { return scoville::tests::Main(argc, argv); }
