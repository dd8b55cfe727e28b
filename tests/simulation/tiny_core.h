// The core with the tiny model's real arithmetic, for what written scenarios cannot say: choices,
// constraints, and clients that go on from what they were given.
#ifndef SCOVILLE_TESTS_SIMULATION_TINY_CORE_H_
#define SCOVILLE_TESTS_SIMULATION_TINY_CORE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/compute_pool.h"
#include "base/simulated_event_loop.h"
#include "base/status_macros.h"
#include "device/device_pool.h"
#include "model/grammar/constraint.h"
#include "scheduler/scheduler.h"
#include "tests/simulation/energy_books.h"
#include "tests/simulation/functional_scenario.h"
#include "tests/support/core_fixture.h"
#include "tests/support/late_masks.h"

namespace scoville::tests {

struct TinyOptions {
  int32_t devices = 1;
  int64_t kv_blocks = 256;
  int64_t max_step_tokens = 64;
  bool prefix_cache = false;
  // When masks come that are not at hand; empty: at once.
  LateMasks::Delay masks_come{};
  scheduler::SchedulerOptions scheduler{};
};

// A request for `n` choices, of which choice i draws by seed + i.
struct TinyAsk {
  std::vector<int32_t> prompt;
  int64_t max_tokens = 40;
  int n = 1;
  uint64_t seed = 1;
  float temperature = 1.0f;
  bool drafts = true;
  std::shared_ptr<const model::CompiledConstraint> constraint{};
};

class TinyCore {
 public:
  TinyCore(const model::LoadedModel& model, const TinyOptions& options)
      : model_(model), compute_(&loop) {
    device::PoolOptions pool;
    pool.executor = device::ExecutorKind::kFunctional;
    pool.devices = options.devices;
    pool.kv_blocks = options.kv_blocks;
    pool.max_step_tokens = options.max_step_tokens;
    pool.kv.prefix_cache = options.prefix_cache;
    auto made = device::DevicePool::Create(&loop, pool, model, &compute_);
    CHECK_EQ(made.status(), absl::OkStatus());
    pool_ = *std::move(made);
    devices = pool_->devices();
    scheduler::SchedulerOptions scheduler_options = options.scheduler;
    scheduler_options.context = model.config.context;
    scheduler_options.vocabulary = model.config.vocabulary;
    scheduler_options.max_step_tokens = options.max_step_tokens;
    if (options.masks_come) {
      masks = std::make_unique<LateMasks>(&loop, options.masks_come);
    }
    scheduler = std::make_unique<scheduler::Scheduler>(&loop, devices, scheduler_options, &observer,
                                                       masks.get());
  }

  // Now. One log a choice.
  std::vector<std::shared_ptr<SinkLog>> Submit(const TinyAsk& ask) {
    std::vector<std::shared_ptr<SinkLog>> logs;
    std::vector<scheduler::Request> choices;
    for (int i = 0; i < ask.n; ++i) {
      scheduler::Request request;
      request.prompt = ask.prompt;
      request.max_tokens = ask.max_tokens;
      request.sampling.seed = ask.seed + static_cast<uint64_t>(i);
      request.sampling.temperature = ask.temperature;
      request.sampling.logprobs = 2;
      request.drafts = ask.drafts;
      request.constraint = ask.constraint;
      if (ask.constraint != nullptr) {
        const absl::Span<const int32_t> ends = model_.tokenizer->end_tokens();
        request.stop_tokens.assign(ends.begin(), ends.end());
      }
      logs.push_back(std::make_shared<SinkLog>());
      request.sink = std::make_unique<LoggingSink>(logs.back());
      choices.push_back(std::move(request));
    }
    scheduler::SubmitChoicesResult result = scheduler->SubmitChoices(std::move(choices));
    CHECK(!result.refusal);
    ids = std::move(result.ids);
    return logs;
  }

  device::EnergyBuckets Metered() {
    // Of those that have gone, too.
    device::EnergyBuckets sum;
    for (const device::DeviceStatus& device : scheduler->Status().devices) {
      sum += device.energy;
    }
    return sum;
  }

  device::DevicePool& pool() { return *pool_; }

  SimulatedEventLoop loop;

 private:
  const model::LoadedModel& model_;
  InlineComputePool compute_;
  std::unique_ptr<device::DevicePool> pool_;

 public:
  LoggingObserver observer;
  std::vector<device::Device*> devices;
  std::unique_ptr<LateMasks> masks;
  std::unique_ptr<scheduler::Scheduler> scheduler;  // before the pool goes
  std::vector<RequestId> ids;                       // of the last Submit
};

inline std::vector<int32_t> TinyTokens(const model::LoadedModel& model, absl::string_view text) {
  return model.tokenizer->Encode(text).tokens;
}

inline std::shared_ptr<const model::CompiledConstraint> TinyConstraint(
    const model::LoadedModel& model, model::ConstraintSpec::Kind kind, const std::string& text,
    const model::CompileLimits& limits = {}) {
  model::ConstraintSpec spec;
  spec.kind = kind;
  spec.text = text;
  auto compiled = model::CompileConstraint(spec, *model.tokenizer, limits);
  CHECK_EQ(compiled.status(), absl::OkStatus());
  return *std::move(compiled);
}

inline std::string TinyText(const model::LoadedModel& model, const std::vector<int32_t>& tokens) {
  std::string text;
  for (const int32_t token : tokens) {
    if (!model.tokenizer->IsControl(token)) {
      absl::StrAppend(&text, model.tokenizer->TokenBytes(token));
    }
  }
  return text;
}

}  // namespace scoville::tests

#endif  // SCOVILLE_TESTS_SIMULATION_TINY_CORE_H_
