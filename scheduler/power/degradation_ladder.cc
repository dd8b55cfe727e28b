#include "scheduler/power/degradation_ladder.h"

#include <algorithm>

#include "base/status_macros.h"

namespace scoville::scheduler {

namespace {

struct Sleeper {
  uint32_t device;
  Rung rung;
  DeviceFate fate;
  bool hits_standard;
};

bool Sleeps(DeviceFate fate) {
  return fate == DeviceFate::kPark || fate == DeviceFate::kDrain || fate == DeviceFate::kPreempt;
}

// The least cap of a device that runs, when rungs down to `rung` may be used.
Power FloorAt(const DevicePowerView& view, Rung rung) {
  if (view.lost) {
    return view.counted;
  }
  switch (rung) {
    case Rung::kNone:
      return view.max_cap;
    case Rung::kClocks:
      return std::clamp(view.curve.MostEfficient().power, view.full_chunk_cap, view.max_cap);
    case Rung::kTiers:
      return view.full_chunk_cap;
    default:
      return view.min_cap;
  }
}

std::vector<Power> FloorsAt(absl::Span<const DevicePowerView> views, Rung rung) {
  std::vector<Power> floors;
  for (const DevicePowerView& view : views) {
    floors.push_back(FloorAt(view, rung));
  }
  return floors;
}

// Worth of what a device yields at its least cap, per watt of it: a < b without division.
bool WorthLess(const DevicePowerView& a, const DevicePowerView& b, const FleetPowerPolicy& policy) {
  const auto worth = [&policy](const DevicePowerView& view) {
    const WattDemand demand = DemandOf(view, policy, view.min_cap, true);
    return static_cast<__int128>(demand.weight) * view.curve.RateAt(view.min_cap);
  };
  return worth(a) * std::max<int64_t>(b.min_cap.value(), 1) <
         worth(b) * std::max<int64_t>(a.min_cap.value(), 1);
}

// Rung and fate of a device that shall sleep.
Sleeper SleeperOf(uint32_t device, const DevicePowerView& view, std::optional<Duration> deadline) {
  const DeviceLoadView& load = view.load;
  if (load.idle()) {
    return {device, Rung::kPark, DeviceFate::kPark, false};
  }
  const bool in_time = load.drain_time < kUnknownTime &&
                       (!deadline || load.drain_time + view.cap_delay <= *deadline);
  if (!in_time) {
    return {device, Rung::kPreempt, DeviceFate::kPreempt, load.running[kStandardTier] > 0};
  }
  const bool low_tiers = load.running[0] == 0;
  return {device, low_tiers ? Rung::kAdmission : Rung::kDrain, DeviceFate::kDrain,
          load.running[kStandardTier] > 0};
}

// Who may be put to sleep, in the order in which they are.
std::vector<Sleeper> SleepersInOrder(const LadderInput& input) {
  std::vector<Sleeper> sleepers;
  for (uint32_t i = 0; i < input.views.size(); ++i) {
    const DevicePowerView& view = input.views[i];
    if (view.parkable && !view.lost && view.parked_power < view.min_cap) {
      sleepers.push_back(SleeperOf(i, view, input.deadline));
    }
  }
  std::stable_sort(sleepers.begin(), sleepers.end(), [&](const Sleeper& a, const Sleeper& b) {
    if (a.rung != b.rung) return a.rung < b.rung;
    const DevicePowerView& x = input.views[a.device];
    const DevicePowerView& y = input.views[b.device];
    if (x.draining != y.draining) return x.draining;  // what has begun is not swapped
    if (a.hits_standard != b.hits_standard && a.rung == Rung::kAdmission) return b.hits_standard;
    if (a.rung == Rung::kPark) {
      // Those asleep stay asleep; then the fewest devices that free enough.
      if (x.parked != y.parked) return x.parked;
      return x.min_cap - x.parked_power > y.min_cap - y.parked_power;
    }
    return WorthLess(x, y, *input.policy);
  });
  return sleepers;
}

int32_t RunningCount(const LadderPlan& plan) {
  return static_cast<int32_t>(std::count(plan.fates.begin(), plan.fates.end(), DeviceFate::kRun));
}

void PutToSleep(const LadderInput& input, const Sleeper& sleeper, LadderPlan* plan) {
  const DevicePowerView& view = input.views[sleeper.device];
  plan->fates[sleeper.device] = sleeper.fate;
  plan->floors[sleeper.device] = view.parked_power;
  plan->rung = std::max(plan->rung, sleeper.rung);
  if (sleeper.fate == DeviceFate::kDrain) {
    plan->drained = std::max(plan->drained, view.load.drain_time + view.cap_delay);
  } else {
    plan->floors_meanwhile[sleeper.device] = view.parked_power;
  }
  if (sleeper.rung >= Rung::kAdmission) {
    plan->admission_closed[kBatchTier] = true;
    // Standard work is turned away only where that empties a device, or further down.
    plan->admission_closed[kStandardTier] |=
        sleeper.hits_standard || sleeper.rung > Rung::kAdmission;
  }
}

// The lowest node whose floors do not fit; -1 if all do.
int Overfull(const LadderInput& input, const std::vector<Power>& floors) {
  const std::vector<Power> sums = input.tree->SumsOf(floors);
  for (size_t i = sums.size(); i-- > 0;) {
    if (sums[i] > input.limits[i]) {
      return static_cast<int>(i);
    }
  }
  return -1;
}

bool Below(const BudgetTree& tree, uint32_t device, int node) {
  int at = tree.HomeOf(device);
  while (at >= 0 && at != node) {
    at = tree.nodes()[at].parent;
  }
  return at == node;
}

// Rungs 4 to 7: one device after the other, from under the lowest node that is overfull.
void SleepUntilFits(const LadderInput& input, LadderPlan* plan) {
  const std::vector<Sleeper> sleepers = SleepersInOrder(input);
  std::vector<bool> taken(sleepers.size(), false);
  int node = Overfull(input, plan->floors);
  while (node >= 0 && RunningCount(*plan) > input.policy->min_running) {
    size_t next = 0;
    while (next < sleepers.size() &&
           (taken[next] || !Below(*input.tree, sleepers[next].device, node))) {
      ++next;
    }
    if (next == sleepers.size()) {
      return;
    }
    taken[next] = true;
    PutToSleep(input, sleepers[next], plan);
    node = Overfull(input, plan->floors);
  }
  plan->fits = node < 0;
}

LadderPlan StartPlan(const LadderInput& input) {
  LadderPlan plan;
  for (const DevicePowerView& view : input.views) {
    plan.fates.push_back(view.lost ? DeviceFate::kLost : DeviceFate::kRun);
  }
  return plan;
}

// Who is hit between two divisions of watts, and what they lose.
RungReport ReportOf(const LadderInput& input, Rung rung, const LadderPlan& before,
                    const LadderPlan& after) {
  RungReport report;
  report.rung = rung;
  for (uint32_t i = 0; i < input.views.size(); ++i) {
    const DevicePowerView& view = input.views[i];
    report.freed += before.caps[i] - after.caps[i];
    if (after.caps[i] >= before.caps[i] && before.fates[i] == after.fates[i]) {
      continue;
    }
    report.devices.push_back(i);
    const bool drains = after.fates[i] == DeviceFate::kDrain;
    report.takes =
        std::max(report.takes, view.cap_delay + (drains ? view.load.drain_time : Duration()));
    for (int tier = 0; tier < kTierCount; ++tier) {
      report.sequences[tier] += view.load.running[tier];
    }
  }
  report.millitokens_per_second_lost =
      RateOf(input.views, before.fates, before.caps) - RateOf(input.views, after.fates, after.caps);
  if (rung == Rung::kPrefill) {
    for (const DevicePowerView& view : input.views) {
      report.millitokens_per_second_lost += view.load.batch_prefill_millitokens_per_second;
    }
  }
  return report;
}

// The plan's caps. Down to the most efficient clocks everybody gives alike; below, by tier.
void DividePlan(const LadderInput& input, LadderPlan* plan) {
  std::vector<WattDemand> demands;
  for (uint32_t i = 0; i < input.views.size(); ++i) {
    WattDemand demand =
        DemandOf(input.views[i], *input.policy, plan->floors[i], plan->rung > Rung::kClocks);
    if (plan->fates[i] != DeviceFate::kRun) {
      demand.max = demand.min;
    }
    demands.push_back(demand);
  }
  plan->caps = DivideWatts(*input.tree, input.limits, demands);
}

// Caps as they are now, or with a rung used up.
LadderPlan Stage(const LadderInput& input, const LadderPlan& end, Rung rung) {
  LadderPlan stage = StartPlan(input);
  for (uint32_t i = 0; i < input.views.size(); ++i) {
    const DevicePowerView& view = input.views[i];
    const bool sleeps = Sleeps(end.fates[i]) && SleeperOf(i, view, input.deadline).rung <= rung;
    if (sleeps || view.parked) {
      stage.fates[i] = sleeps ? end.fates[i] : DeviceFate::kPark;
      stage.caps.push_back(view.parked_power);
    } else {
      const Power now = view.lost ? view.counted : view.cap;
      stage.caps.push_back(std::min(now, FloorAt(view, rung)));
    }
  }
  return stage;
}

// What each rung down to the plan's contributes; nothing where watts are given and not taken.
std::vector<RungReport> ReportsOf(const LadderInput& input, const LadderPlan& plan) {
  std::vector<RungReport> reports;
  LadderPlan before = Stage(input, plan, Rung::kNone);
  if (input.tree->SumsOf(plan.caps)[0] >= input.tree->SumsOf(before.caps)[0]) {
    return reports;
  }
  for (int rung = 1; rung <= static_cast<int>(plan.rung); ++rung) {
    const bool last = rung == static_cast<int>(plan.rung);
    const LadderPlan after = last ? plan : Stage(input, plan, static_cast<Rung>(rung));
    reports.push_back(ReportOf(input, static_cast<Rung>(rung), before, after));
    before = after;
  }
  return reports;
}

}  // namespace

absl::string_view RungName(Rung rung) {
  constexpr absl::string_view kNames[] = {"none", "clocks",    "tiers", "prefill",
                                          "park", "admission", "drain", "preempt"};
  return kNames[static_cast<size_t>(rung)];
}

absl::string_view RungMeaning(Rung rung) {
  constexpr absl::string_view kMeanings[] = {
      "nothing has to give way",
      "caps down to each device's most efficient clock",
      "caps further down, the tokens worth least first",
      "smaller prefill chunks, no new prompts of the batch tier",
      "idle devices sleep",
      "no new batch work, then no new standard work; devices that run empty sleep",
      "further devices take nothing new, run empty and sleep",
      "running work is preempted; what finds no place fails with a retriable error"};
  return kMeanings[static_cast<size_t>(rung)];
}

absl::string_view RungWhoIsHit(Rung rung) {
  constexpr absl::string_view kHit[] = {
      "nobody",
      "everybody a little: slower tokens",
      "devices whose tokens are worth least: slower tokens",
      "new prompts, those of the batch tier most: later first tokens",
      "nobody now; a burst finds fewer devices awake",
      "new batch requests, then new standard requests: refused",
      "new requests: longer queues",
      "batch requests, and whatever runs on the devices that sleep: restarted or failed"};
  return kHit[static_cast<size_t>(rung)];
}

WattDemand DemandOf(const DevicePowerView& view, const FleetPowerPolicy& policy, Power floor,
                    bool tiers) {
  WattDemand demand = {&view.curve, 1000, floor, std::max(floor, view.max_cap)};
  if (!tiers) {
    return demand;
  }
  __int128 worth = 0;
  __int128 rate = 0;
  for (int tier = 0; tier < kTierCount; ++tier) {
    rate += view.load.millitokens_per_second[tier];
    worth += static_cast<__int128>(view.load.millitokens_per_second[tier]) *
             policy.tier_weight[tier] * 1000;
  }
  demand.weight =
      rate > 0 ? static_cast<int64_t>(worth / rate) : policy.tier_weight[kStandardTier] * 1000;
  return demand;
}

int64_t RateOf(absl::Span<const DevicePowerView> views, absl::Span<const DeviceFate> fates,
               absl::Span<const Power> caps) {
  int64_t rate = 0;
  for (size_t i = 0; i < views.size(); ++i) {
    if (fates[i] == DeviceFate::kRun && !views[i].load.idle()) {
      rate += views[i].curve.RateAt(caps[i]);
    }
  }
  return rate;
}

LadderPlan Descend(const LadderInput& input) {
  CHECK_EQ(input.views.size(), static_cast<size_t>(input.tree->devices()));
  LadderPlan plan = StartPlan(input);
  for (const Rung rung : {Rung::kNone, Rung::kClocks, Rung::kTiers, Rung::kPrefill}) {
    plan.rung = rung;
    plan.floors = FloorsAt(input.views, rung);
    if (Overfull(input, plan.floors) < 0) {
      plan.fits = true;
      break;
    }
  }
  plan.floors_meanwhile = plan.floors;
  if (!plan.fits) {
    SleepUntilFits(input, &plan);
  }
  plan.prefill_limited = plan.rung >= Rung::kPrefill;
  DividePlan(input, &plan);
  plan.rungs = ReportsOf(input, plan);
  return plan;
}

std::vector<RungReport> WholeLadder(const LadderInput& input, std::vector<Power>* lowest) {
  LadderPlan foot = StartPlan(input);
  foot.floors = FloorsAt(input.views, Rung::kPrefill);
  foot.floors_meanwhile = foot.floors;
  for (const Sleeper& sleeper : SleepersInOrder(input)) {
    if (RunningCount(foot) > input.policy->min_running) {
      PutToSleep(input, sleeper, &foot);
    }
  }
  if (lowest != nullptr) {
    *lowest = input.tree->SumsOf(foot.floors);
  }
  std::vector<RungReport> reports;
  LadderPlan before = Stage(input, foot, Rung::kNone);
  for (int rung = 1; rung <= static_cast<int>(Rung::kPreempt); ++rung) {
    const LadderPlan after = Stage(input, foot, static_cast<Rung>(rung));
    reports.push_back(ReportOf(input, static_cast<Rung>(rung), before, after));
    before = after;
  }
  return reports;
}

}  // namespace scoville::scheduler
