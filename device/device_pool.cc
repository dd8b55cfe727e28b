#include "device/device_pool.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "device/executor/host_batcher.h"
#include "device/executor/synthetic_executor.h"
#include "device/physics/tables/operator_tables.h"

namespace scoville::device {

namespace {

// A space and at least two letters.
bool IsWord(absl::string_view bytes) {
  return bytes.size() >= 3 && bytes[0] == ' ' &&
         std::all_of(bytes.begin() + 1, bytes.end(), [](char c) { return c >= 'a' && c <= 'z'; });
}

// What a synthetic executor may say: every token that is a plain word, so that its streams can be
// read.
std::vector<int32_t> DrawableTokens(const model::LoadedModel& model) {
  std::vector<int32_t> tokens;
  for (int32_t t = 0; t < model.config.vocabulary; ++t) {
    if (!model.tokenizer->IsControl(t) && IsWord(model.tokenizer->TokenBytes(t))) {
      tokens.push_back(t);
    }
  }
  return tokens;
}

// With its pages, and those of its second tier if it has one.
absl::StatusOr<std::unique_ptr<Executor>> MakeFunctional(HostBatcher* batcher,
                                                         const model::ModelConfig& config,
                                                         const DeviceOptions& options,
                                                         int64_t block_size) {
  std::unique_ptr<model::KvStorage> host;
  if (options.host_tier.blocks > 0) {
    ASSIGN_OR_RETURN(host, model::KvStorage::Create(config, options.host_tier.blocks, block_size));
  }
  ASSIGN_OR_RETURN(auto pages, model::KvStorage::Create(config, options.kv_blocks, block_size));
  return std::make_unique<FunctionalExecutor>(batcher, std::move(pages), std::move(host));
}

}  // namespace

DevicePool::DevicePool() = default;
DevicePool::~DevicePool() = default;

std::vector<Device*> DevicePool::devices() const {
  std::vector<Device*> out;
  for (const auto& device : devices_) {
    out.push_back(device.get());
  }
  return out;
}

absl::StatusOr<std::unique_ptr<DevicePool>> DevicePool::Create(EventLoop* loop,
                                                               const PoolOptions& options,
                                                               const model::LoadedModel& model,
                                                               ComputePool* compute) {
  if (options.devices < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("the pool has ", options.devices, " devices, at least 1 is needed"));
  }
  auto pool = std::unique_ptr<DevicePool>(new DevicePool());
  ASSIGN_OR_RETURN(Profile profile, FindProfile(options.profile));
  pool->profile_ = std::make_unique<Profile>(std::move(profile));
  ASSIGN_OR_RETURN(
      const ModelTiming timing,
      MakeModelTiming(*pool->profile_, model.card, options.parallelism, options.kv_block_size));
  if (!options.operator_tables.empty()) {
    ASSIGN_OR_RETURN(pool->tables_,
                     OperatorTables::Load(options.operator_tables, *pool->profile_, timing));
  }
  pool->pricer_ = std::make_unique<StepPricer>(pool->profile_.get(), timing,
                                               options.max_step_tokens, pool->tables_.get());
  const bool functional = options.executor == ExecutorKind::kFunctional;
  if (functional) {
    CHECK(compute != nullptr);
    if (model.transformer == nullptr) {
      return absl::FailedPreconditionError(absl::StrCat(
          "model ", model.id, " was loaded without weights; the functional executor needs them"));
    }
    pool->batcher_ =
        std::make_unique<HostBatcher>(loop, compute, model.transformer.get(),
                                      options.max_step_tokens * std::min(options.devices, 4));
  } else {
    pool->drawable_ = DrawableTokens(model);
    if (pool->drawable_.empty()) {
      return absl::FailedPreconditionError(absl::StrCat(
          "the vocabulary of ", model.id, " has no plain word for the synthetic executor"));
    }
  }
  for (int32_t i = 0; i < options.devices; ++i) {
    DeviceOptions device_options;
    device_options.id = DeviceId{static_cast<uint32_t>(i)};
    device_options.power = options.power;
    device_options.kv_blocks = options.kv_blocks;
    device_options.kv = options.kv;
    device_options.host_tier = options.host_tier;
    std::unique_ptr<Executor> executor;
    if (functional) {
      if (device_options.kv_blocks == 0) {
        device_options.kv_blocks = kDefaultFunctionalKvBlocks;
      }
      ASSIGN_OR_RETURN(executor, MakeFunctional(pool->batcher_.get(), model.config, device_options,
                                                options.kv_block_size));
    } else {
      executor = std::make_unique<SyntheticExecutor>(&pool->drawable_);
    }
    absl::StatusOr<std::unique_ptr<Device>> device =
        Device::Create(loop, pool->pricer_.get(), device_options, std::move(executor));
    if (!device.ok()) {
      return absl::Status(device.status().code(),
                          absl::StrCat("device ", i, ": ", device.status().message()));
    }
    pool->devices_.push_back(*std::move(device));
  }
  return pool;
}

}  // namespace scoville::device
