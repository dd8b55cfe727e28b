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
  const TimePoint progress(progress_.load());
  const TimePoint turn(turn_.load());
  if (turn - progress > progress_within_) {
    return absl::StrFormat("requests run, but no step has ended for %.1f s",
                           ToSeconds(turn - progress));
  }
  return "";
}

}  // namespace scoville::server
