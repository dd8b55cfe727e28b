#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/nearest_name.h"
#include "base/status_macros.h"
#include "scheduler/core/scale_pool.h"
#include "scheduler/power/budget_config.h"
#include "sim/scenario_sections.h"

namespace scoville::sim {

namespace {

absl::Status ReadBudget(const YamlMap& map, const Scenario& scenario,
                        scheduler::PowerRequest* budget) {
  RETURN_IF_ERROR(map.Read("node", &budget->node));
  if (!budget->node.empty()) {
    ASSIGN_OR_RETURN(
        const scheduler::BudgetTree tree,
        scheduler::MakeBudgetTree(scenario.scheduler.fleet,
                                  static_cast<uint32_t>(scenario.pool.devices), Power()));
    if (const auto found = tree.Find(budget->node); !found.ok()) {
      return map.Error("node", found.status().message());
    }
  }
  RETURN_IF_ERROR(map.Require("watts", &budget->watts));
  if (budget->watts <= Power()) {
    return map.Error("watts", "must be above 0 W");
  }
  Duration by;
  RETURN_IF_ERROR(ReadDuration(map, "by", &by));
  if (by > Duration()) {
    budget->by = by;
  }
  RETURN_IF_ERROR(map.Read("ramp_per_second", &budget->ramp_per_second));
  if (budget->ramp_per_second < Power()) {
    return map.Error("ramp_per_second", "must not be below 0 W");
  }
  return map.Read("best_effort", &budget->best_effort);
}

absl::Status ReadFault(const YamlMap& map, const Scenario& scenario, ScenarioEvent* event) {
  int64_t device = 0;
  RETURN_IF_ERROR(map.Require("device", &device));
  // Where the pool is scaled, whether the device is there is seen when the event comes.
  const bool scales =
      std::any_of(scenario.events.begin(), scenario.events.end(),
                  [](const ScenarioEvent& e) { return e.kind == EventKind::kScale; });
  if (device < 0 || device > UINT32_MAX || (device >= scenario.pool.devices && !scales)) {
    return map.Error("device", absl::StrCat("there is no device ", device, ", the pool has 0 to ",
                                            scenario.pool.devices - 1));
  }
  event->device = static_cast<uint32_t>(device);
  if (event->kind == EventKind::kSlowDevice) {
    RETURN_IF_ERROR(map.Read("percent", &event->percent, YamlIntRange{100, 100'000}));
  }
  if (event->kind == EventKind::kDrainDevice) {
    RETURN_IF_ERROR(map.Read("migrate", &event->migrate));
  }
  if (event->kind == EventKind::kLosePages) {
    int64_t first = 0;
    int64_t count = 1;
    RETURN_IF_ERROR(map.Read("first_page", &first, YamlIntRange{0, UINT32_MAX - 1}));
    RETURN_IF_ERROR(map.Read("pages", &count, YamlIntRange{1, 1'000'000}));
    if (scenario.pool.kv_blocks == 0 || first + count > scenario.pool.kv_blocks) {
      return map.Error("pages", "want pages below pool.kv_blocks, which must be given");
    }
    for (int64_t page = first; page < first + count; ++page) {
      event->pages.push_back(static_cast<uint32_t>(page));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadEvents(const YamlMap& root, Scenario* scenario) {
  const std::vector<std::string> kinds = {
      "cancel",      "drain",       "end_all",    "power_budget", "scale",        "kill_device",
      "hang_device", "slow_device", "lose_pages", "fence_device", "drain_device", "return_device"};
  std::vector<std::string> ids;
  for (const WrittenRequest& request : scenario->requests) {
    ids.push_back(request.id);
  }
  ASSIGN_OR_RETURN(const std::vector<YamlNode> events, root.List("events"));
  for (const YamlNode& node : events) {
    ASSIGN_OR_RETURN(const YamlMap map, node.AsMap());
    ScenarioEvent event;
    Duration at;
    size_t kind = 0;
    RETURN_IF_ERROR(map.Require("at", &at));
    RETURN_IF_ERROR(ReadDuration(map, "at", &at));
    RETURN_IF_ERROR(map.RequireChoice("do", kinds, &kind));
    event.at = TimePoint() + at;
    event.kind = static_cast<EventKind>(kind);
    if (event.kind == EventKind::kCancel) {
      RETURN_IF_ERROR(map.Require("request", &event.request));
      if (std::find(ids.begin(), ids.end(), event.request) == ids.end()) {
        return map.Error("request", absl::StrCat("no written request has this id",
                                                 DidYouMean(event.request, ids)));
      }
    }
    if (event.kind == EventKind::kPowerBudget) {
      RETURN_IF_ERROR(ReadBudget(map, *scenario, &event.budget));
    }
    if (event.kind == EventKind::kScale) {
      RETURN_IF_ERROR(
          map.Require("devices", &event.devices, YamlIntRange{1, scheduler::kMostDevices}));
      RETURN_IF_ERROR(map.Read("node", &event.node));
    }
    if (event.kind >= EventKind::kKillDevice) {
      RETURN_IF_ERROR(ReadFault(map, *scenario, &event));
    }
    scenario->events.push_back(std::move(event));
  }
  return absl::OkStatus();
}

}  // namespace scoville::sim
