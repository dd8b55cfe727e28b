// Devices that join the budget and leave it.
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "scheduler/power/fleet_power.h"

namespace scoville::scheduler {

absl::Status CheckDeviceCaps(const PowerControlledDevice& d) {
  if (d.MinCap() <= Power() || d.MinCap() > d.FullChunkCap() || d.FullChunkCap() > d.MaxCap() ||
      d.Cap() < d.MinCap() || d.Cap() > d.MaxCap() || d.ParkedPower() < Power() ||
      d.CapDelay() < Duration()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "device ", d.id(), " has caps that contradict each other: least ", PowerText(d.MinCap()),
        ", for a full prefill chunk ", PowerText(d.FullChunkCap()), ", largest ",
        PowerText(d.MaxCap()), ", now ", PowerText(d.Cap())));
  }
  return absl::OkStatus();
}

absl::StatusOr<int> FleetPower::NodeFor(absl::string_view name) const {
  if (!name.empty()) {
    return tree_.Find(name);
  }
  if (tree_.nodes().size() == 1) {
    return 0;
  }
  std::vector<std::string> names;
  for (const BudgetNode& node : tree_.nodes()) {
    names.push_back(node.name);
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "the power budget of this pool has ", names.size(),
      " nodes: say on which of them a new device hangs, one of ", absl::StrJoin(names, ", ")));
}

absl::Status FleetPower::CanAdd(absl::Span<PowerControlledDevice* const> devices,
                                absl::string_view node) const {
  ASSIGN_OR_RETURN(const int home, NodeFor(node));
  if (slots_.size() + devices.size() > BudgetTree::kMaxDevices) {
    return absl::FailedPreconditionError(absl::StrCat("the pool has numbered ", slots_.size(),
                                                      " devices, those it has had included; ",
                                                      "the limit is ", BudgetTree::kMaxDevices));
  }
  BudgetTree tree = tree_;
  std::vector<Power> floors;
  for (const Slot& slot : slots_) {
    floors.push_back(slot.removed ? Power() : slot.device->MinCap());
  }
  for (const PowerControlledDevice* device : devices) {
    CHECK_EQ(device->id(), floors.size());
    RETURN_IF_ERROR(CheckDeviceCaps(*device));
    tree.AddDevice(home);
    floors.push_back(device->MinCap());
  }
  return tree.CheckFloor(limits_, floors);
}

void FleetPower::Add(absl::Span<PowerControlledDevice* const> devices, absl::string_view node) {
  const int home = *NodeFor(node);
  const TimePoint now = loop_->Now();
  book_.Advance(now);
  for (PowerControlledDevice* device : devices) {
    const uint32_t index = static_cast<uint32_t>(slots_.size());
    CHECK_EQ(device->id(), index);
    tree_.AddDevice(home);
    slots_.push_back({device, device->Cap()});
    if (device->Cap() <= book_.RoomAt(home)) {
      book_.Add(device->Cap());
      continue;
    }
    Slot& slot = slots_.back();
    slot.parked = true;
    slot.closed = true;
    device->Park(now);
    book_.Add(device->ParkedPower());
    work_->SetClosed(index, true);
  }
  Replan(Views());
  ApplyFates();
  Turn(true);
}

void FleetPower::Remove(uint32_t device) {
  Slot& slot = slots_[device];
  book_.Fence(device, Power());
  tree_.RemoveDevice(device);
  slot.removed = true;
  slot.parked = slot.closed = slot.returning = false;
  // Once for all that leave at this instant: a turn looks at every device there is.
  divide_soon_ = true;
  Arm(loop_->Now());
}

}  // namespace scoville::scheduler
