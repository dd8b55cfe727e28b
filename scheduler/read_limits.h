// Limits of classes and tenants as files and flags write them (scheduler/queue/queue_limits.h).
//
// Threading: pure functions. Errors: InvalidArgument that quotes what was read.
#ifndef SCOVILLE_SCHEDULER_READ_LIMITS_H_
#define SCOVILLE_SCHEDULER_READ_LIMITS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "scheduler/scheduler.h"

namespace scoville::scheduler {

// Each text begins with the name of a class.
absl::Status ReadClassLimits(absl::Span<const std::string> texts, SchedulerOptions* options);
// Each begins with the name of a tenant; one without a name is for every tenant that is not named.
absl::Status ReadTenantLimits(absl::Span<const std::string> texts, SchedulerOptions* options);

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_READ_LIMITS_H_
