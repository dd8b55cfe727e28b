// Where the daemon stands between its start and its end, and whether its engine makes progress.
//
// Ready: new requests are welcome (weights loaded, a step ran, not draining). Live: the engine's
// loop turned a moment ago; overload and draining never fail it. Progressing: while requests run,
// steps end, and nothing waits for what will never come.
//
// Units: engine time. Ownership: borrowed by whoever answers probes. Threading: any thread.
// Errors: none.
#ifndef SCOVILLE_SERVER_HTTP_SERVING_STATE_H_
#define SCOVILLE_SERVER_HTTP_SERVING_STATE_H_

#include <atomic>
#include <cstdint>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "base/units.h"
#include "server/runtime/mutex.h"

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
  struct EngineReport {
    TimePoint now;
    int64_t running = 0;
    int64_t steps = 0;
    std::string stuck{};      // what waits for nothing, in words; empty: all is well
    std::string no_device{};  // why no device takes work; empty: one does
  };
  void Report(const EngineReport& report) ABSL_LOCKS_EXCLUDED(mutex_);

  // Empty if so, else what is wrong. `now` and `last_turn` are the engine's.
  std::string NotLive(TimePoint now, TimePoint last_turn) const;
  std::string NotReady(TimePoint now, TimePoint last_turn) const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  const Duration progress_within_;

  std::atomic<ServingPhase> phase_{ServingPhase::kStarting};

  mutable Mutex mutex_;
  EngineReport last_ ABSL_GUARDED_BY(mutex_);
  TimePoint progress_ ABSL_GUARDED_BY(mutex_);      // a step had ended, or nothing ran
  TimePoint not_stuck_at_ ABSL_GUARDED_BY(mutex_);  // nothing was stuck
};

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_HTTP_SERVING_STATE_H_
