// Makes a planned step fit its latency targets and its device's power cap.
//
// The plan is what the rows want; the device says what it would cost. A step whose decodes would
// come too late computes less of the prompts; a step that no cap ever admits is made smaller until
// one does: first half of the prompts' tokens, then no prompts beside decodes, then half of the
// decodes in turns.
//
// Units: engine time, tokens. Ownership: borrows all for the call. Threading: engine thread only.
// Errors: none; a device's least cap always admits a single token.
#ifndef SCOVILLE_SCHEDULER_PLANNING_STEP_FITTING_H_
#define SCOVILLE_SCHEDULER_PLANNING_STEP_FITTING_H_

#include <vector>

#include "absl/types/span.h"
#include "base/units.h"
#include "device/device.h"
#include "scheduler/core/live_request.h"
#include "scheduler/forecast/output_lengths.h"
#include "scheduler/planning/planner.h"
#include "scheduler/scheduler.h"

namespace scoville::scheduler {

struct FittedStep {
  StepPlan plan;
  device::StepOffer offer;  // kBegin or kWait; meaningful if the plan has rows
};

// `running` in rank order, as `limits` and the plan see them.
FittedStep FitStep(device::Device* device, absl::Span<LiveRequest* const> running,
                   PlanLimits limits, const SchedulerOptions& options, const OutputLengths& lengths,
                   TimePoint now);

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_PLANNING_STEP_FITTING_H_
