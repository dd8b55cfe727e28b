// Strong ids of the things the core talks about. Ids come from the input (submission order,
// configuration order), never from an address or a clock.
#ifndef SCOVILLE_BASE_IDS_H_
#define SCOVILLE_BASE_IDS_H_

#include <compare>
#include <cstdint>
#include <ostream>

namespace scoville {

// A request: 1, 2, … in the order of submission to one engine. 0 names none.
struct RequestId {
  uint64_t value = 0;
  friend auto operator<=>(RequestId, RequestId) = default;
  friend std::ostream& operator<<(std::ostream& os, RequestId id) {
    return os << "request " << id.value;
  }
};

// A device: its index in the pool.
struct DeviceId {
  uint32_t value = 0;
  friend auto operator<=>(DeviceId, DeviceId) = default;
  friend std::ostream& operator<<(std::ostream& os, DeviceId id) {
    return os << "device " << id.value;
  }
};

}  // namespace scoville

#endif  // SCOVILLE_BASE_IDS_H_
