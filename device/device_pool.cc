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

DevicePool::DevicePool(const PoolOptions& options, const model::LoadedModel& model)
    : options_(options), model_(model) {}
DevicePool::~DevicePool() = default;

std::vector<Device*> DevicePool::devices() const {
  std::vector<Device*> out;
  for (const auto& device : devices_) {
    if (device != nullptr) {
      out.push_back(device.get());
    }
  }
  return out;
}

Device* DevicePool::Find(DeviceId device) const {
  return device.value < devices_.size() ? devices_[device.value].get() : nullptr;
}

absl::StatusOr<std::unique_ptr<Device>> DevicePool::MakeDevice(DeviceId id) {
  absl::StatusOr<std::unique_ptr<Device>> device = TryMakeDevice(id);
  if (!device.ok()) {
    return absl::Status(device.status().code(),
                        absl::StrCat("device ", id.value, ": ", device.status().message()));
  }
  return device;
}

absl::StatusOr<std::unique_ptr<Device>> DevicePool::TryMakeDevice(DeviceId id) {
  DeviceOptions options;
  options.id = id;
  options.power = options_.power;
  options.kv_blocks = options_.kv_blocks;
  options.kv = options_.kv;
  options.host_tier = options_.host_tier;
  std::unique_ptr<Executor> executor;
  if (batcher_ != nullptr) {
    if (options.kv_blocks == 0) {
      options.kv_blocks = kDefaultFunctionalKvBlocks;
    }
    ASSIGN_OR_RETURN(
        executor, MakeFunctional(batcher_.get(), model_.config, options, options_.kv_block_size));
  } else {
    executor = std::make_unique<SyntheticExecutor>(&drawable_);
  }
  return Device::Create(loop_, pricer_.get(), options, std::move(executor));
}

absl::StatusOr<std::vector<Device*>> DevicePool::Add(int32_t count) {
  std::vector<std::unique_ptr<Device>> made;
  for (int32_t i = 0; i < count; ++i) {
    ASSIGN_OR_RETURN(made.emplace_back(), MakeDevice(DeviceId{ids() + static_cast<uint32_t>(i)}));
  }
  std::vector<Device*> out;
  for (std::unique_ptr<Device>& device : made) {
    out.push_back(device.get());
    devices_.push_back(std::move(device));
  }
  return out;
}

void DevicePool::DropNewest(int32_t count) {
  CHECK_LE(static_cast<size_t>(count), devices_.size());
  devices_.resize(devices_.size() - static_cast<size_t>(count));
}

std::unique_ptr<Device> DevicePool::Take(DeviceId device) {
  CHECK(Find(device) != nullptr);
  return std::move(devices_[device.value]);
}

absl::StatusOr<std::unique_ptr<DevicePool>> DevicePool::Prepare(const PoolOptions& options,
                                                                const model::LoadedModel& model,
                                                                int lanes) {
  if (options.devices < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("the pool has ", options.devices, " devices, at least 1 is needed"));
  }
  auto pool = std::unique_ptr<DevicePool>(new DevicePool(options, model));
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
  if (options.executor == ExecutorKind::kFunctional) {
    if (model.transformer == nullptr) {
      return absl::FailedPreconditionError(absl::StrCat(
          "model ", model.id, " was loaded without weights; the functional executor needs them"));
    }
    pool->workspace_ = model.transformer->NewWorkspace(pool->max_rows(), lanes);
  } else {
    pool->drawable_ = DrawableTokens(model);
    if (pool->drawable_.empty()) {
      return absl::FailedPreconditionError(absl::StrCat(
          "the vocabulary of ", model.id, " has no plain word for the synthetic executor"));
    }
  }
  return pool;
}

absl::Status DevicePool::Open(EventLoop* loop, ComputePool* compute) {
  CHECK(loop_ == nullptr);
  loop_ = loop;
  if (workspace_ != nullptr) {
    CHECK(compute != nullptr);
    batcher_ = std::make_unique<HostBatcher>(loop, compute, model_.transformer.get(), max_rows(),
                                             std::move(workspace_));
  }
  return Add(options_.devices).status();
}

absl::StatusOr<std::unique_ptr<DevicePool>> DevicePool::Create(EventLoop* loop,
                                                               const PoolOptions& options,
                                                               const model::LoadedModel& model,
                                                               ComputePool* compute) {
  ASSIGN_OR_RETURN(std::unique_ptr<DevicePool> pool,
                   Prepare(options, model, compute != nullptr ? compute->lanes() : 1));
  RETURN_IF_ERROR(pool->Open(loop, compute));
  return pool;
}

}  // namespace scoville::device
