// The seam between the core and the world: what time it is, and being called later.
//
// The daemon's loop sleeps until the next due time, the simulator's jumps to it; everything above
// this interface is the same object code. Events at one instant run in the order (class, id,
// sequence within the id), never in the order of insertion across ids, so that two runs with equal
// inputs are equal.
//
// Units: TimePoint, nanoseconds since engine start. Now() is constant while a callback runs.
// Ownership: the loop owns pending callbacks; a callback must not outlive what it captures (cancel
// it first). Threading: engine thread only. Errors: scheduling into the past, or at the current
// instant in a class that is not higher than the running one, is a CHECK failure: it is what
// guarantees that every instant ends.
#ifndef SCOVILLE_BASE_EVENT_LOOP_H_
#define SCOVILLE_BASE_EVENT_LOOP_H_

#include <cstdint>

#include "absl/functional/any_invocable.h"
#include "base/units.h"

namespace scoville {

// What an event is about; at equal times lower classes run first. Work done at t counts although
// the device dies at t; a cancel at t follows the token of t; a plan sees all of t.
enum class EventClass : uint8_t {
  kHostResult = 0,
  kStepEnd = 1,
  kTransferEnd = 2,
  kFault = 3,
  kPhysics = 4,
  kCommand = 5,
  kCancel = 6,
  kTimer = 7,
  kArrival = 8,
  kPlan = 9,
  kSample = 10,
  kControl = 11,
  kEnd = 12,
};

// Names a pending event; stale after it ran or was cancelled. A default-constructed one names
// nothing.
struct TimerId {
  uint32_t slot = 0;
  uint32_t generation = 0;

  explicit operator bool() const { return generation != 0; }
};

using EventCallback = absl::AnyInvocable<void()>;

class EventLoop {
 public:
  virtual ~EventLoop() = default;

  virtual TimePoint Now() const = 0;

  // Runs `callback` at `when` (>= Now()). `id` is the stable id of the entity concerned (request,
  // device): it orders events of one class at one instant.
  virtual TimerId RunAt(TimePoint when, EventClass event_class, uint64_t id,
                        EventCallback callback) = 0;

  // True if the event was pending and will now never run.
  virtual bool Cancel(TimerId timer) = 0;
};

}  // namespace scoville

#endif  // SCOVILLE_BASE_EVENT_LOOP_H_
