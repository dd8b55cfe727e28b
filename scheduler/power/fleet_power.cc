#include "scheduler/power/fleet_power.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace scoville::scheduler {

namespace {

// No budget: more than any fleet, and sums of it still fit.
constexpr Power kNoLimit = Power(INT64_MAX / 4);

std::vector<Power> CapsOf(const std::vector<PowerControlledDevice*>& devices) {
  std::vector<Power> caps;
  for (const PowerControlledDevice* device : devices) {
    caps.push_back(device->Cap());
  }
  return caps;
}

std::vector<Power> FirstLimits(const BudgetTree& tree, const FleetPowerOptions& options) {
  std::vector<Power> limits;
  for (const BudgetNode& node : tree.nodes()) {
    limits.push_back(options.budgets_set ? LessReserve(node.cap, options.policy) : kNoLimit);
  }
  return limits;
}

int64_t SumOfRates(absl::Span<const DevicePowerView> views) {
  int64_t sum = 0;
  for (const DevicePowerView& view : views) {
    for (const int64_t rate : view.load.millitokens_per_second) {
      sum += rate;
    }
  }
  return sum;
}

absl::Status CheckDevices(const BudgetTree& tree,
                          const std::vector<PowerControlledDevice*>& devices) {
  if (devices.size() != tree.devices()) {
    return absl::InvalidArgumentError(absl::StrCat("the budget tree is made for ", tree.devices(),
                                                   " devices, the pool has ", devices.size()));
  }
  for (size_t i = 0; i < devices.size(); ++i) {
    CHECK_EQ(devices[i]->id(), i);
    RETURN_IF_ERROR(CheckDeviceCaps(*devices[i]));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<FleetPower>> FleetPower::Create(
    EventLoop* loop, BudgetTree tree, const std::vector<PowerControlledDevice*>& devices,
    FleetWork* work, const FleetPowerOptions& options) {
  RETURN_IF_ERROR(CheckPolicy(options.policy));
  RETURN_IF_ERROR(CheckDevices(tree, devices));
  if (options.budgets_set) {
    std::vector<Power> floors;
    for (const PowerControlledDevice* device : devices) {
      floors.push_back(device->MinCap());
    }
    RETURN_IF_ERROR(tree.CheckFloor(FirstLimits(tree, options), floors));
  }
  std::unique_ptr<FleetPower> fleet(new FleetPower(loop, std::move(tree), devices, work, options));
  if (options.budgets_set) {
    fleet->Turn(true);
  }
  return fleet;
}

FleetPower::FleetPower(EventLoop* loop, BudgetTree tree,
                       const std::vector<PowerControlledDevice*>& devices, FleetWork* work,
                       const FleetPowerOptions& options)
    : loop_(loop),
      tree_(std::move(tree)),
      work_(work),
      options_(options),
      limits_(FirstLimits(tree_, options)),
      book_(&tree_, limits_, CapsOf(devices)) {
  for (PowerControlledDevice* device : devices) {
    // The caps of the configuration stand as if the operator had set each.
    slots_.push_back({device, device->Cap()});
  }
  for (const BudgetNode& node : tree_.nodes()) {
    budgets_.push_back(options.budgets_set ? std::optional<Power>(node.cap) : std::nullopt);
  }
  book_.Advance(loop->Now());
  next_division_ = loop->Now();
  Replan(Views());
}

FleetPower::~FleetPower() {
  if (timer_) {
    loop_->Cancel(timer_);
  }
}

bool FleetPower::any_budget() const {
  return std::any_of(budgets_.begin(), budgets_.end(),
                     [](const std::optional<Power>& budget) { return budget.has_value(); });
}

std::vector<DevicePowerView> FleetPower::Views() const {
  std::vector<DevicePowerView> views;
  for (uint32_t i = 0; i < slots_.size(); ++i) {
    const Slot& slot = slots_[i];
    const PowerControlledDevice& device = *slot.device;
    DevicePowerView view;
    view.lost = book_.presence(i) != CapBook::Presence::kPresent;
    view.counted = book_.counted(i);
    if (slot.returning) {
      view.counted = std::max(view.counted, device.MinCap());  // the others make room
    }
    view.cap = book_.cap(i);
    view.max_cap = slot.ceiling;
    view.min_cap = device.MinCap();
    view.full_chunk_cap = std::min(device.FullChunkCap(), slot.ceiling);
    view.parked_power = device.ParkedPower();
    view.cap_delay = device.CapDelay();
    view.parkable = device.Parkable() && !view.lost;
    view.parked = slot.parked;
    view.draining = slot.closed && !slot.parked;
    if (!view.lost) {
      view.curve = device.Curve();
      view.load = work_->LoadOf(i);
    }
    views.push_back(std::move(view));
  }
  return views;
}

PowerEventInput FleetPower::InputOf(absl::Span<const DevicePowerView> views) const {
  return {&tree_, limits_, views, &options_.policy};
}

absl::StatusOr<PowerAnswer> FleetPower::DryRun(const PowerRequest& request) const {
  return PlanPowerEvent(InputOf(Views()), request);
}

absl::StatusOr<PowerAnswer> FleetPower::Set(const PowerRequest& request) {
  const std::vector<DevicePowerView> views = Views();
  absl::StatusOr<PowerAnswer> answer = PlanPowerEvent(InputOf(views), request);
  if (!answer.ok() || !answer->would_apply) {
    return answer;
  }
  const int node = answer->node_index;
  const TimePoint now = loop_->Now();
  budgets_[node] = answer->device_budget;
  limits_[node] = answer->usable;
  plan_ = answer->plan;
  steps_.erase(std::remove_if(steps_.begin(), steps_.end(),
                              [node](const Step& step) { return step.node == node; }),
               steps_.end());
  for (size_t i = 0; i < answer->stairs.size(); ++i) {
    const PowerStair& stair = answer->stairs[i];
    const bool last = i + 1 == answer->stairs.size();
    steps_.push_back({now + std::max(Duration(), stair.at - answer->lead), node,
                      last ? answer->usable : stair.limit});
  }
  std::stable_sort(steps_.begin(), steps_.end(),
                   [](const Step& a, const Step& b) { return a.when < b.when; });
  ApplyFates();
  Turn(true);
  return answer;
}

absl::StatusOr<DeviceCapAnswer> FleetPower::SetDeviceCap(uint32_t device, Power cap) {
  if (device >= slots_.size()) {
    return absl::NotFoundError(
        absl::StrCat("no device ", device, ", the pool has 0 to ", slots_.size() - 1));
  }
  const PowerControlledDevice& target = *slots_[device].device;
  if (cap < target.MinCap() || cap > target.MaxCap()) {
    return absl::InvalidArgumentError(
        absl::StrCat("a cap of ", PowerText(cap), " for device ", device, ": it takes ",
                     PowerText(target.MinCap()), " (one sequence at the lowest clock) to ",
                     PowerText(target.MaxCap())));
  }
  if (book_.presence(device) != CapBook::Presence::kPresent) {
    return absl::FailedPreconditionError(
        absl::StrCat("device ", device, slots_[device].removed ? " was removed" : " is lost"));
  }
  slots_[device].ceiling = cap;
  Turn(true);
  return DeviceCapAnswer{cap, book_.cap(device), book_.effective_at(device)};
}

void FleetPower::DemandMoved() {
  if (!any_budget()) {
    return;
  }
  const int64_t rate = SumOfRates(Views());
  const int64_t change = rate > divided_rate_ ? rate - divided_rate_ : divided_rate_ - rate;
  if (change > divided_rate_ / 10) {
    Turn(true);
  }
}

void FleetPower::DeviceEmpty(uint32_t device) {
  const Slot& slot = slots_[device];
  if (slot.fate != DeviceFate::kRun && slot.fate != DeviceFate::kLost && !slot.parked) {
    Turn(true);
  }
}

void FleetPower::DeviceLost(uint32_t device) {
  book_.Lose(device);
  slots_[device].returning = false;
}

void FleetPower::DeviceFenced(uint32_t device) {
  book_.Fence(device, slots_[device].device->OffPower());
  slots_[device].parked = slots_[device].returning = false;
  Turn(true);
}

void FleetPower::DeviceReturned(uint32_t device) {
  slots_[device].returning = true;
  Turn(true);
}

void FleetPower::Turn(bool divide) {
  const TimePoint now = loop_->Now();
  book_.Advance(now);
  divide |= std::exchange(divide_soon_, false);
  divide |= TakeDueSteps(now);
  divide |= ReturnOnes(now);
  ParkEmptyOnes(now);
  if (divide || (any_budget() && options_.rebalance > Duration() && now >= next_division_)) {
    const std::vector<DevicePowerView> views = Views();
    if (steps_.empty()) {
      Replan(views);
      ApplyFates();
      ParkEmptyOnes(now);
    }
    divided_rate_ = SumOfRates(views);
    next_division_ = now + options_.rebalance;
  }
  const std::vector<Power> targets = Targets(Views());
  Send(book_.Decreases(targets), now);
  // What holds at once makes room at once.
  if (ReturnOnes(now) && steps_.empty()) {
    Replan(Views());
    ApplyFates();
  }
  WakeOnes(now);
  Send(book_.Increases(Targets(Views())), now);
  Arm(now);
}

bool FleetPower::ReturnOnes(TimePoint now) {
  bool any = false;
  for (uint32_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    if (slot.returning && book_.Return(i, slot.device->MinCap())) {
      slot.returning = false;
      work_->Returned(i);
      slot.device->SetCap(now, book_.cap(i));
      any = true;
    }
  }
  return any;
}

bool FleetPower::TakeDueSteps(TimePoint now) {
  std::vector<Power> limits = book_.limits();
  size_t due = 0;
  for (; due < steps_.size() && steps_[due].when <= now; ++due) {
    limits[steps_[due].node] = steps_[due].limit;
  }
  if (due == 0) {
    return false;
  }
  steps_.erase(steps_.begin(), steps_.begin() + due);
  book_.SetLimits(limits);
  return true;
}

void FleetPower::Replan(absl::Span<const DevicePowerView> views) {
  plan_ = Descend({&tree_, limits_, views, &options_.policy, std::nullopt});
}

void FleetPower::ApplyFates() {
  for (uint32_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    const DeviceFate before = std::exchange(slot.fate, plan_.fates[i]);
    const bool sleeps = slot.fate != DeviceFate::kRun && slot.fate != DeviceFate::kLost;
    if (sleeps && !slot.closed) {
      slot.closed = true;
      work_->SetClosed(i, true);
    } else if (!sleeps && slot.closed && !slot.parked) {
      slot.closed = false;
      work_->SetClosed(i, false);
    }
    if (slot.fate == DeviceFate::kPreempt && before != DeviceFate::kPreempt) {
      work_->Preempt(i);
    }
  }
  work_->SetAdmissionClosed(plan_.admission_closed);
  work_->SetPrefillLimited(plan_.prefill_limited);
}

void FleetPower::ParkEmptyOnes(TimePoint now) {
  for (uint32_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    const bool sleeps = slot.fate != DeviceFate::kRun && slot.fate != DeviceFate::kLost;
    if (!sleeps || slot.parked || book_.presence(i) != CapBook::Presence::kPresent ||
        !work_->Idle(i)) {
      continue;
    }
    slot.parked = true;
    const TimePoint effective_at = slot.device->Park(now);
    book_.Commit({i, slot.device->ParkedPower()}, now, effective_at);
  }
}

std::vector<Power> FleetPower::Targets(absl::Span<const DevicePowerView> views) const {
  std::vector<WattDemand> demands;
  for (uint32_t i = 0; i < views.size(); ++i) {
    const DevicePowerView& view = views[i];
    const bool runs = slots_[i].fate == DeviceFate::kRun;
    // Draining work may use what is free; who is about to sleep needs no more than the least.
    const bool may_rise = runs || slots_[i].fate == DeviceFate::kDrain;
    Power floor = std::clamp(plan_.floors_meanwhile[i], view.min_cap, view.max_cap);
    if (view.parked && !runs) {
      floor = view.parked_power;
    } else if (view.lost) {
      floor = view.counted;
    }
    WattDemand demand = DemandOf(view, options_.policy, floor, plan_.rung > Rung::kClocks);
    if (!may_rise || view.lost || (view.parked && !runs)) {
      demand.max = demand.min;
    }
    demands.push_back(demand);
  }
  return DivideWatts(tree_, book_.limits(), demands);
}

void FleetPower::WakeOnes(TimePoint now) {
  std::vector<Power> targets;
  for (uint32_t i = 0; i < slots_.size(); ++i) {
    const bool wakes = slots_[i].parked && slots_[i].fate == DeviceFate::kRun;
    targets.push_back(wakes ? slots_[i].device->MinCap() : book_.cap(i));
  }
  for (const CapCommand& command : book_.Increases(targets)) {
    Slot& slot = slots_[command.device];
    if (command.cap < slot.device->MinCap()) {
      continue;  // not yet paid for in full
    }
    slot.device->Wake(now);
    slot.parked = false;
    slot.closed = false;
    Send({&command, 1}, now);
    work_->SetClosed(command.device, false);
  }
}

void FleetPower::Send(absl::Span<const CapCommand> commands, TimePoint now) {
  for (const CapCommand& command : commands) {
    if (slots_[command.device].parked) {
      continue;
    }
    const TimePoint effective_at = slots_[command.device].device->SetCap(now, command.cap);
    book_.Commit(command, now, effective_at);
  }
}

bool FleetPower::AnyWork() const {
  for (const Slot& slot : slots_) {
    if (!work_->Idle(slot.device->id())) {
      return true;
    }
  }
  return false;
}

void FleetPower::Arm(TimePoint now) {
  TimePoint next = TimePoint::Max();
  if (const std::optional<TimePoint> change = book_.NextChange()) {
    next = *change;
  }
  if (!steps_.empty()) {
    next = std::min(next, steps_.front().when);
  }
  // Without work nothing moves: DemandMoved() starts it again.
  if (divide_soon_) {
    next = std::min(next, now + Nanoseconds(1));
  } else if (any_budget() && options_.rebalance > Duration() && AnyWork()) {
    next = std::min(next, std::max(next_division_, now + Nanoseconds(1)));
  }
  if (timer_) {
    loop_->Cancel(timer_);
    timer_ = TimerId();
  }
  if (next < TimePoint::Max()) {
    timer_ = loop_->RunAt(next, EventClass::kControl, 0, [this] {
      timer_ = TimerId();
      Turn(false);
    });
  }
}

std::vector<NodePowerStatus> FleetPower::Nodes() const {
  std::vector<NodePowerStatus> nodes;
  for (size_t i = 0; i < tree_.nodes().size(); ++i) {
    const BudgetNode& node = tree_.nodes()[i];
    NodePowerStatus out;
    out.name = node.name;
    out.level = node.level;
    out.parent = node.parent;
    out.devices = static_cast<uint32_t>(node.devices.size());
    out.counted = book_.counted_sums()[i];
    if (budgets_[i]) {
      out.budget = budgets_[i];
      out.usable = limits_[i];
      out.in_force = book_.limits_in_force()[i];
    }
    nodes.push_back(std::move(out));
  }
  return nodes;
}

FleetPowerStatus FleetPower::Get() const {
  FleetPowerStatus status;
  status.now = loop_->Now();
  status.nodes = Nodes();
  const std::vector<DevicePowerView> views = Views();
  for (uint32_t i = 0; i < slots_.size(); ++i) {
    const Slot& slot = slots_[i];
    const DeviceFate fate = views[i].lost ? DeviceFate::kLost : slot.fate;
    const bool works = !slot.parked && !views[i].lost && !views[i].load.idle();
    status.devices.push_back({i, book_.cap(i), book_.counted(i), book_.effective_at(i),
                              slot.device->MinCap(), slot.device->MaxCap(), slot.ceiling, fate,
                              slot.parked, slot.removed, tree_.nodes()[tree_.HomeOf(i)].name,
                              works ? views[i].curve.RateAt(book_.cap(i)) : 0});
  }
  std::vector<Power> lowest;
  status.ladder = WholeLadder({&tree_, limits_, views, &options_.policy, std::nullopt}, &lowest);
  status.lowest = lowest[0];
  status.rung = plan_.rung;
  status.settled = book_.settled() && steps_.empty();
  for (const Step& step : steps_) {
    status.stairs.push_back({step.when - status.now, step.limit});
  }
  status.reserve_ppm = options_.policy.reserve_ppm;
  return status;
}

}  // namespace scoville::scheduler
