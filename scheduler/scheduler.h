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

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/event_loop.h"
#include "base/ids.h"
#include "device/device.h"
#include "scheduler/mask_maker.h"
#include "scheduler/observer.h"
#include "scheduler/planning/planner.h"
#include "scheduler/power/fleet_power.h"
#include "scheduler/queue/request_queue.h"
#include "scheduler/request.h"
#include "scheduler/routing/route_policy.h"

namespace scoville::scheduler {

// When a sequence may join a device.
enum class JoinPolicy : uint8_t {
  kForecast,       // by the risk of running out, from the lengths of outputs so far
  kPromptFits,     // the prompt fits (as vLLM)
  kNewTokenRatio,  // a share of what outputs may come to is kept, less after calm (as SGLang)
  kReserve,        // all that it may come to need is kept (guaranteed, no preemption)
};

// What a tenant's share is counted in.
enum class CostUnit : uint8_t {
  kTokens,  // input tokens, and output tokens twice
  kEnergy,  // joules attributed to its requests
};

struct SchedulerOptions {
  int64_t context = 0;  // of the model: prompt + output
  int64_t vocabulary = 0;
  // What may wait: of all, of each class, of each tenant, and of those named in place of that. A
  // request is refused with the limit that it would pass and a time to come back.
  QueueLimits max_queued{1024, 8 << 20, 256 << 20, Duration()};
  std::array<QueueLimits, kServiceClasses> max_queued_by_class{};
  QueueLimits max_queued_by_tenant{};
  std::map<std::string, QueueLimits> max_queued_of_tenant{};
  int32_t max_running = 256;      // sequences per device
  int64_t max_step_tokens = 512;  // rows of one step
  Duration slow_reader_timeout = Seconds(30);
  // Service levels that planning and routing aim at; zero: none. A step with decodes in it is kept
  // below itl_target by computing less of the prompts; a prompt is placed where its first token is
  // expected within ttft_target.
  Duration itl_target{};
  // Where prompts would miss their target, itl_target holds for the mean of the gaps only: decodes
  // lend the time by which they are ahead, and half of what they are expected to make good.
  bool lend_slack = true;
  Duration ttft_target{};
  RoutePolicy routing = RoutePolicy::kCost;
  int64_t nanoseconds_per_joule = 0;  // what a joule is worth to routing by cost; zero: nothing
  FleetPowerOptions fleet{};

  // The order of the queue.
  QueuePolicy queue = QueuePolicy::kEdf;
  FairnessOptions fairness{};
  CostUnit fairness_unit = CostUnit::kTokens;
  // A request without a deadline is taken to want its first token by then: the order's ageing.
  Duration implied_deadline = Seconds(30);
  // Of so many requests taken from a tenant's line while some wait in it that can no longer have
  // their first token by its target, one is of those; else they go where nothing better is to be
  // done. 1: they go first; 0: they keep their places.
  int32_t late_share = 8;
  Duration class_ageing{};      // a request this old counts as one class higher; zero: never
  bool refuse_hopeless = true;  // work whose deadline cannot be met

  // Passing a request that does not fit: so many look past it at once, so many in all.
  int32_t look_ahead = 8;
  int32_t max_passes = 32;

  // Joining a device: by the risk that its blocks run out before those on it end, or by a rule of
  // other engines, for comparison.
  JoinPolicy join = JoinPolicy::kForecast;
  // Share of requests that may be preempted because blocks run out, at most 0.5: what the forecast
  // is held to as it learns. Zero: never, for anybody.
  double overflow_risk = 0.02;
  // Classes whose sequences keep all the blocks they may come to need from the start: once begun
  // they are never preempted.
  std::array<bool, kServiceClasses> guaranteed{};
  VictimPolicy victims = VictimPolicy::kLeastCost;
  int32_t max_preemptions = 2;  // then its blocks are kept for it

  // What a request has left in the prefix cache stays there so long at least, within the tenant's
  // quota (device::KvCacheOptions), unless sequences would have to be preempted; zero: as the cache
  // sees fit.
  Duration prefix_ttl{};
  std::string model_id{};     // what a prefix belongs to, with the tenant
  uint64_t cache_secret = 0;  // nobody outside can name a prefix without it
  // A request waits for one that is computing the beginning of its prompt, where that is sooner
  // than computing it itself; false: blocks are shared once they are computed, and no sooner.
  bool promised_prefixes = true;
  int32_t max_drafts = 0;  // tokens guessed ahead per sequence and step; zero: none

  // A step that takes this many times its predicted time, and at least `least_patience`, is given
  // up with its device.
  int32_t patience = 10;
  Duration least_patience = Milliseconds(1);

  // A request whose next mask is not there so long after its making began ends with kConstraint.
  Duration mask_timeout = Seconds(5);
};

struct SubmitResult {
  RequestId id;                    // set if admitted
  std::optional<Refusal> refusal;  // set if not
};

// All of one request for several choices, in their order, or a refusal for all.
struct SubmitChoicesResult {
  std::vector<RequestId> ids;
  std::optional<Refusal> refusal;
};

// Why a request is not being computed right now.
enum class WaitReason : uint8_t {
  kNone,      // it is in the step under way
  kKv,        // not enough free blocks
  kPower,     // the cap admits no step yet
  kSlots,     // every device runs as many sequences as it may
  kOrder,     // an older request is ahead and does not fit
  kBudget,    // the step's token budget went to older rows
  kDevice,    // its device's step under way began without it
  kClient,    // its reader is behind
  kLeader,    // another request computes its prompt, or the beginning of it
  kFairness,  // other tenants are ahead
  kTransfer,  // its KV is on its way from host memory
  kMask,      // what its constraint allows next is being computed
};

enum class Phase : uint8_t { kQueued, kPrefill, kDecode };

// Everything that can be said of one live request.
struct RequestStatus {
  RequestRecord record;
  Phase phase = Phase::kQueued;
  WaitReason wait = WaitReason::kNone;
  std::string detail;  // the binding number: "needs 412 blocks, 380 are free on the best device"
  int64_t rank = 0;    // requests ahead in the queue; 0 when running
  // Until it is computed at the latest, as far as can be foreseen; zero: `unbounded` says why not.
  Duration wait_bound{};
  std::string unbounded;
  int64_t computed_tokens = 0;
  int64_t shared_blocks = 0;  // of its KV blocks, those that others use too
  bool pinned = false;
  std::optional<DeviceId> moving_from;  // its blocks are still there, too
};

// Whether whatever is unfinished will be moved on by something.
struct Liveness {
  int64_t unfinished = 0;
  std::vector<std::string> stuck;  // what waits for nothing, in words; empty: all is well
};

struct DeviceHealth {
  device::DeviceState state = device::DeviceState::kReady;
  bool removing = false;  // goes when it is empty
  bool closed = false;    // takes nothing new, to keep a power budget
  // Device time of its steps beside what was predicted, percent, smoothed.
  int64_t pace_percent = 100;
  // Prompt tokens of the requests placed on it for the first time, and those of them that its
  // prefix cache gave.
  int64_t prefix_query_tokens = 0;
  int64_t prefix_hit_tokens = 0;
};

// By number; those that were removed keep their places.
struct PoolStatus {
  std::vector<device::DeviceStatus> devices;
  std::vector<DeviceHealth> health;  // per device
  std::vector<int32_t> running;      // per device
  int64_t waiting = 0;
  std::array<int64_t, kServiceClasses> waiting_by_class{};
  int64_t following = 0;  // of those that wait: for a promised prefix
  int64_t paused = 0;
  int64_t preemptions = 0;
  int64_t migrations = 0;
  int64_t devices_lost = 0;
  bool draining = false;
  TimePoint now;
};

class Scheduler {
 public:
  // `masks` computes the masks that are not at hand, and outlives the scheduler; nullptr: they are
  // computed here, at once.
  Scheduler(EventLoop* loop, const std::vector<device::Device*>& devices,
            const SchedulerOptions& options, Observer* observer, MaskMaker* masks = nullptr);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // Admits or refuses at once. On refusal the sink is destroyed without a call.
  SubmitResult Submit(Request request);
  // Several choices for one prompt: equal requests but for sink and seed. All are taken or none.
  // The prompt is computed once, by the first.
  SubmitChoicesResult SubmitChoices(std::vector<Request> choices);

  // Ends the request with `outcome` (kCancelled unless said otherwise): at once while queued, at
  // the end of the step under way while running. A stale id is ignored.
  void Cancel(RequestId id, Outcome outcome = Outcome::kCancelled);

  // The sink is no longer congested.
  void ReaderCaughtUp(RequestId id);

  // Refuses new work from now on; what is admitted goes on.
  void StartDrain();
  // Ends everything that is left.
  void EndAll(Outcome outcome);

  // A device takes nothing new; what runs on it ends there, or moves on at the next step's end.
  absl::Status DrainDevice(DeviceId device, bool migrate);
  // Takes work again after a drain; after a loss, with its pages empty, once its executor has let
  // go of a lost step and the power budget has room for its least cap.
  absl::Status ReturnDevice(DeviceId device);
  // Gives a device up at once, as if it had fallen silent.
  absl::Status FenceDevice(DeviceId device);
  // Pages of a device that lost what was in them.
  absl::Status LosePages(DeviceId device, absl::Span<const uint32_t> pages);

  // More devices, like the others, with the next numbers; all or none. `budget_node`: where they
  // hang in the pool's power budget; empty: on its only node. A pool cannot begin without a device.
  // FailedPrecondition where a budget cannot hold their least caps beside those of the others.
  absl::Status AddDevices(absl::Span<device::Device* const> devices,
                          absl::string_view budget_node = {});
  // Devices take nothing new, and what runs on them moves on; each is let go when it is empty and
  // nobody reads its pages any more: `gone` runs then, in an event of its own, and may destroy it.
  // Its number is never given again. All or none: FailedPrecondition where no other device that
  // takes work would stay, or where a live request fits none of those that would.
  absl::Status RemoveDevices(absl::Span<const DeviceId> devices,
                             const std::function<void(DeviceId)>& gone = nullptr);
  absl::Status AddDevice(device::Device* device, absl::string_view budget_node = {}) {
    return AddDevices({&device, 1}, budget_node);
  }
  absl::Status RemoveDevice(DeviceId device, const std::function<void(DeviceId)>& gone = nullptr) {
    return RemoveDevices({&device, 1}, gone);
  }

  bool idle() const;  // nothing queued, nothing running
  // CHECKs that requests, queue, deadline book, devices and what the router has booked agree. For
  // tests, between two events. O(everything).
  void CheckInvariants() const;
  Liveness CheckLiveness() const;
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
