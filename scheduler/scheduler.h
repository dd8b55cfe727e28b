// Continuous batching over a pool of devices: admission, queue, routing, planning, preemption, and
// one exit for all.
//
// The written contract is scheduler/README.md. One deployment: every device serves the same model.
//
// Units: engine time, tokens, KV blocks. Ownership: borrows the loop, the devices and the observer
// (they outlive it); owns requests from Submit to OnEnd. Threading: engine thread only. Errors:
// what a client can cause is a Refusal or an Outcome; what only a bug can cause is a CHECK.
#ifndef SCOVILLE_SCHEDULER_SCHEDULER_H_
#define SCOVILLE_SCHEDULER_SCHEDULER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "base/event_loop.h"
#include "base/ids.h"
#include "device/device.h"
#include "scheduler/observer.h"
#include "scheduler/power/fleet_power.h"
#include "scheduler/request.h"
#include "scheduler/router.h"

namespace scoville::scheduler {

struct SchedulerOptions {
  int64_t context = 0;  // of the model: prompt + output
  int64_t vocabulary = 0;
  int64_t max_queued_requests = 1024;   // waiting, not running
  int64_t max_queued_tokens = 8 << 20;  // prompt tokens of those
  int32_t max_running = 256;            // sequences per device
  int64_t max_step_tokens = 512;        // rows of one step
  Duration slow_reader_timeout = Seconds(30);
  // Service levels that planning and routing aim at; zero: none. A step with decodes in it is kept
  // below itl_target by computing less of the prompts; a prompt is placed where its first token is
  // expected within ttft_target.
  Duration itl_target{};
  Duration ttft_target{};
  RoutePolicy routing = RoutePolicy::kLeastLoaded;
  FleetPowerOptions fleet{};
};

struct SubmitResult {
  RequestId id;                    // set if admitted
  std::optional<Refusal> refusal;  // set if not
};

// Why a request is not being computed right now.
enum class WaitReason : uint8_t {
  kNone,    // it is in the step under way
  kKv,      // not enough free blocks
  kPower,   // the cap admits no step yet
  kSlots,   // every device runs as many sequences as it may
  kOrder,   // an older request is ahead and does not fit
  kBudget,  // the step's token budget went to older rows
  kDevice,  // its device's step under way began without it
  kClient,  // its reader is behind
};

enum class Phase : uint8_t { kQueued, kPrefill, kDecode };

// Everything that can be said of one live request.
struct RequestStatus {
  RequestRecord record;
  Phase phase = Phase::kQueued;
  WaitReason wait = WaitReason::kNone;
  std::string detail;  // the binding number: "needs 412 blocks, 380 are free on the best device"
  int64_t rank = 0;    // requests ahead in the queue; 0 when running
  int64_t computed_tokens = 0;
};

struct PoolStatus {
  std::vector<device::DeviceStatus> devices;
  std::vector<int32_t> running;  // per device
  int64_t waiting = 0;
  int64_t paused = 0;
  int64_t preemptions = 0;
  bool draining = false;
  TimePoint now;
};

class Scheduler {
 public:
  Scheduler(EventLoop* loop, std::vector<device::Device*> devices, const SchedulerOptions& options,
            Observer* observer);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // Admits or refuses at once. On refusal the sink is destroyed without a call.
  SubmitResult Submit(Request request);

  // Ends the request with `outcome` (kCancelled unless said otherwise): at once while queued, at
  // the end of the step under way while running. A stale id is ignored.
  void Cancel(RequestId id, Outcome outcome = Outcome::kCancelled);

  // The sink is no longer congested.
  void ReaderCaughtUp(RequestId id);

  // Refuses new work from now on; what is admitted goes on.
  void StartDrain();
  // Ends everything that is left.
  void EndAll(Outcome outcome);

  bool idle() const;  // nothing queued, nothing running
  PoolStatus Status() const;
  // Live requests, oldest first, at most `limit`.
  std::vector<RequestStatus> Requests(int64_t limit) const;
  std::optional<RequestStatus> Explain(RequestId id) const;
  // By the client's id; the newest if several are live.
  std::optional<RequestStatus> Explain(absl::string_view external_id) const;

  const SchedulerOptions& options() const;

  // The pool's power budget: set, ask, divide. Precondition: the pool has a device.
  FleetPower& fleet();

 private:
  friend class FleetWorkLink;
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_SCHEDULER_H_
