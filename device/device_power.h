// Clocks, watts and heat of one device: what a step would cost now, whether it may begin, and what
// the device draws while it waits.
//
// The caller asks for an offer, begins the step that was offered, and ends it; between steps the
// device idles. Offers are exact: what is offered is what the meter integrates. Time here is device
// time.
//
// Units: device time, milliwatts of the whole device. Ownership: owned by its device; borrows the
// pricer. Threading: engine thread only. Errors: caps that can never be kept are InvalidArgument
// with the least that can; calls out of order are CHECK failures.
#ifndef SCOVILLE_DEVICE_DEVICE_POWER_H_
#define SCOVILLE_DEVICE_DEVICE_POWER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/units.h"
#include "device/physics/energy_meter.h"
#include "device/physics/power_model.h"
#include "device/physics/step_cost.h"
#include "device/power/cap_governor.h"
#include "device/power/cap_policy.h"
#include "device/power/step_hindrance.h"
#include "device/power/thermal_model.h"
#include "device/power/window_audit.h"
#include "device/power_options.h"
#include "device/records.h"

namespace scoville::device {

// Why a step does not begin at once.
enum class DelayCause : uint8_t { kNone, kCap, kHeat, kWake };

// How a step would run if it began now.
struct StepOffer {
  enum class Kind : uint8_t {
    kBegin,  // now, as told below
    kWait,   // ask again after `wait`
    kNever,  // not even after a rest: make the step smaller
  };
  Kind kind = Kind::kBegin;
  DelayCause cause = DelayCause::kNone;
  Duration wait;
  StepClock clock;
  StepPrice price;
  double leakage = 1.0;  // factor at the junction's temperature when the step begins
  PowerPhase phases[2];  // host gap, forward
  CapExplanation why;    // if the cap or heat kept the clock below the one wanted
};

class DevicePower {
 public:
  static absl::StatusOr<std::unique_ptr<DevicePower>> Create(StepPricer* pricer,
                                                             const PowerOptions& options);

  // Idles until `now`: accounts what was drawn.
  void IdleUntil(TimePoint now);
  // Precondition: idle, settled to `now`. `latency_limit`: how long the step may take if the mode
  // weighs joules; zero: as long as it likes. Asking a parked device wakes it.
  StepOffer Offer(TimePoint now, const StepShape& shape, Duration latency_limit);
  // `offer` was made at `now`, for `now`.
  void BeginStep(TimePoint now, const StepOffer& offer);
  // At its planned end, or before it if the step was cut short. Returns the energy drawn since it
  // began.
  Energy EndStep(TimePoint now);
  // Draws nothing from now on, until Wake. Precondition: idle, settled to `now`.
  void PowerOff(TimePoint now);

  // Caps of the operator's window. `at` == `now`: at once; later: announced, a lowering.
  absl::StatusOr<CapChange> SetCap(TimePoint now, Power cap, TimePoint at);
  // The cap in force; one that was lowered stands here until the new one holds.
  Power cap() const { return cap_; }
  // Sleeping, by hand; settled to `now`. Asking for an offer wakes it, too.
  void Park(TimePoint now);
  void Wake(TimePoint now);
  // The least cap under which a step of this shape fits after a rest, at the lowest clock.
  Power LeastCapFor(const StepShape& shape) const;
  Duration LongestStep(const StepShape& shape) const;  // at the lowest clock
  Power tdp() const;
  Duration cap_window() const { return options_.cap_window; }
  int64_t context() const { return pricer_->model().context; }
  // The least cap under which every step can be cut small enough to fit.
  Power min_cap() const { return min_cap_; }

  // A fair guess, for routing and planning, of the time per step of this shape when steps follow
  // one another: the fastest clock's duration, or longer if its mean power is above the cap.
  Duration SustainedStep(const StepShape& shape) const;
  // And of its energy, at the fastest clock.
  Energy SustainedEnergy(const StepShape& shape) const { return PointAt(top_, shape).energy; }
  // From asking a sleeping device until it may work.
  Duration wake_time() const;
  // Tokens per second and watts of such steps at each clock state, for the fleet's budget.
  struct OperatingPoint {
    Power power;  // mean
    Duration duration;
    Energy energy;
  };
  std::vector<OperatingPoint> OperatingPoints(const StepShape& shape) const;

  const PowerModel& model() const { return model_; }
  const IdleTotals& idle() const { return idle_; }
  Energy total_energy(TimePoint now) const { return meter_.Read(now); }
  Power power_now() const { return meter_.power(); }
  double junction_celsius(TimePoint now) const { return thermal_.At(now).junction; }
  int last_state() const { return last_state_; }
  bool parked() const { return idle_state_ == IdleState::kParked; }  // as far as it is settled
  // In device time: in the past while it sleeps, Max() if it will not by itself.
  TimePoint parks_at() const { return idle_state_ == IdleState::kParked ? settled_ : park_at_; }
  bool tripped() const { return tripped_; }
  // Why a step was last slowed or delayed; empty: never.
  std::string last_sentence() const { return last_hindrance_.Sentence(); }
  // With keep_trace: what was drawn, and what was allowed.
  absl::Span<const TracePiece> trace() const { return trace_; }
  absl::Span<const TraceCap> trace_caps() const { return trace_caps_; }

 private:
  DevicePower(StepPricer* pricer, const PowerOptions& options);

  std::unique_ptr<CapPolicy> MakeBaseline(std::vector<PowerLimit> limits) const;
  void SetIdlePower(TimePoint now, IdleState state);
  void AddIdle(Duration duration);
  void ApplyCaps(TimePoint now);
  void IdlePieceUntil(TimePoint until);
  void StayAwakeUntil(TimePoint until);
  void Trace(TimePoint start, Duration duration, Power power);
  void FillCandidate(int state, const StepShape& shape, double leakage, int wanted,
                     Duration latency_limit);
  // Whether steps of this kind have to be spaced out under the cap, and much of it is spent.
  bool Paces(TimePoint now, const StepCandidate& fastest) const;
  StepOffer OfferUnderCap(TimePoint now, const StepShape& shape, Duration latency_limit,
                          int ceiling, double leakage);
  OperatingPoint PointAt(int state, const StepShape& shape) const;
  Duration PaceOf(Energy energy, Duration duration) const;
  // What the governor decided, in the terms of the step; the candidates are still there.
  StepOffer OfferOf(TimePoint now, const StepShape& shape, const CapDecision& decision,
                    double leakage, int ceiling, bool paces);
  bool WouldTrip(TimePoint now, const StepCandidate& candidate) const;
  StepHindrance& Hindered(StepHindrance::Kind kind, TimePoint when);
  Power MinCapOf() const;

  StepPricer* const pricer_;
  const PowerOptions options_;
  const PowerModel model_;
  const int top_;
  Power cap_;
  Power min_cap_;
  std::unique_ptr<CapPolicy> policy_;
  const CapGovernor* governor_ = nullptr;  // the policy, if it is the predictive one
  ThermalModel thermal_;
  EnergyMeter meter_;

  // Idle.
  IdleState idle_state_ = IdleState::kWarm;
  TimePoint settled_;         // idle is accounted until here
  TimePoint park_at_;         // when a warm device parks
  TimePoint ready_at_;        // a waking device may work from here on
  TimePoint cap_wait_until_;  // a step is ready and waits for the cap or for heat until then
  IdleTotals idle_;

  // The step under way.
  bool busy_ = false;
  TimePoint begun_;
  StepOffer offer_;
  int last_state_ = 0;
  bool tripped_ = false;
  StepHindrance last_hindrance_;
  std::vector<CapChange> announced_;  // in order of effective_at
  std::vector<TracePiece> trace_;
  std::vector<TraceCap> trace_caps_;

  // Candidates of an offer, reused: phases must outlive the call that reads them.
  std::vector<StepPrice> prices_;
  std::vector<PowerPhase> phases_;
  std::vector<StepCandidate> candidates_;
};

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_DEVICE_POWER_H_
