// Where the daemon stands between its start and its end, and whether its engine makes progress.
//
// Ready: new requests are welcome (weights loaded, a step ran, not draining). Live: the engine's
// loop turned a moment ago; overload and draining never fail it. Progressing: while requests run,
// steps end.
//
// Units: engine time. Ownership: borrowed by whoever answers probes. Threading: any thread.
// Errors: none.
#ifndef SCOVILLE_SERVER_HTTP_SERVING_STATE_H_
#define SCOVILLE_SERVER_HTTP_SERVING_STATE_H_

#include <atomic>
#include <cstdint>
#include <string>

#include "base/units.h"

namespace scoville::server {

enum class ServingPhase : uint8_t {
  kStarting,
  kReady,
  kLameduck,  // not ready, still accepting
  kDraining,  // refusing, finishing what runs
};

class ServingState {
 public:
  static constexpr Duration kLiveWithin = Seconds(5);

  // `progress_within` must be longer than the longest step, lag of the host included.
  explicit ServingState(Duration progress_within = Seconds(10))
      : progress_within_(progress_within) {}

  ServingPhase phase() const { return phase_.load(); }
  void set_phase(ServingPhase phase) { phase_.store(phase); }
  bool draining() const {
    return phase() == ServingPhase::kLameduck || phase() == ServingPhase::kDraining;
  }

  // What the engine said of itself at its last report: called about once a second.
  void Report(TimePoint now, int64_t running, int64_t steps) {
    if (running == 0 || steps != steps_.load()) {
      progress_.store(now.ns());
    }
    steps_.store(steps);
    turn_.store(now.ns());
  }

  // Empty if so, else what is wrong. `now` and `last_turn` are the engine's.
  std::string NotLive(TimePoint now, TimePoint last_turn) const;
  std::string NotReady(TimePoint now, TimePoint last_turn) const;

 private:
  const Duration progress_within_;

  std::atomic<ServingPhase> phase_{ServingPhase::kStarting};
  std::atomic<int64_t> steps_{0};
  std::atomic<int64_t> progress_{0};  // engine time when a step had ended, or nothing ran
  std::atomic<int64_t> turn_{0};      // engine time of the last report
};

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_HTTP_SERVING_STATE_H_
