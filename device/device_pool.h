// Builds the devices of a deployment, and more of them while it serves; the daemon and the
// simulator call the same functions.
//
// What takes milliseconds is reading the profile and making the workspace, and giving memory back
// at the end; a device takes 5 us to be made, for its pages are the kernel's until they are
// written. So a pool is prepared and destroyed on any thread, and grows on the engine's.
//
// Ownership: the pool owns the profile and the devices; borrows loop, model and compute pool.
// Threading: Prepare on any thread, and the destructor likewise when none of the devices is busy;
// the rest on the engine thread. Errors: those of the profile and of Device::Create, with the
// device's number.
#ifndef SCOVILLE_DEVICE_DEVICE_POOL_H_
#define SCOVILLE_DEVICE_DEVICE_POOL_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/compute_pool.h"
#include "base/event_loop.h"
#include "device/device.h"
#include "model/loaded_model.h"

namespace scoville::device {

enum class ExecutorKind : uint8_t { kFunctional, kSynthetic };

struct PoolOptions {
  std::string profile = "jalapeno-gen1";  // a built-in name, or the path of a profile file
  int32_t devices = 4;
  Parallelism parallelism;  // the chips of a device and how the model lies on them
  PowerOptions power;       // of each device
  int64_t kv_blocks =
      0;  // per device; zero: kDefaultFunctionalKvBlocks if functional, else what fits
  int64_t kv_block_size = 16;
  KvCacheOptions kv{.prefix_cache = true};
  HostTierLimits host_tier;  // of each device
  int64_t max_step_tokens = 512;
  std::string operator_tables;  // directory of measured times; empty: the profile's formulas
  ExecutorKind executor = ExecutorKind::kFunctional;
};

class HostBatcher;

class DevicePool {
 public:
  // The host's memory, not the emulated chip's, bounds functional KV: 4,096 blocks of 16 tokens
  // are 1.5 GB a device for the default model, committed as used.
  static constexpr int64_t kDefaultFunctionalKvBlocks = 4096;

  // Everything but the devices. `lanes`: of the compute pool that it will be opened with.
  static absl::StatusOr<std::unique_ptr<DevicePool>> Prepare(const PoolOptions& options,
                                                             const model::LoadedModel& model,
                                                             int lanes);
  // Makes the devices; once. `compute` is needed for functional devices only.
  absl::Status Open(EventLoop* loop, ComputePool* compute);
  // Both.
  static absl::StatusOr<std::unique_ptr<DevicePool>> Create(EventLoop* loop,
                                                            const PoolOptions& options,
                                                            const model::LoadedModel& model,
                                                            ComputePool* compute);
  ~DevicePool();

  const Profile& profile() const { return *profile_; }
  StepPricer& pricer() { return *pricer_; }
  // Those that are there, by number.
  std::vector<Device*> devices() const;
  // nullptr: there is none of that number, or it was taken out.
  Device* Find(DeviceId device) const;
  // Numbers given so far: from 0, and never twice.
  uint32_t ids() const { return static_cast<uint32_t>(devices_.size()); }

  // Further ones, like the first ones; all or none.
  absl::StatusOr<std::vector<Device*>> Add(int32_t count);
  // The last `count` as if they had never been; nobody uses them yet.
  void DropNewest(int32_t count);
  // Takes a device out for good. Precondition: it is there.
  std::unique_ptr<Device> Take(DeviceId device);

  // What the synthetic executor draws from; empty if there is none.
  const std::vector<int32_t>& drawable() const { return drawable_; }

 private:
  DevicePool(const PoolOptions& options, const model::LoadedModel& model);
  // Of one host batch.
  int64_t max_rows() const {
    return options_.max_step_tokens * std::min<int64_t>(options_.devices, 4);
  }
  absl::StatusOr<std::unique_ptr<Device>> MakeDevice(DeviceId id);
  absl::StatusOr<std::unique_ptr<Device>> TryMakeDevice(DeviceId id);

  EventLoop* loop_ = nullptr;  // until it is opened
  const PoolOptions options_;
  const model::LoadedModel& model_;
  std::unique_ptr<Profile> profile_;
  std::unique_ptr<OperatorTables> tables_;  // nullptr: none
  std::unique_ptr<StepPricer> pricer_;
  std::unique_ptr<model::Transformer::Workspace> workspace_;  // functional: the batcher's to be
  std::unique_ptr<HostBatcher> batcher_;                      // functional: one for all devices
  std::vector<int32_t> drawable_;                             // synthetic: what may come out
  std::vector<std::unique_ptr<Device>> devices_;              // by number; nullptr: taken out
};

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_DEVICE_POOL_H_
