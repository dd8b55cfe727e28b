// The state of a device; private to device/. device.cc: steps and idling. device_faults.cc: what
// becomes of them when the device fails.
//
// Ownership and threading as Device.
#ifndef SCOVILLE_DEVICE_DEVICE_IMPL_H_
#define SCOVILLE_DEVICE_DEVICE_IMPL_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "device/device.h"
#include "device/physics/energy_attribution.h"
#include "device/physics/model_timing.h"

namespace scoville::device {

class Device::Impl {
 public:
  using LetGo = Device::LetGo;

  Impl(EventLoop* loop, StepPricer* pricer, const DeviceOptions& options, int64_t kv_blocks,
       std::unique_ptr<DevicePower> power, std::unique_ptr<Executor> executor)
      : loop_(loop),
        pricer_(pricer),
        options_(options),
        block_bytes_(BlockBytes(*pricer)),
        power_(std::move(power)),
        executor_(std::move(executor)),
        host_tier_(MakeHostTier(*pricer, options)),
        kv_(kv_blocks, pricer->model().rules.block_tokens, KvOptions(options, host_tier_.get())),
        idle_since_(loop->Now()) {
    if (host_tier_ != nullptr) {
      host_tier_->set_copy_out(
          [this](uint32_t page, uint32_t host_page) { executor_->CopyToHost(page, host_page); });
    }
  }

  // Between steps nothing is left with the loop, so this is not of the engine thread.
  ~Impl() {
    CHECK(!busy_);
    CHECK(!end_timer_);
  }

  StepOffer Offer(const StepShape& shape, Duration latency_limit);
  void BeginStep(std::vector<SequenceStep> work, const StepOffer& offer, StepDone done);
  absl::StatusOr<CapChange> SetCap(Power cap, TimePoint at);
  void Park();
  void Wake();
  void Kill();
  void Hang() { hung_ = true; }
  void SlowDown(int64_t percent);
  bool overdue() const;
  void Fence(LetGo let_go);
  void Repair();
  bool faulty() const { return dead_ || hung_ || slowdown_percent_ > 100; }
  TimePoint ParksAt() const;
  DeviceStatus Status();

  EventLoop* const loop_;
  StepPricer* const pricer_;
  const DeviceOptions options_;
  const int64_t block_bytes_;
  const std::unique_ptr<DevicePower> power_;
  const std::unique_ptr<Executor> executor_;

  std::unique_ptr<HostTier> host_tier_;  // hears of the pool's evictions
  BlockPool kv_;
  bool busy_ = false;    // a step is under way as far as anyone can tell
  bool fenced_ = false;  // given up on

 private:
  static int64_t BlockBytes(const StepPricer& pricer);
  static std::unique_ptr<HostTier> MakeHostTier(const StepPricer& pricer,
                                                const DeviceOptions& options);
  static KvCacheOptions KvOptions(const DeviceOptions& options, HostTier* host_tier);
  bool drawing_step() const { return busy_ && !void_; }
  void SettleIdle();
  // The step's device time ends at `elapsed` after its begin without a result.
  void Void(Duration elapsed);
  void LetGoOfStep();
  void OnDeviceTimeOver();
  void OnHostResult(std::vector<SequenceResult> results);
  void Finish();
  void FillLost(Duration elapsed, Energy energy);
  StepRecord RecordOf(int64_t lag_ns) const;
  void Account(StepOutcome& outcome);

  TimePoint device_now_;  // device time, settled
  TimePoint idle_since_;  // engine time; meaningful while not busy
  EnergyBuckets energy_;
  EnergyTerms terms_;
  StallTimes stalls_;
  Duration busy_time_;
  Duration lag_;
  int64_t steps_ = 0;

  // The step under way.
  std::vector<SequenceStep> steps_in_flight_;
  std::vector<SequenceWork> work_;
  StepDone done_;
  StepOffer offer_;
  TimePoint start_;
  Duration planned_;  // until the device's part is over: the price, or more where it is slow
  TimerId end_timer_;
  bool device_time_over_ = false;
  std::optional<std::vector<SequenceResult>> results_;

  // Faults.
  bool dead_ = false;
  bool hung_ = false;
  bool void_ = false;  // the step under way is lost
  // What it drew: the meter has it, and the buckets will when somebody has noticed.
  Energy unreported_;
  int64_t slowdown_percent_ = 100;
  LetGo let_go_;
  StepOutcome lost_;  // meaningful while void_
};

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_DEVICE_IMPL_H_
