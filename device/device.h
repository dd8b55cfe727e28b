// One emulated accelerator: runs one step at a time in device time, under a power cap, with a meter
// that adds up.
//
// A step is priced when it begins, executed, and ends at begin + duration, or when the host has its
// tokens, whichever is later; the excess is emulation lag and no part of device time or energy.
// Between steps device time follows the loop. The written contract is device/README.md.
//
// Units: engine time in TimePoint, device time in Duration. Ownership: owns its KV pool, meter and
// executor; borrows the loop and the profile. Threading: engine thread only. Errors: Create refuses
// a cap below what the slowest step of one sequence needs, and a model that leaves no room for KV;
// BeginStep's preconditions are CHECKs.
#ifndef SCOVILLE_DEVICE_DEVICE_H_
#define SCOVILLE_DEVICE_DEVICE_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/event_loop.h"
#include "base/ids.h"
#include "device/executor/executor.h"
#include "device/kv/block_pool.h"
#include "device/physics/profile.h"
#include "device/records.h"
#include "model/card/model_card.h"

namespace scoville::device {

struct DeviceOptions {
  DeviceId id{};
  int32_t chips = 1;      // tensor-parallel group
  Power cap{};            // of the device; zero: chips x TDP
  int64_t kv_blocks = 0;  // zero: what the chip's memory holds beside the weights
  int64_t kv_block_size = 16;
};

// What one sequence paid in a step: prefill, decode and waste; idle is zero.
struct StepOutcome {
  StepRecord record;
  std::vector<SequenceResult> results;         // in the order of the plan
  std::vector<EnergyBuckets> sequence_energy;  // likewise; sums to record.energy
};

class Device {
 public:
  using StepDone = absl::AnyInvocable<void(StepOutcome)>;

  static absl::StatusOr<std::unique_ptr<Device>> Create(EventLoop* loop, const Profile* profile,
                                                        const model::ModelCard& card,
                                                        const DeviceOptions& options,
                                                        std::unique_ptr<Executor> executor);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  DeviceId id() const;
  const Profile& profile() const;
  int32_t chips() const;
  BlockPool& kv();
  const BlockPool& kv() const;
  bool busy() const;

  // Begins a step over `work` (not empty). `done` runs once, at the step's end. Precondition: not
  // busy.
  void BeginStep(std::vector<SequenceStep> work, StepDone done);

  // Settles idle energy up to now and reads everything.
  DeviceStatus Status();

 private:
  class Impl;
  explicit Device(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_DEVICE_H_
