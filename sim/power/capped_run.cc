#include "sim/power/capped_run.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "base/status_macros.h"
#include "device/power/cap_governor.h"
#include "device/power/power_phase.h"

namespace scoville::sim::power {

namespace {

// Windows that pass before anything is counted, and that are counted.
constexpr int64_t kSettle = 2;
constexpr int64_t kCount = 2;

device::CapMode ModeOf(CapRule rule) {
  return rule == CapRule::kEff ? device::CapMode::kEff : device::CapMode::kPerf;
}

CappedPoint Uncapped(const OperatingPoint& point) {
  CappedPoint capped;
  capped.runs = true;
  capped.clock_ghz = point.clock_ghz;
  capped.step_s = point.step_s;
  capped.watts = point.watts();
  capped.output_per_s = point.output_per_s();
  capped.joules_per_output = point.joules_per_output();
  return capped;
}

// The candidates of a step, with and without a change of clock before it.
class Candidates {
 public:
  Candidates(const Deployment& d, const device::PowerModel& power,
             const std::vector<OperatingPoint>& points)
      : points_(points) {
    for (size_t i = 0; i < points.size(); ++i) {
      const OperatingPoint& p = points[i];
      phases_.push_back({{p.price.host_gap, p.gap_power}, {p.price.forward, p.forward_power}});
      const Duration change = Nanoseconds(std::llround(d.profile.clock_switch.value * 1e9));
      phases_.push_back({{p.price.host_gap + change, power.HostGap(p.state)},
                         {p.price.forward, p.forward_power}});
    }
  }

  std::vector<device::StepCandidate> After(std::optional<int> last) const {
    std::vector<device::StepCandidate> candidates;
    for (size_t i = 0; i < points_.size(); ++i) {
      device::StepCandidate c;
      c.state = points_[i].state;
      c.clock_megahertz = static_cast<int64_t>(points_[i].clock_ghz * 1e3 + 0.5);
      c.phases = phases_[2 * i + (last && *last != c.state ? 1 : 0)];
      c.duration = device::TotalDuration(c.phases);
      c.energy = device::TotalEnergy(c.phases);
      c.tokens = points_[i].total_tokens;
      candidates.push_back(c);
    }
    return candidates;
  }

 private:
  const std::vector<OperatingPoint>& points_;
  std::vector<std::vector<device::PowerPhase>> phases_;
};

// Sums over the counted time.
struct Sums {
  Energy energy;
  Duration busy;
  Duration idle;
  double cycles = 0;  // clock in GHz x busy seconds
  int64_t steps = 0;
};

CappedPoint Mean(const Sums& sums, int64_t output_tokens) {
  CappedPoint point;
  if (sums.steps == 0) {
    return point;
  }
  const double steps = static_cast<double>(sums.steps);
  const double tokens = steps * static_cast<double>(output_tokens);
  const double seconds = ToSeconds(sums.busy + sums.idle);
  point.runs = true;
  point.clock_ghz = sums.cycles / ToSeconds(sums.busy);
  point.step_s = ToSeconds(sums.busy) / steps;
  point.gap_s = ToSeconds(sums.idle) / steps;
  point.watts = sums.energy.joules() / seconds;
  point.output_per_s = tokens / seconds;
  point.joules_per_output = sums.energy.joules() / tokens;
  return point;
}

CappedPoint RunGovernor(device::CapGovernor* governor, const Candidates& candidates,
                        const std::vector<OperatingPoint>& points, Power warm, Duration window) {
  TimePoint now;
  const TimePoint from = now + kSettle * window;
  const TimePoint end = from + kCount * window;
  std::optional<int> last;
  Sums sums;
  while (now < end) {
    const std::vector<device::StepCandidate> offered = candidates.After(last);
    const device::CapDecision decision = governor->Choose(now, offered);
    if (decision.kind == device::CapDecision::Kind::kNever) {
      return {};
    }
    if (decision.kind == device::CapDecision::Kind::kWait) {
      const TimePoint until = std::max(decision.until, now + Nanoseconds(1));
      governor->OnIdle(until, warm);
      if (now >= from) {
        sums.idle += until - now;
        sums.energy += warm * (until - now);
      }
      now = until;
      continue;
    }
    const device::StepCandidate& step = offered[static_cast<size_t>(decision.candidate)];
    governor->OnStepBegin(now, step.phases);
    governor->OnStepEnd(now + step.duration);
    if (now >= from) {
      ++sums.steps;
      sums.busy += step.duration;
      sums.energy += step.energy;
      sums.cycles +=
          points[static_cast<size_t>(decision.candidate)].clock_ghz * ToSeconds(step.duration);
    }
    last = step.state;
    now = now + step.duration;
  }
  return Mean(sums, points[0].output_tokens);
}

// Idling counts as the tail, as it does for the governor.
CappedPoint Pace(const std::vector<OperatingPoint>& points, double cap, double tail, double warm) {
  CappedPoint best;
  for (const OperatingPoint& p : points) {
    const double gap = std::max(0.0, (p.joules - cap * p.step_s) / (cap - tail));
    const double tokens = static_cast<double>(p.output_tokens);
    const double seconds = p.step_s + gap;
    if (best.runs && tokens / seconds <= best.output_per_s) {
      continue;
    }
    best = Uncapped(p);
    best.gap_s = gap;
    best.watts = (p.joules + warm * gap) / seconds;
    best.output_per_s = tokens / seconds;
    best.joules_per_output = (p.joules + warm * gap) / tokens;
  }
  return best;
}

}  // namespace

const char* CapRuleName(CapRule rule) {
  constexpr const char* kNames[] = {"perf", "eff", "paced", "static"};
  return kNames[static_cast<int>(rule)];
}

CappedPoint RunCapped(const Deployment& deployment, const std::vector<OperatingPoint>& points,
                      CapRule rule, Power cap, Duration window) {
  const device::PowerModel power(deployment.profile, deployment.chips());
  if (rule == CapRule::kStatic) {
    const std::optional<int> state = power.HighestStateUnder(cap);
    return state ? Uncapped(points[static_cast<size_t>(*state)]) : CappedPoint();
  }
  if (cap <= power.Tail()) {
    return {};
  }
  if (rule == CapRule::kPaced) {
    return Pace(points, ToWatts(cap), ToWatts(power.Tail()), ToWatts(power.Warm()));
  }
  const Power burst = Milliwatts(static_cast<int64_t>(deployment.profile.burst_power.value * 1e3)) *
                      deployment.chips();
  const Candidates candidates(deployment, power, points);
  const int wanted = device::MostPreferred(ModeOf(rule), candidates.After(std::nullopt));
  const OperatingPoint& best = points[static_cast<size_t>(wanted)];
  if (std::max(best.gap_power, best.forward_power) <= std::min(cap, burst) && cap >= power.Tail()) {
    return Uncapped(best);
  }
  device::CapGovernorOptions options;
  options.limits = {{cap, window},
                    {std::max(burst, power.Tail()),
                     Nanoseconds(std::llround(deployment.profile.burst_window.value * 1e9))}};
  options.tail = power.Tail();
  options.mode = ModeOf(rule);
  const auto governor = device::CapGovernor::Create(options);
  if (!governor.ok()) {
    return {};
  }
  return RunGovernor(governor->get(), candidates, points, power.Warm(), window);
}

}  // namespace scoville::sim::power
