#include "sim/conservation.h"

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

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

}  // namespace

absl::Status CheckDevices(const std::vector<device::Device*>& devices) {
  for (device::Device* device : devices) {
    const device::DeviceStatus status = device->Status();
    const std::string name = absl::StrCat("device ", status.id.value);
    if (absl::Status s = MustEqual(name + ": energy by bucket and by term", status.energy.total(),
                                   status.terms.total());
        !s.ok()) {
      return s;
    }
    if (absl::Status s = MustEqual(name + ": stall times and busy time", status.stalls.total(),
                                   status.busy_time);
        !s.ok()) {
      return s;
    }
    device->kv().CheckInvariants();
  }
  return absl::OkStatus();
}

absl::Status CheckConservation(const SimulationResult& result,
                               const scheduler::Scheduler& scheduler) {
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
  for (const scheduler::RequestRecord& record : result.records.requests) {
    attributed.prefill += record.prefill_energy;
    attributed.decode += record.decode_energy;
    attributed.waste += record.waste_energy;
    ids.push_back(record.id.value);
  }
  if (absl::Status s =
          MustEqual("prefill energy of requests and devices", attributed.prefill, metered.prefill);
      !s.ok()) {
    return s;
  }
  if (absl::Status s =
          MustEqual("decode energy of requests and devices", attributed.decode, metered.decode);
      !s.ok()) {
    return s;
  }
  if (absl::Status s =
          MustEqual("wasted energy of requests and devices", attributed.waste, metered.waste);
      !s.ok()) {
    return s;
  }
  std::sort(ids.begin(), ids.end());
  if (std::adjacent_find(ids.begin(), ids.end()) != ids.end()) {
    return absl::InternalError("a request ended twice");
  }
  if (absl::Status s = MustEqual("requests admitted and ended", result.records.admitted,
                                 static_cast<int64_t>(ids.size()));
      !s.ok()) {
    return s;
  }
  int64_t refused = 0;
  for (int64_t count : result.records.refusals) {
    refused += count;
  }
  if (absl::Status s = MustEqual("requests offered, and admitted or refused", result.offered,
                                 result.records.admitted + refused);
      !s.ok()) {
    return s;
  }
  if (!scheduler.idle()) {
    return absl::InternalError("the run ended with requests still live");
  }
  return absl::OkStatus();
}

}  // namespace scoville::sim
