// Who goes first: the one order of all requests of a scheduler.
//
// Threading: values. Errors: none.
#ifndef SCOVILLE_SCHEDULER_QUEUE_RANK_KEY_H_
#define SCOVILLE_SCHEDULER_QUEUE_RANK_KEY_H_

#include <compare>
#include <cstdint>
#include <ostream>

#include "base/units.h"

namespace scoville::scheduler {

// Smaller is served first and preempted last. Fixed when the request is first taken, but for
// pinning and for ageing while it waits. The id makes the order total.
struct RankKey {
  uint8_t service_class = 0;  // a ServiceClass, after ageing
  bool not_pinned = true;     // pinned requests go first in their class
  int64_t tag = 0;            // virtual start time of its tenant, in cost units at weight 1
  bool late = false;          // was taken when its first token could no longer be in time
  TimePoint due;              // of QueuePolicy::kEdf; zero for kFcfs
  uint64_t id = 0;

  friend auto operator<=>(const RankKey&, const RankKey&) = default;
  friend std::ostream& operator<<(std::ostream& os, const RankKey& key) {
    return os << "{class " << int{key.service_class} << (key.not_pinned ? "" : " pinned") << " tag "
              << key.tag << (key.late ? " late" : "") << " due " << key.due << " request " << key.id
              << "}";
  }
};

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_QUEUE_RANK_KEY_H_
