// Whether a request may enter at all: every reason for which it never could, or should not now, as
// a value.
//
// Threading: pure functions. Errors: none.
#ifndef SCOVILLE_SCHEDULER_ADMISSION_H_
#define SCOVILLE_SCHEDULER_ADMISSION_H_

#include <cstdint>
#include <optional>

#include "base/units.h"
#include "scheduler/request.h"
#include "scheduler/scheduler.h"

namespace scoville::scheduler {

// What admission looks at besides the request.
struct AdmissionView {
  bool draining = false;
  bool class_closed = false;  // to keep a power budget
  bool device_ready = false;
  int64_t queued_requests = 0;
  int64_t queued_of_class = 0;   // requests of its class
  int64_t queued_of_tenant = 0;  // requests of its tenant
  int64_t queued_tokens = 0;
  int64_t largest_device_tokens = 0;  // KV capacity of the largest ready device
  Duration retry_after;               // when a place in the queue is likely to be free
  TimePoint now;
};

std::optional<Refusal> Admit(const Request& request, const SchedulerOptions& options,
                             const AdmissionView& view);

// Most tokens the sequence may have, prompt included. Precondition: Admit took it.
int64_t LastToken(const Request& request, const SchedulerOptions& options,
                  int64_t largest_device_tokens);

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_ADMISSION_H_
