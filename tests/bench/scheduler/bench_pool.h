// A scheduler over synthetic devices whose executor costs next to nothing, for benchmarks: what is
// timed is planning, pricing, accounting and placing.
#ifndef SCOVILLE_TESTS_BENCH_SCHEDULER_BENCH_POOL_H_
#define SCOVILLE_TESTS_BENCH_SCHEDULER_BENCH_POOL_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/event_loop.h"
#include "base/status_macros.h"
#include "device/device.h"
#include "device/physics/profile.h"
#include "scheduler/scheduler.h"
#include "tests/support/core_fixture.h"

namespace scoville::tests {

inline int64_t HostNanoseconds() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// Every row that draws gets the same token, at once.
class ConstantExecutor final : public device::Executor {
 public:
  // `begun`: set to the host's time when a step begins, if it is zero then.
  explicit ConstantExecutor(int64_t* begun) : begun_(begun) {}

  void Execute(absl::Span<const device::SequenceStep> work, Done done) override {
    if (*begun_ == 0) {
      *begun_ = HostNanoseconds();
    }
    std::vector<device::SequenceResult> results(work.size());
    for (size_t i = 0; i < work.size(); ++i) {
      if (work[i].samples()) {
        results[i].tokens.push_back({7, -1.0f, {}});
      }
    }
    done(std::move(results));
  }

 private:
  int64_t* const begun_;
};

class NullSink final : public scheduler::TokenSink {
 public:
  void OnPromptScores(int64_t, absl::Span<const model::SampledToken>) override {}
  void OnToken(const model::SampledToken&, TimePoint) override {}
  void OnEnd(const scheduler::RequestRecord&) override {}
  bool Congested() const override { return false; }
};

class CountingObserver final : public scheduler::Observer {
 public:
  void OnAdmitted(const scheduler::RequestRecord&) override {}
  void OnRefused(const scheduler::Refusal&, TimePoint) override { ++refused; }
  void OnPreempted(const scheduler::RequestRecord&, TimePoint) override {}
  void OnMigrated(const scheduler::RequestRecord&, TimePoint) override {}
  void OnDeviceLost(DeviceId, TimePoint) override {}
  void OnStep(const device::StepRecord& record) override {
    ++steps;
    throttled += record.throttled ? 1 : 0;
  }
  void OnToken(const scheduler::RequestRecord&, TimePoint, TimePoint) override { ++tokens; }
  void OnRequest(const scheduler::RequestRecord&) override { ++ended; }

  int64_t refused = 0;
  int64_t steps = 0;
  int64_t throttled = 0;
  int64_t tokens = 0;
  int64_t ended = 0;
};

struct BenchOptions {
  int32_t devices = 1;
  int64_t kv_blocks = 0;  // what the memory holds
  device::PowerOptions power{};
  bool prefix_cache = true;
  scheduler::SchedulerOptions scheduler{};
};

class BenchPool {
 public:
  BenchPool(EventLoop* loop, const BenchOptions& options)
      : profile(device::DefaultProfile()), pricer(&profile, SmallTiming(profile), 8192) {
    std::vector<device::Device*> borrowed;
    for (int32_t i = 0; i < options.devices; ++i) {
      device::DeviceOptions d;
      d.id = DeviceId{static_cast<uint32_t>(i)};
      d.kv_blocks = options.kv_blocks;
      d.power = options.power;
      d.kv.prefix_cache = options.prefix_cache;
      auto device =
          device::Device::Create(loop, &pricer, d, std::make_unique<ConstantExecutor>(&begun));
      CHECK(device.ok());
      devices.push_back(*std::move(device));
      borrowed.push_back(devices.back().get());
    }
    scheduler::SchedulerOptions s = options.scheduler;
    s.context = SmallConfig().context;
    s.vocabulary = SmallConfig().vocabulary;
    scheduler = std::make_unique<scheduler::Scheduler>(loop, borrowed, s, &observer);
  }

  // A prompt of its own of `prompt` tokens.
  scheduler::Request NewRequest(int64_t prompt, int64_t max_tokens) {
    scheduler::Request request;
    ++made;
    request.prompt.resize(static_cast<size_t>(prompt));
    for (size_t i = 0; i < request.prompt.size(); ++i) {
      request.prompt[i] =
          static_cast<int32_t>((static_cast<uint64_t>(made) * 7919 + i * 31) % 40'000);
    }
    request.max_tokens = max_tokens;
    request.sampling.seed = static_cast<uint64_t>(made);
    request.sink = std::make_unique<NullSink>();
    return request;
  }

  RequestId Submit(int64_t prompt, int64_t max_tokens) {
    const scheduler::SubmitResult result = scheduler->Submit(NewRequest(prompt, max_tokens));
    CHECK(!result.refusal);
    return result.id;
  }

  int64_t begun = 0;
  int64_t made = 0;
  device::Profile profile;
  device::StepPricer pricer;
  std::vector<std::unique_ptr<device::Device>> devices;
  CountingObserver observer;
  std::unique_ptr<scheduler::Scheduler> scheduler;
};

}  // namespace scoville::tests

#endif  // SCOVILLE_TESTS_BENCH_SCHEDULER_BENCH_POOL_H_
