// Death, silence, slowness, and giving up: the step under way is void, and what it drew is waste.
#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "device/device_impl.h"

namespace scoville::device {

void Device::Impl::Kill() {
  if (dead_) {
    return;
  }
  dead_ = true;
  if (drawing_step() && !device_time_over_) {
    Void(std::min(loop_->Now() - start_, offer_.price.duration));
  } else if (!busy_) {
    SettleIdle();
    power_->PowerOff(device_now_);
  }
  // Else its part of the step is done, and only the host is late: the tokens still come.
}

void Device::Impl::SlowDown(int64_t percent) {
  CHECK_GE(percent, 100);
  slowdown_percent_ = percent;
}

bool Device::Impl::overdue() const {
  return busy_ && !device_time_over_ && loop_->Now() >= start_ + offer_.price.duration;
}

void Device::Impl::Fence(LetGo let_go) {
  CHECK(!fenced_);
  fenced_ = true;
  if (!busy_) {
    SettleIdle();
    power_->PowerOff(device_now_);
    let_go(std::nullopt);
    return;
  }
  if (!void_) {
    Void(std::min(loop_->Now() - start_, offer_.price.duration));
  }
  let_go_ = std::move(let_go);
  if (results_) {
    LetGoOfStep();
  }
}

void Device::Impl::Void(Duration elapsed) {
  loop_->Cancel(end_timer_);
  end_timer_ = TimerId{};
  void_ = true;
  device_now_ += elapsed;
  const Energy energy = power_->EndStep(device_now_);
  idle_since_ = start_ + elapsed;
  FillLost(elapsed, energy);
  if (dead_ || fenced_) {
    SettleIdle();
    power_->PowerOff(device_now_);
  }
}

void Device::Impl::LetGoOfStep() {
  SettleIdle();
  power_->PowerOff(device_now_);
  busy_ = false;
  void_ = false;
  results_.reset();
  done_ = nullptr;
  energy_ += lost_.record.energy;
  terms_ += lost_.record.terms;
  stalls_ += lost_.record.stalls;
  busy_time_ += lost_.record.duration;
  unreported_ = Energy();
  LetGo let_go = std::exchange(let_go_, nullptr);
  let_go(std::move(lost_));
}

void Device::Impl::Repair() {
  CHECK(fenced_);
  CHECK(!busy_);
  SettleIdle();
  fenced_ = false;
  dead_ = false;
  hung_ = false;
  slowdown_percent_ = 100;
  power_->Wake(device_now_);
}

// What a lost step leaves behind: all that it drew is waste, in equal parts of its sequences.
void Device::Impl::FillLost(Duration elapsed, Energy energy) {
  ++steps_;
  lost_ = StepOutcome();
  StepRecord& record = lost_.record;
  record = RecordOf(0);
  record.lost = true;
  record.duration = elapsed;
  record.end = start_ + elapsed;
  record.prefill_tokens = record.recomputed_tokens = record.decode_tokens = 0;
  record.output_tokens = 0;
  record.model_flops = 0;
  record.hbm_bytes = 0;
  record.phases[0] = {std::min(elapsed, offer_.phases[0].duration), offer_.phases[0].power};
  record.phases[1] = {elapsed - record.phases[0].duration, offer_.phases[1].power};
  record.power = elapsed > Duration() ? MeanPower(energy, elapsed) : Power();
  record.stalls = StallTimes();
  record.stalls.fixed = elapsed;
  record.energy.waste = energy;
  record.terms.static_ = energy;
  const std::vector<uint64_t> equal(work_.size(), 1);
  std::vector<Energy> shares(work_.size());
  SplitEnergy(energy, equal, absl::MakeSpan(shares));
  lost_.sequence_energy.resize(work_.size());
  for (size_t i = 0; i < work_.size(); ++i) {
    lost_.sequence_energy[i].waste = shares[i];
  }
  unreported_ = energy;
  CHECK_EQ(power_->total_energy(device_now_), energy_.total() + unreported_);
}

}  // namespace scoville::device
