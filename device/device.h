// One emulated accelerator: runs one step at a time in device time, under a power cap that holds,
// with a meter that adds up.
//
// The caller asks what a step would be (Offer) and begins it as offered; the step ends at
// begin + duration, or when the host has its tokens, whichever is later; the excess is emulation
// lag and no part of device time or energy. Between steps device time follows the loop. The written
// contract is device/README.md.
//
// Units: engine time in TimePoint, device time in Duration. Ownership: owns its KV pool, meter,
// governor and executor; borrows the loop and the pricer. Threading: engine thread only, but for
// its end: one that is not busy may be destroyed on any thread, since giving its pages back takes
// milliseconds. Errors: Create refuses a cap that no step can be small enough for, and a model that
// leaves no room for KV; BeginStep's preconditions are CHECKs.
#ifndef SCOVILLE_DEVICE_DEVICE_H_
#define SCOVILLE_DEVICE_DEVICE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/event_loop.h"
#include "base/ids.h"
#include "device/device_power.h"
#include "device/executor/executor.h"
#include "device/kv/block_pool.h"
#include "device/kv/host_tier.h"
#include "device/physics/step_cost.h"
#include "device/power_options.h"
#include "device/records.h"

namespace scoville::device {

// Host memory behind a device's KV cache: what the cache evicts is kept there; and the link to it,
// over which sequences also move from device to device. The defaults are assumptions: about what
// PCIe 5 with 16 lanes moves, and what moving a byte over it and through DRAM takes.
struct HostTierLimits {
  int64_t blocks = 0;  // zero: none
  int64_t bytes_per_second = 50'000'000'000;
  int64_t picojoules_per_byte = 40;
};

struct DeviceOptions {
  DeviceId id{};
  PowerOptions power{};
  int64_t kv_blocks = 0;  // zero: what the chip's memory holds beside the weights
  KvCacheOptions kv{};
  HostTierLimits host_tier{};
};

// A sequence's step as its price sees it.
SequenceWork WorkOf(const SequenceStep& step);

// What one sequence paid in a step: prefill, decode and waste; idle is zero.
struct StepOutcome {
  StepRecord record;
  std::vector<SequenceResult> results;         // in the order of the plan
  std::vector<EnergyBuckets> sequence_energy;  // likewise; sums to record.energy
};

class Device {
 public:
  using StepDone = absl::AnyInvocable<void(StepOutcome)>;

  // The pricer's model says how many chips the device is, and how large a KV block.
  static absl::StatusOr<std::unique_ptr<Device>> Create(EventLoop* loop, StepPricer* pricer,
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
  HostTier* host_tier();  // nullptr: there is none
  const HostTier* host_tier() const;
  // The bytes of a block that a sequence is about to write into, for a page of its own.
  void CopyPage(const PageCopy& copy);
  // The bytes of a loaded block, when its transfer is over.
  void CopyFromHost(uint32_t host_page, uint32_t page);
  // Likewise from another device of the same deployment.
  void CopyFromPeer(const Device& peer, uint32_t peer_page, uint32_t page);
  // What moving so many blocks over the device's link to its host takes.
  Duration LinkTime(int64_t blocks) const;
  Energy LinkEnergy(int64_t blocks) const;

  // How a step's sequences are summed up.
  const ShapeRules& rules() const;
  // How a step of this shape would run if it began now. `latency_limit`: what it may take if the
  // device weighs joules; zero: anything. Precondition: not busy.
  StepOffer Offer(const StepShape& shape, Duration latency_limit);
  // Begins a step over `work` (not empty) as it was offered at this very instant. `done` runs once,
  // at the step's end. Precondition: not busy.
  void BeginStep(std::vector<SequenceStep> work, const StepOffer& offer, StepDone done);

  // The mean power over the operator's window is at or below `cap` from effective_at (engine time)
  // on, until then at or below the old one. `at` (now or later): later is an announcement.
  absl::StatusOr<CapChange> SetCap(Power cap, TimePoint at);
  const DevicePower& power() const;
  // Sleeps until it is woken or a step is asked for. Precondition: not busy.
  void Park();
  void Wake();

  // Faults. What is lost is silent: the caller learns of it by `overdue`, as with silicon.
  // Dies: the step under way is void, what it drew until now is waste, and nothing ends any more.
  void Kill();
  // The step under way, or else the next one, never ends.
  void Hang();
  // Steps take `percent` / 100 of their time (>= 100); the excess is spent at idle power.
  void SlowDown(int64_t percent);
  // True while a step should be over by the clock and is not.
  bool overdue() const;
  // Gives up on the device: its step, if one is under way, is void, and `let_go` runs once the
  // executor no longer reads the step's work (at once if it does not). The record is of the lost
  // step; without one it is empty. Until Repair the device may not be used.
  using LetGo = absl::AnyInvocable<void(std::optional<StepOutcome>)>;
  void Fence(LetGo let_go);
  // As new, at the present cap; its pages are lost. Precondition: fenced and let go.
  void Repair();
  bool fenced() const;
  bool faulty() const;  // one of the above was done to it

  // Whether it sleeps now, and when it will if nothing is asked of it: Max() if never or unknown.
  bool parked() const;
  TimePoint ParksAt() const;

  // Settles idle energy up to now and reads everything.
  DeviceStatus Status();

 private:
  class Impl;
  explicit Device(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_DEVICE_H_
