#include "sim/conservation.h"

#include <algorithm>
#include <limits>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace scoville::sim {

namespace {

template <typename T>
absl::Status MustEqual(const std::string& what, const T& a, const T& b) {
  if (a == b) {
    return absl::OkStatus();
  }
  std::ostringstream os;
  os << what << ": " << a << " is not " << b;
  return absl::InternalError(os.str());
}

// Energy of requests, ended and live, beside that of the devices.
absl::Status CompareEnergy(const device::EnergyBuckets& attributed,
                           const device::EnergyBuckets& metered) {
  RETURN_IF_ERROR(
      MustEqual("prefill energy of requests and devices", attributed.prefill, metered.prefill));
  RETURN_IF_ERROR(
      MustEqual("decode energy of requests and devices", attributed.decode, metered.decode));
  return MustEqual("wasted energy of requests and devices", attributed.waste, metered.waste);
}

// What the live requests of one device add up to.
struct Residents {
  int32_t count = 0;
  bool paused = true;        // all of them
  bool delayed = false;      // by power
  int64_t least_blocks = 0;  // what one has computed must be in blocks, which others may share
  int64_t most_blocks = 0;   // no more than what is known needs
};

absl::Status CheckResidents(const std::string& name, const device::DeviceStatus& status,
                            const Residents& residents, int32_t running) {
  RETURN_IF_ERROR(
      MustEqual(name + ": requests placed on it and running", residents.count, running));
  if (status.kv_blocks_used < residents.least_blocks ||
      status.kv_blocks_used > residents.most_blocks) {
    return absl::InternalError(absl::StrCat(name, ": ", status.kv_blocks_used,
                                            " blocks are in use, its requests own ",
                                            residents.least_blocks, " to ", residents.most_blocks));
  }
  return absl::OkStatus();
}

// No budget: the limits of nodes without one are far above this.
constexpr Power kUnbounded = Power(INT64_MAX / 8);

bool IsBelow(const scheduler::FleetPowerStatus& fleet, uint32_t device, int node) {
  const std::string& home = fleet.devices[device].node;
  const auto named = [&](const scheduler::NodePowerStatus& n) { return n.name == home; };
  int at = static_cast<int>(std::find_if(fleet.nodes.begin(), fleet.nodes.end(), named) -
                            fleet.nodes.begin());
  while (at >= 0 && at != node) {
    at = fleet.nodes[static_cast<size_t>(at)].parent;
  }
  return at == node;
}

// What all devices below a node drew together, piece by piece.
std::vector<device::TracePiece> SumOfTraces(const std::vector<device::Device*>& devices,
                                            const std::vector<Duration>& born,
                                            const scheduler::FleetPowerStatus& fleet, int node) {
  std::vector<std::pair<TimePoint, Power>> steps;
  for (const device::Device* device : devices) {
    if (!IsBelow(fleet, device->id().value, node)) {
      continue;
    }
    for (const device::TracePiece& piece : device->power().trace()) {
      const TimePoint start = piece.start + born[device->id().value];
      steps.emplace_back(start, piece.power);
      steps.emplace_back(start + piece.duration, Power() - piece.power);
    }
  }
  std::sort(steps.begin(), steps.end());
  std::vector<device::TracePiece> sum;
  Power power;
  for (size_t i = 0; i < steps.size(); ++i) {
    power += steps[i].second;
    if (i + 1 < steps.size() && steps[i + 1].first > steps[i].first) {
      sum.push_back({steps[i].first, steps[i + 1].first - steps[i].first, power});
    }
  }
  return sum;
}

}  // namespace

absl::Status CheckRunning(const std::vector<device::Device*>& devices,
                          const scheduler::Scheduler& scheduler, const RunObserver& records,
                          Duration to_next_event) {
  scheduler.CheckInvariants();
  const scheduler::PoolStatus pool = scheduler.Status();
  std::vector<Residents> residents(devices.size());
  device::EnergyBuckets attributed = records.ended_energy;
  int64_t queued = 0;
  int64_t placeable = 0;  // for which a device is looked for
  for (const scheduler::RequestStatus& request :
       scheduler.Requests(std::numeric_limits<int64_t>::max())) {
    attributed.prefill += request.record.prefill_energy;
    attributed.decode += request.record.decode_energy;
    attributed.waste += request.record.waste_energy;
    if (request.phase == scheduler::Phase::kQueued) {
      ++queued;
      placeable += request.wait == scheduler::WaitReason::kKv ||
                           request.wait == scheduler::WaitReason::kSlots ||
                           request.wait == scheduler::WaitReason::kOrder
                       ? 1
                       : 0;
      continue;
    }
    if (request.moving_from) {
      const device::BlockPool& kv = devices[request.moving_from->value]->kv();
      residents[request.moving_from->value].most_blocks +=
          kv.BlocksFor(request.record.prompt_tokens + request.record.output_tokens);
    }
    Residents& r = residents[request.record.device.value];
    const device::BlockPool& kv = devices[request.record.device.value]->kv();
    r.count += 1;
    r.delayed = r.delayed || request.wait == scheduler::WaitReason::kPower;
    r.paused = r.paused && (request.wait == scheduler::WaitReason::kClient ||
                            request.wait == scheduler::WaitReason::kTransfer ||
                            request.wait == scheduler::WaitReason::kMask);
    r.least_blocks = std::max(r.least_blocks, kv.BlocksFor(request.computed_tokens));
    r.most_blocks += kv.BlocksFor(request.record.prompt_tokens + request.record.output_tokens);
  }
  RETURN_IF_ERROR(MustEqual("requests queued and waiting", queued, pool.waiting));
  device::EnergyBuckets metered;
  const bool instant_over = to_next_event > Nanoseconds(1);
  for (size_t i = 0; i < devices.size(); ++i) {
    const device::DeviceStatus& status = pool.devices[i];
    const std::string name = absl::StrCat("device ", status.id.value);
    const bool takes_work =
        pool.health[i].state == device::DeviceState::kReady && !pool.health[i].closed;
    metered += status.energy;
    if (status.state == device::DeviceState::kRemoved) {
      continue;
    }
    RETURN_IF_ERROR(CheckResidents(name, status, residents[i], pool.running[i]));
    if (instant_over && !status.busy && !residents[i].paused && !residents[i].delayed) {
      return absl::InternalError(name + " is idle beside a request that it runs");
    }
    if (instant_over && residents[i].count == 0 && placeable > 0 && takes_work &&
        devices[i]->kv().bad_blocks() == 0) {
      return absl::InternalError(
          absl::StrCat(name, " is empty while ", placeable, " requests wait"));
    }
  }
  const scheduler::Liveness liveness = scheduler.CheckLiveness();
  if (instant_over && !liveness.stuck.empty()) {
    return absl::InternalError(liveness.stuck.front());
  }
  return CompareEnergy(attributed, metered);
}

absl::Status CheckDevices(const std::vector<device::Device*>& devices) {
  for (device::Device* device : devices) {
    const device::DeviceStatus status = device->Status();
    const std::string name = absl::StrCat("device ", status.id.value);
    RETURN_IF_ERROR(MustEqual(name + ": energy by bucket and by term", status.energy.total(),
                              status.terms.total()));
    RETURN_IF_ERROR(
        MustEqual(name + ": stall times and busy time", status.stalls.total(), status.busy_time));
    device->kv().CheckInvariants();
  }
  return absl::OkStatus();
}

absl::Status CheckCaps(const std::vector<device::Device*>& devices, Duration window) {
  for (const device::Device* device : devices) {
    if (device->power().trace().empty()) {
      continue;  // nothing happened
    }
    const device::WindowExcess worst =
        device::WorstWindow(device->power().trace(), device->power().trace_caps(), window);
    if (worst.picojoules > 0) {
      return absl::InternalError(absl::StrCat("device ", device->id().value, ": the window of ",
                                              ToSeconds(window), " s that ends at ", worst.end.ns(),
                                              " ns draws ", worst.watts(), " W above its cap"));
    }
  }
  return absl::OkStatus();
}

void NodeLimits::Note(const scheduler::FleetPower& fleet, TimePoint now) {
  const std::vector<Power>& limits = fleet.book().limits_in_force();
  nodes_.resize(limits.size());
  for (size_t i = 0; i < limits.size(); ++i) {
    std::vector<device::TraceCap>& caps = nodes_[i];
    if (caps.empty() || caps.back().cap != limits[i]) {
      caps.push_back({now, limits[i]});
    }
  }
}

absl::Status CheckNodes(const std::vector<device::Device*>& devices,
                        const std::vector<Duration>& born, const scheduler::FleetPowerStatus& fleet,
                        const NodeLimits& limits, Duration window) {
  for (size_t i = 0; i < fleet.nodes.size(); ++i) {
    const std::vector<device::TraceCap>& caps = limits.nodes()[i];
    const auto bounded = [](const device::TraceCap& c) { return c.cap < kUnbounded; };
    if (std::none_of(caps.begin(), caps.end(), bounded)) {
      continue;  // never a budget
    }
    const std::vector<device::TracePiece> trace =
        SumOfTraces(devices, born, fleet, static_cast<int>(i));
    if (trace.empty()) {
      continue;  // nothing happened
    }
    const device::WindowExcess worst = device::WorstWindow(trace, caps, window);
    if (worst.picojoules > 0) {
      return absl::InternalError(absl::StrCat(scheduler::BudgetLevelName(fleet.nodes[i].level),
                                              " '", fleet.nodes[i].name, "': the window of ",
                                              ToSeconds(window), " s that ends at ", worst.end.ns(),
                                              " ns draws ", worst.watts(), " W above its limit"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckConservation(const SimulationResult& result,
                               const scheduler::Scheduler& scheduler) {
  for (const scheduler::RequestStatus& left : scheduler.Requests(1)) {
    const scheduler::Liveness liveness = scheduler.CheckLiveness();
    return absl::InternalError(absl::StrCat(
        "nothing more will happen, and request ", left.record.id.value, " is still live in phase ",
        static_cast<int>(left.phase), " for reason ", static_cast<int>(left.wait), ": ",
        left.detail, liveness.stuck.empty() ? "" : "; ",
        liveness.stuck.empty() ? "" : liveness.stuck.front()));
  }
  device::EnergyBuckets metered;
  for (const device::DeviceStatus& status : result.devices) {
    metered += status.energy;
    if (status.kv_blocks_used != 0) {
      return absl::InternalError(absl::StrCat("device ", status.id.value, " still has ",
                                              status.kv_blocks_used,
                                              " KV blocks in use after the last request"));
    }
  }
  device::EnergyBuckets attributed;
  std::vector<uint64_t> ids;
  __int128 sojourns = 0;
  for (const scheduler::RequestRecord& record : result.records.requests) {
    sojourns += (record.end - record.arrival).value();
    attributed.prefill += record.prefill_energy;
    attributed.decode += record.decode_energy;
    attributed.waste += record.waste_energy;
    ids.push_back(record.id.value);
  }
  RETURN_IF_ERROR(CompareEnergy(attributed, metered));
  std::sort(ids.begin(), ids.end());
  if (std::adjacent_find(ids.begin(), ids.end()) != ids.end()) {
    return absl::InternalError("a request ended twice");
  }
  RETURN_IF_ERROR(MustEqual("requests admitted and ended", result.records.admitted,
                            static_cast<int64_t>(ids.size())));
  if (sojourns != result.request_ns) {
    return absl::InternalError(
        "the requests' times from arrival to end are not those that passed on the clock");
  }
  int64_t refused = 0;
  for (int64_t count : result.records.refusals) {
    refused += count;
  }
  RETURN_IF_ERROR(MustEqual("requests offered, and admitted or refused", result.offered,
                            result.records.admitted + refused));
  return absl::OkStatus();
}

}  // namespace scoville::sim
