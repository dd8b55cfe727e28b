// The planner's rules in plain loops: every sum is made anew each time it is asked for, and whoever
// may go is looked for in a list of all. The oracle of PlanStep.
//
// Threading: none. Errors: the caller keeps the preconditions of PlanStep.
#ifndef SCOVILLE_TESTS_REFERENCE_PLANNER_REFERENCE_PLANNER_H_
#define SCOVILLE_TESTS_REFERENCE_PLANNER_REFERENCE_PLANNER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "scheduler/planning/planner.h"

namespace scoville::tests {

// The plan that the words of planner.h describe.
scheduler::StepPlan ReferencePlan(const std::vector<scheduler::RowView>& rows,
                                  const scheduler::PlanLimits& limits);

// What must hold of any plan whatever made it: budgets, blocks, rank order, the first row advances,
// victims stand below somebody who needs them or have readers that are behind, none goes in vain.
// Empty if all does, else what does not.
std::string FaultOf(const std::vector<scheduler::RowView>& rows,
                    const scheduler::PlanLimits& limits, const scheduler::StepPlan& plan);

// Where row `needy` alone needs blocks and may preempt: the least tokens that have to be computed
// again if one sequence goes for it, none of the others; -1: one is not enough, or none may go. By
// trying all.
int64_t LeastSingleCost(const std::vector<scheduler::RowView>& rows,
                        const scheduler::PlanLimits& limits, int32_t needy);

// Whether the blocks do for row `needy` if some set of those that may go for it does, by trying all
// sets.
bool SomeSetIsEnough(const std::vector<scheduler::RowView>& rows,
                     const scheduler::PlanLimits& limits, int32_t needy);

}  // namespace scoville::tests

#endif  // SCOVILLE_TESTS_REFERENCE_PLANNER_REFERENCE_PLANNER_H_
