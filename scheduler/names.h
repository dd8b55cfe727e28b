// The names of what the core reports: label values of metrics, keys of reports, one table for all.
//
// They are part of the interface: dashboards, rules and scripts name them. Where an outcome or a
// refusal reaches a client as an error, its name is that error's reason in lower case.
//
// Threading: pure functions. Errors: none.
#ifndef SCOVILLE_SCHEDULER_NAMES_H_
#define SCOVILLE_SCHEDULER_NAMES_H_

#include <string>
#include <vector>

#include "scheduler/request.h"

namespace scoville::scheduler {

const char* OutcomeName(Outcome outcome);
const char* RefusalReasonName(RefusalReason reason);
const char* ServiceClassName(ServiceClass service_class);

// As files and flags write them, in the order of the values.
std::vector<std::string> ServiceClassNames();
std::vector<std::string> JoinPolicyNames();
std::vector<std::string> VictimPolicyNames();
std::vector<std::string> CostUnitNames();

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_NAMES_H_
