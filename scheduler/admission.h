// Whether a request may enter at all: every reason for which it never could, or should not now, as
// a value.
//
// Threading: pure functions. Errors: none.
#ifndef SCOVILLE_SCHEDULER_ADMISSION_H_
#define SCOVILLE_SCHEDULER_ADMISSION_H_

#include <cstdint>
#include <optional>

#include "base/units.h"
#include "scheduler/forecast/drain_rate.h"
#include "scheduler/request.h"
#include "scheduler/scheduler.h"

namespace scoville::scheduler {

// What admission looks at besides the request.
struct AdmissionView {
  bool draining = false;
  bool class_closed = false;  // to keep a power budget
  bool device_ready = false;
  QueueLoad queued;
  QueueLoad queued_of_class;
  QueueLoad queued_of_tenant;
  Duration work;        // predicted device time of the request, if a limit of time is set
  int64_t devices = 1;  // that share such work
  int64_t largest_device_tokens = 0;  // KV capacity of the largest ready device
  // How fast requests end, and whose answer it is: when there is likely to be room. nullptr:
  // unknown.
  const DrainRate* ends = nullptr;
  uint64_t id = 0;
  TimePoint now;
};

// What the request adds to the load that waits.
QueueLoad LoadOf(const Request& request, const AdmissionView& view);

// True if some limit is one of time.
bool LimitsTime(const SchedulerOptions& options);

std::optional<Refusal> Admit(const Request& request, const SchedulerOptions& options,
                             const AdmissionView& view);

// Most tokens the sequence may have, prompt included. Precondition: Admit took it.
int64_t LastToken(const Request& request, const SchedulerOptions& options,
                  int64_t largest_device_tokens);

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_ADMISSION_H_
