#include "server/http/serving_state.h"

#include "absl/strings/str_format.h"

namespace scoville::server {

std::string ServingState::NotLive(TimePoint now, TimePoint last_turn) const {
  const Duration since = now - last_turn;
  if (since > kLiveWithin) {
    return absl::StrFormat("the engine's loop has not turned for %.1f s", ToSeconds(since));
  }
  return "";
}

std::string ServingState::NotReady(TimePoint now, TimePoint last_turn) const {
  switch (phase()) {
    case ServingPhase::kStarting:
      return "starting";
    case ServingPhase::kLameduck:
    case ServingPhase::kDraining:
      return "draining";
    case ServingPhase::kReady:
      break;
  }
  if (std::string what = NotLive(now, last_turn); !what.empty()) {
    return what;
  }
  MutexLock lock(&mutex_);
  if (!last_.no_device.empty()) {
    return last_.no_device;
  }
  if (last_.now - progress_ > progress_within_) {
    return absl::StrFormat("requests run, but no step has ended for %.1f s",
                           ToSeconds(last_.now - progress_));
  }
  if (last_.now - not_stuck_at_ > progress_within_) {
    return absl::StrFormat("stuck for %.1f s: %s", ToSeconds(last_.now - not_stuck_at_),
                           last_.stuck);
  }
  return "";
}

void ServingState::Report(const EngineReport& report) {
  MutexLock lock(&mutex_);
  if (report.running == 0 || report.steps != last_.steps) {
    progress_ = report.now;
  }
  if (report.stuck.empty()) {
    not_stuck_at_ = report.now;
  }
  last_ = report;
}

}  // namespace scoville::server
