// Budgets as a configuration writes them: nodes in YAML, the tree they make over a pool, and
// whether the pool can live under them. The daemon and the simulator read the same shape:
//
//   pool:
//     budgets:
//       - {name: rack-a, level: rack, cap: 900W, devices: [0, 1, 2-3]}
//       - {name: rack-b, level: rack, cap: 600W, devices: [4-7]}
//       - {name: row-1, level: row, cap: 1300W, children: [rack-a, rack-b]}
//
// Nodes that nobody has as a child hang on the root, `fleet`: the node of level fleet if one is
// written, else one that is added, with options.budget or the sum of the caps below it. With a node
// of level fleet the smaller of its cap and options.budget counts.
//
// Units: watts of devices. Ownership: plain values. Threading: pure functions. Errors:
// InvalidArgument for what is not a tree over all devices, FailedPrecondition for caps that are
// below what the devices need; both in front with file:line:column of the node that is wrong.
#ifndef SCOVILLE_SCHEDULER_POWER_BUDGET_CONFIG_H_
#define SCOVILLE_SCHEDULER_POWER_BUDGET_CONFIG_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/units.h"
#include "base/yaml_reader.h"
#include "scheduler/power/budget_tree.h"
#include "scheduler/power/fleet_power.h"

namespace scoville::scheduler {

// The list under `budgets` in `pool`; an absent one is empty. Every key that may be written has
// been asked for, whatever is returned.
absl::StatusOr<std::vector<BudgetNodeSpec>> ReadBudgets(const YamlMap& pool);
// As such a list is written, in one line.
std::string WriteBudgets(absl::Span<const BudgetNodeSpec> nodes);

// Whether a pool with these options starts under a budget.
bool HasBudgets(const FleetPowerOptions& options);
// `unlimited` stands at the only node where there is no budget.
absl::StatusOr<BudgetTree> MakeBudgetTree(const FleetPowerOptions& options, uint32_t devices,
                                          Power unlimited);
// Whether a pool can start so; `floors` are the least caps of its devices, in order. To be asked
// before a scheduler is made.
absl::Status CheckFleetPower(const FleetPowerOptions& options, absl::Span<const Power> floors);

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_POWER_BUDGET_CONFIG_H_
