// A device that lives through a random sequence of steps, idles, parks, aborts, changes of cap and
// heat under one policy, and the trace of what it drew.
//
// What happens is drawn from (seed, step) alone, so every policy meets the same sequence.
#ifndef SCOVILLE_TESTS_UNIT_DEVICE_POWER_CAP_WALK_H_
#define SCOVILLE_TESTS_UNIT_DEVICE_POWER_CAP_WALK_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "base/units.h"
#include "device/power/cap_governor.h"
#include "device/power/cap_policy.h"
#include "device/power/power_phase.h"
#include "device/power/thermal_model.h"
#include "device/power/window_audit.h"

namespace scoville::device {

enum class PolicyKind { kPredictive, kStatic, kRapl, kPi };

struct WalkCounts {
  int64_t steps = 0;
  int64_t waits = 0;
  int64_t split = 0;    // made smaller until it fitted
  int64_t skipped = 0;  // did not fit at any size
  int64_t aborts = 0;
  int64_t cap_changes = 0;
  int64_t throttled = 0;  // steps that heat kept below the top clock
  int64_t trips = 0;
  int64_t inexact_waits = 0;
  int64_t tokens = 0;
  int64_t seconds_ns = 0;

  WalkCounts& operator+=(const WalkCounts& o);
};

struct WalkResult {
  WalkCounts counts;
  std::vector<WindowExcess> worst;  // by limit
};

class CapWalk {
 public:
  // `tight`: caps down to just above idle, which most steps pass; otherwise never below what the
  // lowest clock can draw.
  CapWalk(uint64_t seed, PolicyKind kind, CapMode mode, bool tight);
  ~CapWalk();

  WalkResult Run(int64_t steps);

 private:
  uint64_t Below(int64_t step, uint64_t what, uint64_t n) const;
  int64_t Between(int64_t step, uint64_t what, int64_t low, int64_t high) const;

  void MakePolicy();
  void DrawStep(int64_t step);
  void FillCandidates(int ceiling);
  void Idle(Duration duration, Power power);
  void ChangeCaps(int64_t step, uint64_t salt);
  void ChangeCap(int limit, Power cap, TimePoint at);
  bool PlaceStep(int64_t step);
  void RunStep(int64_t step, const StepCandidate& chosen);
  void CoolDown();
  void CheckWait(const CapDecision& decision);
  void CheckAgainstAudit(const StepCandidate& candidate);
  void Record(Duration duration, Power power);

  const uint64_t seed_;
  const PolicyKind kind_;
  const CapMode mode_;

  // The chip.
  int states_ = 0;
  Power tail_;
  Power least_cap_;
  std::vector<Power> worst_;  // by state
  std::vector<PowerLimit> limits_;
  int64_t ledger_pieces_ = 0;
  Duration typical_;
  std::unique_ptr<ThermalModel> thermal_;
  std::unique_ptr<CapPolicy> policy_;
  CapGovernor* governor_ = nullptr;  // of the predictive policy

  // The step to be placed: by state its phases.
  std::vector<std::vector<PowerPhase>> phases_;
  std::vector<StepCandidate> candidates_;
  int64_t tokens_ = 0;

  TimePoint now_;
  std::vector<TracePiece> trace_;
  std::vector<std::vector<TraceCap>> caps_;
  WalkCounts counts_;
};

}  // namespace scoville::device

#endif  // SCOVILLE_TESTS_UNIT_DEVICE_POWER_CAP_WALK_H_
