// A core on virtual time for tests: synthetic devices, a scheduler, and sinks and an observer that
// remember everything.
#ifndef SCOVILLE_TESTS_SUPPORT_CORE_FIXTURE_H_
#define SCOVILLE_TESTS_SUPPORT_CORE_FIXTURE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/simulated_event_loop.h"
#include "base/status_macros.h"
#include "device/device.h"
#include "device/executor/synthetic_executor.h"
#include "device/physics/profile.h"
#include "scheduler/scheduler.h"

namespace scoville::tests {

// The default model's shape, without its file.
inline model::ModelConfig SmallConfig() {
  model::ModelConfig config;
  config.name = "small";
  config.architecture = "llama";
  config.layers = 30;
  config.width = 576;
  config.ffn_width = 1536;
  config.heads = 9;
  config.kv_heads = 3;
  config.head_size = 64;
  config.context = 8192;
  config.vocabulary = 49152;
  config.rope_dims = 64;
  config.tied_head = true;
  config.parameters = config.layer_parameters() + config.width * config.vocabulary;
  config.weight_bytes = config.parameters * 5 / 8;
  return config;
}

inline device::ModelTiming SmallTiming(const device::Profile& profile) {
  auto timing = device::MakeModelTiming(profile, model::CardOf(SmallConfig()), {});
  CHECK(timing.ok());
  return *std::move(timing);
}

// What one request's sink saw.
struct SinkLog {
  std::vector<int32_t> tokens;
  std::vector<model::SampledToken> sampled;
  std::vector<model::SampledToken> prompt_scores;
  std::optional<scheduler::RequestRecord> end;
  bool congested = false;  // set by the test
};

class LoggingSink final : public scheduler::TokenSink {
 public:
  explicit LoggingSink(std::shared_ptr<SinkLog> log) : log_(std::move(log)) {}
  void OnPromptScores(int64_t first_index, absl::Span<const model::SampledToken> scores) override {
    CHECK_EQ(first_index, static_cast<int64_t>(log_->prompt_scores.size()) + 1);
    log_->prompt_scores.insert(log_->prompt_scores.end(), scores.begin(), scores.end());
  }
  void OnToken(const model::SampledToken& token, TimePoint) override {
    CHECK(!log_->end);
    log_->tokens.push_back(token.token);
    log_->sampled.push_back(token);
  }
  void OnEnd(const scheduler::RequestRecord& record) override {
    CHECK(!log_->end);
    log_->end = record;
  }
  bool Congested() const override { return log_->congested; }

 private:
  std::shared_ptr<SinkLog> log_;
};

// Remembers records and sums energies.
class LoggingObserver final : public scheduler::Observer {
 public:
  void OnAdmitted(const scheduler::RequestRecord&) override { ++admitted; }
  void OnRefused(const scheduler::Refusal& refusal, TimePoint) override {
    refused.push_back(refusal);
  }
  void OnPreempted(const scheduler::RequestRecord&, TimePoint) override { ++preempted; }
  void OnMigrated(const scheduler::RequestRecord&, TimePoint) override { ++migrated; }
  void OnDeviceLost(DeviceId device, TimePoint) override { lost.push_back(device); }
  void OnStep(const device::StepRecord& record) override { steps.push_back(record); }
  void OnToken(const scheduler::RequestRecord&, TimePoint, TimePoint) override { ++tokens; }
  void OnRequest(const scheduler::RequestRecord& record) override { ended.push_back(record); }

  int64_t admitted = 0;
  int64_t preempted = 0;
  int64_t migrated = 0;
  std::vector<DeviceId> lost;
  int64_t tokens = 0;
  std::vector<scheduler::Refusal> refused;
  std::vector<device::StepRecord> steps;
  std::vector<scheduler::RequestRecord> ended;
};

struct CoreOptions {
  int32_t devices = 1;
  int64_t kv_blocks = 256;
  int64_t max_queued_requests = 1024;
  int32_t max_running = 256;
  int64_t max_step_tokens = 512;
  device::PowerOptions power{};
  Duration itl_target{};
  Duration ttft_target{};
  scheduler::RoutePolicy routing = scheduler::RoutePolicy::kLeastLoaded;
  bool prefix_cache = false;
  int64_t pin_quota_blocks = 0;
  int64_t link_bytes_per_second = 0;  // to the host and to others; 0: as devices have it
  bool refuse_hopeless = false;
  int64_t context = SmallConfig().context;
  // Makes what draws the tokens; nullptr: a plain SyntheticExecutor.
  std::unique_ptr<device::Executor> (*executor)(const std::vector<int32_t>* drawable) = nullptr;
  // Everything else, before the fields above are put in.
  scheduler::SchedulerOptions scheduler = {};
};

class Core {
 public:
  explicit Core(const CoreOptions& options = {})
      : profile(device::DefaultProfile()),
        pricer(&profile, SmallTiming(profile), options.max_step_tokens),
        drawable({100, 101, 102, 103, 104, 105}) {
    device_options.kv_blocks = options.kv_blocks;
    device_options.power = options.power;
    device_options.kv.prefix_cache = options.prefix_cache;
    device_options.kv.pin_quota_blocks = options.pin_quota_blocks;
    if (options.link_bytes_per_second > 0) {
      device_options.host_tier.bytes_per_second = options.link_bytes_per_second;
    }
    std::vector<device::Device*> borrowed;
    for (int32_t i = 0; i < options.devices; ++i) {
      borrowed.push_back(NewDevice(options.executor));
    }
    scheduler::SchedulerOptions scheduler_options = options.scheduler;
    scheduler_options.refuse_hopeless = options.refuse_hopeless;
    scheduler_options.context = options.context;
    scheduler_options.vocabulary = SmallConfig().vocabulary;
    scheduler_options.max_queued.requests = options.max_queued_requests;
    scheduler_options.max_running = options.max_running;
    scheduler_options.max_step_tokens = options.max_step_tokens;
    scheduler_options.itl_target = options.itl_target;
    scheduler_options.ttft_target = options.ttft_target;
    scheduler_options.routing = options.routing;
    scheduler =
        std::make_unique<scheduler::Scheduler>(&loop, borrowed, scheduler_options, &observer);
  }

  // One more, by `device_options`; the scheduler knows nothing of it.
  device::Device* NewDevice(
      std::unique_ptr<device::Executor> (*executor)(const std::vector<int32_t>*) = nullptr) {
    device_options.id = DeviceId{static_cast<uint32_t>(devices.size())};
    auto device = device::Device::Create(
        &loop, &pricer, device_options,
        executor != nullptr ? executor(&drawable)
                            : std::make_unique<device::SyntheticExecutor>(&drawable));
    CHECK(device.ok());
    devices.push_back(*std::move(device));
    return devices.back().get();
  }

  // A request of `prompt` tokens that runs to `max_tokens`.
  scheduler::Request NewRequest(int64_t prompt, int64_t max_tokens,
                                std::shared_ptr<SinkLog> log = std::make_shared<SinkLog>()) {
    scheduler::Request request;
    request.prompt.assign(static_cast<size_t>(prompt), 7);
    request.max_tokens = max_tokens;
    request.sampling.seed = ++seeds;
    request.sink = std::make_unique<LoggingSink>(std::move(log));
    return request;
  }

  // Energy by bucket over all devices, settled to now.
  device::EnergyBuckets Metered() {
    device::EnergyBuckets sum;
    for (const auto& device : devices) sum += device->Status().energy;
    return sum;
  }

  int64_t UsedBlocks() const {
    int64_t used = 0;
    for (const auto& device : devices) used += device->kv().used_blocks();
    return used;
  }

  SimulatedEventLoop loop;
  device::Profile profile;
  device::StepPricer pricer;
  std::vector<int32_t> drawable;
  device::DeviceOptions device_options;
  std::vector<std::unique_ptr<device::Device>> devices;
  LoggingObserver observer;
  std::unique_ptr<scheduler::Scheduler> scheduler;
  uint64_t seeds = 0;
};

}  // namespace scoville::tests

#endif  // SCOVILLE_TESTS_SUPPORT_CORE_FIXTURE_H_
