#include "scheduler/power/power_event.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"

namespace scoville::scheduler {

namespace {

constexpr int64_t kMaxStairs = 1'000;
constexpr int64_t kMillion = 1'000'000;

std::string SecondsText(Duration d) {
  return d >= kUnknownTime ? "an unknown time" : absl::StrFormat("%.4g s", ToSeconds(d));
}

absl::Status CheckRequest(const PowerRequest& request) {
  if (request.watts <= Power()) {
    return absl::InvalidArgumentError(absl::StrCat("watts is ", PowerText(request.watts),
                                                   ": a budget must be above zero; to stop the "
                                                   "fleet, drain it"));
  }
  if (request.watts > ThroughputCurve::kMaxPower) {
    return absl::InvalidArgumentError(absl::StrCat("watts is ", PowerText(request.watts),
                                                   ", at most ",
                                                   PowerText(ThroughputCurve::kMaxPower)));
  }
  if (request.ramp_per_second < Power()) {
    return absl::InvalidArgumentError(
        absl::StrCat("ramp is ", PowerText(request.ramp_per_second),
                     " per second: give the speed of the change, above zero, or 0 for at once"));
  }
  if (request.ramp_per_second > ThroughputCurve::kMaxPower) {
    return absl::InvalidArgumentError("ramp is beyond 1 GW per second: give 0 for at once");
  }
  if (request.by && (*request.by <= Duration() || *request.by >= kUnknownTime)) {
    return absl::InvalidArgumentError(
        absl::StrCat("by is ", SecondsText(*request.by), " from now: must be above zero"));
  }
  return absl::OkStatus();
}

// Why the foot of the ladder is above the budget: the arithmetic.
absl::Status OutOfReach(const PowerEventInput& input, const PowerAnswer& answer) {
  std::vector<Power> mins;
  for (const DevicePowerView& view : input.views) {
    mins.push_back(view.lost ? view.counted : view.min_cap);
  }
  std::vector<Power> limits(input.tree->nodes().size(), Power(INT64_MAX / 4));
  limits[answer.node_index] = answer.usable;
  const absl::Status sum = input.tree->CheckFloor(limits, mins);
  return absl::FailedPreconditionError(
      absl::StrCat(answer.node, " cannot come down to ", PowerText(answer.usable), " (",
                   PowerText(answer.device_budget), " of device power less the reserve): ",
                   sum.ok() ? "another node's limit is in the way" : std::string(sum.message()),
                   "; with everything asleep that can sleep ", PowerText(answer.lowest),
                   " remain; ask for more, or for best_effort"));
}

Duration LeadOf(const PowerEventInput& input, const LadderPlan& plan) {
  Duration lead;
  for (size_t i = 0; i < input.views.size(); ++i) {
    if (plan.caps[i] < input.views[i].counted) {
      lead = std::max(lead, input.views[i].cap_delay);
    }
  }
  return lead;
}

// Fills stairs, their width, lead and arrival. `end`: the sum of caps in the end; `meanwhile`:
// that cannot be gone below until drained devices sleep.
void BuildStairs(const PowerRequest& request, const FleetPowerPolicy& policy, Power end,
                 Power meanwhile, PowerAnswer* answer) {
  const Power stop = std::max(end, meanwhile);
  const Power fall = answer->before - stop;
  answer->stair_width = policy.stair;
  if (fall <= Power() || request.ramp_per_second == Power()) {
    answer->stairs.push_back({fall > Power() ? answer->lead : Duration(), stop});
  } else {
    const __int128 ramp = request.ramp_per_second.value();
    // Duration of the fall in ns, rounded up; wider stairs if there would be too many.
    const __int128 whole = (static_cast<__int128>(fall.value()) * 1'000'000'000 + ramp - 1) / ramp;
    const __int128 widest = (whole + kMaxStairs - 1) / kMaxStairs;
    answer->stair_width = std::max(policy.stair, Duration(static_cast<int64_t>(std::min<__int128>(
                                                     widest, kUnknownTime.value() / kMaxStairs))));
    for (int64_t k = 0; k < kMaxStairs; ++k) {
      const __int128 fallen = ramp * (k + 1) * answer->stair_width.value() / 1'000'000'000;
      const Power level =
          fallen >= fall.value() ? stop : answer->before - Power(static_cast<int64_t>(fallen));
      answer->stairs.push_back({answer->lead + answer->stair_width * k, level});
      if (level == stop) {
        break;
      }
    }
  }
  answer->arrival = answer->stairs.back().at;
  if (end < stop) {
    answer->arrival = std::max(answer->arrival, answer->plan.drained);
    answer->stairs.push_back({answer->arrival, end});
  }
}

Power LowestBy(const std::vector<PowerStair>& stairs, Power before, std::optional<Duration> by) {
  Power lowest = before;
  for (const PowerStair& stair : stairs) {
    if (!by || stair.at <= *by) {
      lowest = stair.limit;
    }
  }
  return lowest;
}

void Summarise(const PowerRequest& request, PowerAnswer* answer) {
  std::string* out = &answer->summary;
  *out = absl::StrCat(answer->node, " from ", PowerText(answer->before), " to ",
                      PowerText(answer->after), " (", PowerText(answer->usable), " usable of ",
                      PowerText(answer->device_budget), ") in ", SecondsText(answer->arrival));
  absl::StrAppend(out, ", down to rung ", static_cast<int>(answer->rung), " (",
                  RungName(answer->rung), "): ", RungMeaning(answer->rung));
  if (!answer->reachable) {
    absl::StrAppend(out, "; the budget is out of reach, ", PowerText(answer->lowest),
                    " is the lowest");
  } else if (!answer->in_time) {
    absl::StrAppend(out, "; too late for a deadline in ", SecondsText(*request.by), ", by which ",
                    PowerText(answer->lowest_by_deadline), " can be reached");
  }
  if (!answer->would_apply) {
    absl::StrAppend(out, "; nothing is applied without best_effort");
  }
}

void FillPrediction(const PowerEventInput& input, PowerAnswer* answer) {
  std::vector<DeviceFate> now;
  std::vector<Power> caps;
  for (uint32_t i = 0; i < input.views.size(); ++i) {
    const DevicePowerView& view = input.views[i];
    now.push_back(view.lost     ? DeviceFate::kLost
                  : view.parked ? DeviceFate::kPark
                                : DeviceFate::kRun);
    caps.push_back(view.cap);
    answer->devices.push_back({i, answer->plan.fates[i], view.cap, answer->plan.caps[i]});
  }
  answer->millitokens_per_second_before = RateOf(input.views, now, caps);
  answer->millitokens_per_second_after = RateOf(input.views, answer->plan.fates, answer->plan.caps);
  if (answer->millitokens_per_second_after > 0 && answer->millitokens_per_second_before > 0) {
    const __int128 after = answer->millitokens_per_second_after;
    answer->latency_factor_milli = static_cast<int64_t>(
        (static_cast<__int128>(answer->millitokens_per_second_before) * 1000 + after - 1) / after);
  }
}

}  // namespace

Power DeviceWatts(Power watts, PowerBasis basis, size_t devices, const FleetPowerPolicy& policy) {
  if (basis == PowerBasis::kDevice) {
    return watts;
  }
  const __int128 inside = static_cast<__int128>(watts.value()) * 1000 / policy.pue_milli;
  return Power(static_cast<int64_t>(inside)) -
         policy.overhead_per_device * static_cast<int64_t>(devices);
}

Power LessReserve(Power budget, const FleetPowerPolicy& policy) {
  const __int128 held =
      (static_cast<__int128>(budget.value()) * policy.reserve_ppm + kMillion - 1) / kMillion;
  return budget - Power(static_cast<int64_t>(held));
}

absl::Status CheckPolicy(const FleetPowerPolicy& policy) {
  for (const int64_t weight : policy.tier_weight) {
    if (weight < 0 || weight > 1'000) {
      return absl::InvalidArgumentError(
          absl::StrCat("a tier's weight is ", weight, ", must be 0 to 1000"));
    }
  }
  if (policy.reserve_ppm < 0 || policy.reserve_ppm >= kMillion) {
    return absl::InvalidArgumentError(absl::StrCat("the reserve is ", policy.reserve_ppm,
                                                   " parts per million, must be 0 to 999999"));
  }
  if (policy.min_running < 1 || policy.stair <= Duration() || policy.pue_milli < 1'000 ||
      policy.pue_milli > 1'000'000 || policy.overhead_per_device < Power()) {
    return absl::InvalidArgumentError(
        "a fleet power policy needs at least one running device, a stair above zero, a PUE of 1 "
        "to 1000 and an overhead of 0 W or more");
  }
  return absl::OkStatus();
}

absl::StatusOr<PowerAnswer> PlanPowerEvent(const PowerEventInput& input,
                                           const PowerRequest& request) {
  RETURN_IF_ERROR(CheckRequest(request));
  RETURN_IF_ERROR(CheckPolicy(*input.policy));
  PowerAnswer answer;
  if (!request.node.empty()) {
    ASSIGN_OR_RETURN(answer.node_index, input.tree->Find(request.node));
  }
  const BudgetNode& node = input.tree->nodes()[answer.node_index];
  answer.node = node.name;
  answer.device_budget =
      DeviceWatts(request.watts, request.basis, node.devices.size(), *input.policy);
  if (answer.device_budget <= Power()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "watts is ", PowerText(request.watts), " at the wall, which PUE ",
        absl::StrFormat("%.3f", static_cast<double>(input.policy->pue_milli) * 1e-3), " and ",
        node.devices.size(), " x ", PowerText(input.policy->overhead_per_device),
        " of overhead use up: no device could draw anything"));
  }
  answer.usable = LessReserve(answer.device_budget, *input.policy);

  std::vector<Power> limits(input.limits.begin(), input.limits.end());
  limits[answer.node_index] = answer.usable;
  LadderInput ladder = {input.tree, limits, input.views, input.policy, request.by};
  std::vector<Power> lowest;
  WholeLadder(ladder, &lowest);
  answer.lowest = lowest[answer.node_index];
  answer.plan = Descend(ladder);
  answer.reachable = answer.plan.fits;
  if (!answer.reachable && !request.best_effort) {
    return OutOfReach(input, answer);
  }
  std::vector<Power> counted;
  for (const DevicePowerView& view : input.views) {
    counted.push_back(view.counted);
  }
  answer.before = input.tree->SumsOf(counted)[answer.node_index];
  answer.after = input.tree->SumsOf(answer.plan.caps)[answer.node_index];
  answer.rung = answer.plan.rung;
  answer.rungs = answer.plan.rungs;
  answer.lead = LeadOf(input, answer.plan);
  BuildStairs(request, *input.policy, answer.after,
              input.tree->SumsOf(answer.plan.floors_meanwhile)[answer.node_index], &answer);
  answer.in_time = answer.reachable && (!request.by || answer.arrival <= *request.by);
  answer.would_apply = answer.in_time || request.best_effort;
  answer.lowest_by_deadline = LowestBy(answer.stairs, answer.before, request.by);
  FillPrediction(input, &answer);
  Summarise(request, &answer);
  return answer;
}

}  // namespace scoville::scheduler
