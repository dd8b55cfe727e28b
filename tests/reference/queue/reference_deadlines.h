// Deadlines in plain loops over a sorted list, and the schedule itself: the oracles of
// DeadlineBook.
//
// Threading: one thread. Errors: none.
#ifndef SCOVILLE_TESTS_REFERENCE_QUEUE_REFERENCE_DEADLINES_H_
#define SCOVILLE_TESTS_REFERENCE_QUEUE_REFERENCE_DEADLINES_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "base/units.h"

namespace scoville::tests {

struct ReferenceJob {
  uint64_t id = 0;
  TimePoint deadline;
  int64_t work = 0;
};

// Slacks in ns x servers x share, share in 1 / 65536: exact. `jobs` in the order of service.
std::vector<__int128> ReferenceSlacks(absl::Span<const ReferenceJob> jobs, TimePoint now,
                                      int64_t servers, int64_t share, int64_t backlog);

// (deadline, id) order.
void SortByDeadline(std::vector<ReferenceJob>* jobs);

// When each job really ends if servers take them in this order, each as soon as it is free; server
// j is free at now + busy[j]. A job of work w takes w x stretch.
std::vector<TimePoint> ListSchedule(absl::Span<const ReferenceJob> jobs, TimePoint now,
                                    absl::Span<const int64_t> busy, int64_t stretch);

}  // namespace scoville::tests

#endif  // SCOVILLE_TESTS_REFERENCE_QUEUE_REFERENCE_DEADLINES_H_
