#include "scheduler/read_limits.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "scheduler/names.h"

namespace scoville::scheduler {

absl::Status ReadClassLimits(absl::Span<const std::string> texts, SchedulerOptions* options) {
  ASSIGN_OR_RETURN(const auto limits, ParseQueueLimits(texts));
  const std::vector<std::string> names = ServiceClassNames();
  for (const auto& [name, of_class] : limits) {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", name, "' is no class, the classes are ", absl::StrJoin(names, ", ")));
    }
    options->max_queued_by_class[static_cast<size_t>(found - names.begin())] = of_class;
  }
  return absl::OkStatus();
}

absl::Status ReadTenantLimits(absl::Span<const std::string> texts, SchedulerOptions* options) {
  ASSIGN_OR_RETURN(auto limits, ParseQueueLimits(texts));
  const auto unnamed = limits.find("");
  if (unnamed != limits.end()) {
    options->max_queued_by_tenant = unnamed->second;
    limits.erase(unnamed);
  }
  options->max_queued_of_tenant = std::move(limits);
  return absl::OkStatus();
}

}  // namespace scoville::scheduler
