// The scheduler's policies as configuration keys, and what they come to.
//
// Ownership: rows borrow the ServerConfig. Threading: one thread. Errors: of a weight, by its
// text.
#ifndef SCOVILLE_SERVER_CONFIG_SCHEDULER_SETTINGS_H_
#define SCOVILLE_SERVER_CONFIG_SCHEDULER_SETTINGS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "scheduler/scheduler.h"
#include "server/config/config.h"
#include "server/config/settings.h"

namespace scoville::server {

void BindScheduler(ServerConfig* config, std::vector<Setting>* settings);

// Tenant to weight, in the scheduler's unit, from "tenant=2.5".
absl::StatusOr<std::map<std::string, int64_t>> ParseWeights(absl::Span<const std::string> texts);

// The limits, policies and budgets of a configuration that was loaded, hence checked.
scheduler::SchedulerOptions SchedulerOptionsFor(const ServerConfig& config);

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_CONFIG_SCHEDULER_SETTINGS_H_
