// The state and the steps of the scheduler; private to scheduler/. The contract is README.md.
//
// scheduler.cc: in and out. placement.cc: from the queue to devices. joining.cc: whether a device
// can take it. foresight.cc: what a placement would cost. following.cc: waiting for another's
// prompt. transfers.cc: blocks from host memory and from other devices. stepping.cc: one step of a
// device. masks.cc: what constraints allow. results.cc: what a step has brought, and the ends of
// requests. failures.cc: devices that are lost, drained and return. scaling.cc: devices that join
// and leave for good. power_shedding.cc: what the power budget asks of the work.
// status_report.cc: what can be said of it all. self_check.cc: whether it agrees.
//
// Ownership and threading as Scheduler.
#ifndef SCOVILLE_SCHEDULER_CORE_SCHEDULER_IMPL_H_
#define SCOVILLE_SCHEDULER_CORE_SCHEDULER_IMPL_H_

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"
#include "base/event_loop.h"
#include "device/device.h"
#include "scheduler/admission.h"
#include "scheduler/core/live_request.h"
#include "scheduler/core/prefix_promises.h"
#include "scheduler/core/slot_list.h"
#include "scheduler/forecast/drain_rate.h"
#include "scheduler/forecast/output_lengths.h"
#include "scheduler/forecast/overflow_forecast.h"
#include "scheduler/mask_maker.h"
#include "scheduler/observer.h"
#include "scheduler/planning/step_fitting.h"
#include "scheduler/power/fleet_power.h"
#include "scheduler/queue/deadline_book.h"
#include "scheduler/queue/request_queue.h"
#include "scheduler/routing/router.h"
#include "scheduler/scheduler.h"

namespace scoville::scheduler {

class Scheduler::Impl {
 public:
  Impl(EventLoop* loop, const std::vector<device::Device*>& devices,
       const SchedulerOptions& options, Observer* observer, MaskMaker* masks);
  ~Impl();

  SubmitResult Submit(Request request);
  SubmitChoicesResult SubmitChoices(std::vector<Request> choices);
  void Cancel(RequestId id, Outcome outcome);
  void ReaderCaughtUp(RequestId id);
  void StartDrain() { draining_ = true; }
  void EndAll(Outcome outcome);

  // failures.cc
  absl::Status DrainDevice(DeviceId device, bool migrate);
  absl::Status ReturnDevice(DeviceId device);
  absl::Status FenceDevice(DeviceId device);
  absl::Status LosePages(DeviceId device, absl::Span<const uint32_t> pages);

  // scaling.cc
  absl::Status AddDevices(absl::Span<device::Device* const> devices, absl::string_view budget_node);
  absl::Status RemoveDevices(absl::Span<const DeviceId> devices,
                             const std::function<void(DeviceId)>& gone);

  bool idle() const { return live_.empty(); }
  Liveness CheckLiveness() const;
  PoolStatus Status() const;
  std::vector<RequestStatus> Requests(int64_t limit) const;
  std::optional<RequestStatus> Explain(RequestId id) const;
  std::optional<RequestStatus> Explain(absl::string_view external_id) const;
  const SchedulerOptions& options() const { return options_; }
  void CheckInvariants() const;  // self_check.cc

  // power_shedding.cc
  FleetPower& fleet();
  DeviceLoadView PowerLoadOf(uint32_t device) const;
  bool RunsNothing(uint32_t device) const { return devices_[device].running.empty(); }
  void CloseDevice(uint32_t device, bool closed);
  void Restore(uint32_t device);
  void Evict(uint32_t device);
  void CloseAdmission(const std::array<bool, kTierCount>& closed);
  void LimitPrefill(bool limited);

 private:
  // One device and the sequences placed on it, highest rank first.
  struct DeviceSlot {
    device::Device* device = nullptr;  // nullptr: removed
    std::vector<LiveRequest*> running;
    bool closed = false;    // takes nothing new: the power budget lets it run empty
    bool draining = false;  // takes nothing new: an operator wants it empty
    bool cordoned = false;  // takes nothing new beside what it has: its steps take far too long
    bool lost = false;      // given up; not asked for anything until it returns
    bool removing = false;  // takes nothing new: it is to be empty, and then no more
    std::unique_ptr<OverflowForecast> forecast;  // of its blocks
    mutable bool forecast_holds = false;         // its rows are those that run, as they are now
    // What the forecast has refused lately: as much or more is refused without asking again until
    // something ends there or a few steps have passed.
    mutable int64_t refused_blocks = INT64_MAX;
    mutable int64_t refused_at = 0;  // step
    int64_t steps = 0;
    std::unique_ptr<device::KvEventSink> feed;  // of the router's directory
    bool feeds = false;                         // it is listened to
    std::vector<uint32_t> lost_pages;           // to be taken out when the step under way ends
    bool asked_back = false;                    // returns as soon as the executor has let go
    TimePoint parks_at = TimePoint::Max();      // its entry in parks_
    TimePoint link_free;                 // when the link to host memory has done what it was told
    TimerId plan;                        // pending plan event
    TimerId removal;                     // when it is let go
    std::function<void(DeviceId)> gone;  // then
    device::DeviceStatus at_last;        // of a removed device
    TimerId watch;                       // when the step under way has taken too long
    std::vector<LiveRequest*> members;   // of the step under way: none ends before it
    int64_t pinned_rows = 0;             // of `running`
    // Tokens that its prompts still need, by the class of their rank.
    std::array<int64_t, kServiceClasses> prefill_left{};
    int64_t followers = 0;                               // requests that wait for its prompts
    std::array<int64_t, kServiceClasses> follow_left{};  // tokens that those will need
    std::optional<RankKey> next_decode;  // whose turn it is where a step holds not all decodes
    double token_ratio = 0.7;            // of JoinPolicy::kNewTokenRatio
    int64_t prefix_query_tokens = 0;     // prompts placed here first
    int64_t prefix_hit_tokens = 0;       // of those, what the prefix cache gave
    int64_t pace_percent = 100;          // time of its steps beside the predicted, smoothed
    // Why the device's next step does not begin yet; kNone: nothing holds it.
    device::DelayCause delay = device::DelayCause::kNone;

    // An empty straggler is tried again, or it would never show that it has recovered.
    bool takes_work() const {
      return !closed && !draining && stays() && (!cordoned || running.empty());
    }
    bool stays() const { return !lost && !removing; }
  };
  // What keeps a waiting request from a device.
  struct Obstacle {
    WaitReason reason = WaitReason::kNone;
    int64_t needed = 0;
    int64_t available = 0;
  };

  // A mask that is being made elsewhere, for all requests that are at its place.
  struct MaskJob {
    model::ConstraintState state;
    const model::CompiledConstraint* constraint;  // whose state it is
    std::vector<RequestId> waiting;
    bool begun = false;  // the maker has come to it
  };
  // A leader, and how many blocks of a prompt it will have computed.
  struct Following {
    LiveRequest* leader = nullptr;
    int64_t blocks = 0;
  };

  LiveRequest* Find(RequestId id) const;
  DeviceSlot& SlotOf(const LiveRequest& live) { return devices_[live.record.device.value]; }
  absl::Status CheckDevice(DeviceId device) const;
  // What a device holds at most, in tokens; zero while it is lost or about to be removed.
  static int64_t LargestTokens(const DeviceSlot& slot);
  int64_t LargestDeviceTokens() const;
  // A device was lost, returned or shrank.
  void ForgetLargest() { largest_tokens_ = -1; }
  int64_t BlockSize() const { return devices_.front().device->kv().block_size(); }

  // scheduler.cc
  AdmissionView ViewForAdmission(const Request& request) const;
  std::optional<Refusal> RefuseHopeless(const Request& request) const;
  LiveRequest* Accept(Request request);
  void Enqueue(LiveRequest* live);
  void BookDeadline(LiveRequest* live);
  Duration WorkOf(const Request& request) const;
  Duration PrefillTime(int64_t tokens) const;
  Duration PrefillBacklog() const;
  // What work on the request costs its tenant: input tokens, and output tokens twice.
  static constexpr int64_t kOutputCost = 2;
  void ServeTokens(LiveRequest* live, int64_t cost);
  void ServeEnergy(LiveRequest* live, Energy energy, int64_t tokens);
  static int64_t PromptLeft(const LiveRequest& live) {
    return live.running ? std::max<int64_t>(0, live.record.prompt_tokens - live.computed) : 0;
  }
  // Before (-1) and after (1) its `computed` changes, and when it comes or goes.
  void CountPrompt(const LiveRequest& live, int64_t sign);
  int64_t ExpectedOutput(const LiveRequest& live) const;
  void ReleaseGroup(LiveRequest* live);

  // placement.cc
  void PlaceWaiting();
  bool PlaceOnce();
  void PlaceSoon();
  bool HalfItsTimeIsGone(const LiveRequest& live) const;
  bool MayBePlaced(const LiveRequest& live) const;
  // The device that takes it now, or kNowhere. `held_back` takes nothing; `only_empty`: nor do
  // devices on which something runs.
  static constexpr int32_t kNowhere = -1;
  static constexpr int32_t kTooLate = -2;  // nowhere would its first token be in time
  Placement PlacementOf(const LiveRequest& live) const;
  int32_t Route(LiveRequest* live, int32_t held_back, bool only_empty = false);
  // Of a count by class, what one of this class has before it: prompts of lower ones come after it.
  static int64_t UpTo(uint8_t service_class, const std::array<int64_t, kServiceClasses>& counts) {
    return std::accumulate(counts.begin(), counts.begin() + service_class + 1, int64_t{0});
  }
  // Its prompts of that class and of higher ones do not fill a step.
  bool HasSpareSteps(const DeviceSlot& slot, uint8_t service_class) const {
    return UpTo(service_class, slot.prefill_left) < options_.max_step_tokens;
  }
  bool AnySpareSteps(uint64_t id) const;
  bool TakesFrom(const DeviceSlot& slot, const LiveRequest& live) const;
  // The router knows of what is on the device now.
  void Book(DeviceSlot& slot);
  void BookParked();
  // `obstacle`: filled where it does not; nullptr where a request is being placed.
  bool FitsNow(const LiveRequest& live, const DeviceSlot& slot, Obstacle* obstacle) const;
  bool JoinsSafely(const LiveRequest& live, const DeviceSlot& slot, int64_t needed_now,
                   int64_t shared_blocks, bool placing) const;
  bool AllCanComplete(const LiveRequest& live, const DeviceSlot& slot, int64_t free_blocks,
                      int64_t shared_blocks) const;
  bool ForecastAdmits(const LiveRequest& live, const DeviceSlot& slot, int64_t shared_blocks,
                      bool placing) const;
  int64_t ReferencedHits(const LiveRequest& live, const DeviceSlot& slot) const;
  ForecastRow RowOf(const LiveRequest& live, int64_t shared_blocks) const;
  int64_t Reserved(const DeviceSlot& slot) const;
  int64_t FreeFor(const DeviceSlot& slot) const;
  Energy EnergyDelta(const LiveRequest& live, const DeviceSlot& slot, const DeviceView& view,
                     int64_t prompt_tokens) const;
  // `expected_output`: ExpectedOutput(live).
  // `following`: if it waits for that first.
  void Foresee(const LiveRequest& live, int64_t expected_output, int32_t device, DeviceView* view,
               const Following* following = nullptr) const;
  int64_t HitBlocks(const LiveRequest& live, const DeviceSlot& slot) const;
  bool Place(LiveRequest* live, DeviceSlot& slot);
  // Fetches from host memory what comes next of its prefix, where that beats computing it.
  void LoadFromHost(LiveRequest* live, DeviceSlot& slot);
  bool LoadPays(const DeviceSlot& slot, int64_t from, int64_t blocks, TimePoint link_free) const;
  void OnLoaded(LiveRequest* live);
  void DropLoad(LiveRequest* live);
  void FreedElsewhere(DeviceSlot& slot);
  // To another device at once if one has room, with its blocks where that beats computing them.
  void Move(LiveRequest* live, DeviceSlot& slot);
  void OnMoved(LiveRequest* live);
  void AbandonMoves(DeviceId device);
  bool UsesCache(const LiveRequest& live) const;
  device::BlockHash PrefixRootOf(const Request& request) const;
  void HashPrompt(LiveRequest* live) const;
  // Tells rows of lower classes to leave for a request that finds no place.
  bool AskForRoom(LiveRequest* live);
  // The device that a request that has been passed too often collects blocks on.
  int32_t CollectingDevice(const LiveRequest& live) const;

  // following.cc
  static int32_t IndexOf(const DeviceSlot& slot) {
    return static_cast<int32_t>(slot.device->id().value);
  }
  // What it computes of its prompt on its device, from now on.
  void PromiseBlocks(LiveRequest* live);
  // It leaves its device: others compute what it has not.
  void BreakPromises(LiveRequest* live);
  // Its blocks below `published` can be found now.
  void KeepPromises(LiveRequest* live, int64_t from, int64_t published);
  Following FindLeader(const LiveRequest& live, const DeviceSlot& slot) const;
  // True if it waits for another from now on rather than going to `chosen` (-1: no device has
  // room).
  bool Follow(LiveRequest* live, int32_t chosen);
  std::vector<int32_t> WhereToFollow(const LiveRequest& live, int32_t chosen) const;
  // For `patience` at most.
  void StartFollowing(LiveRequest* live, const Following& following, Duration patience);
  void ReleaseFollowers(LiveRequest* leader, int64_t published);
  void ReleaseFollowersOn(DeviceSlot& slot);
  void StopFollowing(LiveRequest* live);
  void ReckonDeadline(LiveRequest* live, int64_t tokens);
  void Unfollow(LiveRequest* live);
  Duration WaitForLeader(const DeviceSlot& slot, const Following& following, Duration chunk_step,
                         int64_t chunk) const;

  // stepping.cc
  void SchedulePlan(DeviceSlot& slot);
  void PlanAgain(DeviceSlot& slot);
  void Plan(uint32_t device);
  void ProposeDrafts(DeviceSlot& slot);
  void TakeBackDrafts(DeviceSlot& slot);
  void KeepPlannedDrafts(DeviceSlot& slot, const StepPlan& plan);
  void CommitPlan(DeviceSlot& slot, const FittedStep& step);
  static double RatioAfterRetraction(const DeviceSlot& slot);
  void Watch(DeviceSlot& slot, Duration predicted);
  // Now, or when the step under way ends.
  void TellToLeave(LiveRequest* live, DeviceSlot& slot, bool move);
  // Takes it off its device; its blocks and its place in the queue are the caller's.
  void TakeOff(LiveRequest* live, DeviceSlot& slot);
  // Gives its blocks back and stands in the queue again, where it stood.
  void Unplace(LiveRequest* live, DeviceSlot& slot);
  void Preempt(LiveRequest* live, DeviceSlot& slot);
  void Migrate(LiveRequest* live, DeviceSlot& slot);
  // The one place that takes a step's results in.
  void Commit(uint32_t device, device::StepOutcome outcome);
  void CommitRow(LiveRequest* live, device::SequenceResult& result,
                 const device::EnergyBuckets& energy, const device::StepRecord& record);
  void Publish(LiveRequest* live);
  void TakeToken(LiveRequest* live, const model::SampledToken& token);
  std::optional<Outcome> EndOf(LiveRequest* live, int32_t token);
  void PauseIfCongested(LiveRequest* live);
  // Those that were told to go while the step was under way.
  void LetGo(DeviceSlot& slot);
  // The only exit: unlinks, frees, reports, destroys.
  void Retire(LiveRequest* live, Outcome outcome);

  // masks.cc
  // Takes the mask of what is drawn next if it is at hand, and has it made if it is not.
  void AskForMask(LiveRequest* live);
  void ForgetMask(LiveRequest* live);
  uint64_t MaskJobFor(const LiveRequest& live, const model::ConstraintState& state);
  void OnMask(uint64_t job, std::optional<model::TokenMask> mask);
  void OnMaskBegun(uint64_t job);
  void LimitMask(LiveRequest* live);
  void OnMaskTimeout(RequestId id);
  void LeaveMaskJob(uint64_t job);
  // Of so many guesses, those that the constraint allows and whose masks are at hand.
  int64_t GuessesWithMasks(LiveRequest* live, absl::Span<const int32_t> guesses);
  static void ShowMasks(LiveRequest* live, int64_t count);
  void CheckMasks(const LiveRequest& live) const;

  // failures.cc
  void KeepPromisesToPinned(DeviceSlot& slot);
  void GiveUp(DeviceSlot& slot);
  void OnLetGo(uint32_t device, std::optional<device::StepOutcome> lost);
  void EndWhatFitsNowhere();
  void DropLostPages(DeviceSlot& slot);
  void NoteCapacity();

  // scaling.cc
  DeviceSlot& MakeSlot(device::Device* device);
  void FeedDirectory();
  absl::Status CanRemove(absl::Span<const DeviceId> devices) const;
  static bool CanLetGo(const DeviceSlot& slot);
  void LetGoSoon(DeviceSlot& slot);
  void FinishRemoval(uint32_t index);
  static device::DeviceStatus LastStatusOf(const DeviceSlot& slot);

  // power_shedding.cc
  void MakeFleet();
  std::unique_ptr<PowerControlledDevice> PowerLinkOf(device::Device* device);
  device::StepShape DecodesOf(const DeviceSlot& slot) const;

  // status_report.cc
  // What reports of many requests have in common.
  struct Listing {
    absl::flat_hash_map<uint64_t, int64_t> ranks;  // of the first that wait
    Duration running_work;                         // until all that runs has ended, at the longest
  };
  Listing StartListing(int64_t ranks) const;
  RequestStatus StatusOf(const LiveRequest& live, const Listing& listing) const;
  void ExplainQueued(const LiveRequest& live, const Listing& listing, RequestStatus& status) const;
  void ExplainRunning(const LiveRequest& live, RequestStatus& status) const;
  bool YoungerAhead(const LiveRequest& live, int64_t rank) const;
  void BoundWait(const LiveRequest& live, const Listing& listing, RequestStatus& status) const;

  // self_check.cc
  void CheckRequests() const;
  void CheckPromises() const;
  void CheckForgotten(int32_t device) const;
  void CheckSlot(const DeviceSlot& slot) const;

  EventLoop* const loop_;
  Observer* const observer_;
  MaskMaker* const mask_maker_;  // nullptr: masks are made at once
  const SchedulerOptions options_;
  const bool limits_time_;

  SlotList<DeviceSlot> devices_;
  std::map<uint64_t, std::unique_ptr<LiveRequest>> live_;  // by id
  RequestQueue waiting_;
  DeadlineBook deadlines_;  // of what waits with a deadline
  Router router_;
  PrefixPromises promises_;
  OutputLengths lengths_;
  std::vector<uint64_t> candidates_;  // reused
  std::array<int64_t, kServiceClasses> running_by_class_{};
  int64_t steps_ = 0;                    // of all devices
  int64_t asked_at_step_ = -1;           // when rows were last told to make room
  int64_t leaving_ = 0;                  // rows that go when their step ends
  mutable int64_t largest_tokens_ = -1;  // LargestDeviceTokens(); -1: to be found anew
  // Prompt tokens that those on devices have still to compute.
  int64_t prefilling_tokens_ = 0;
  // When idle devices fall asleep, by time: the router is told when a request looks for one.
  std::set<std::pair<TimePoint, uint32_t>> parks_;
  int64_t waiting_for_leaders_ = 0;
  int64_t paused_ = 0;
  int64_t preemptions_ = 0;
  int64_t migrations_ = 0;
  int64_t devices_lost_ = 0;
  TimerId place_;  // pending placement after a preemption
  // Devices closed by the budget that have run empty; told to it with that placement.
  std::vector<uint32_t> emptied_;
  bool placing_ = false;
  uint64_t next_id_ = 1;
  std::map<uint64_t, MaskJob> mask_jobs_;
  // Looked up only, never walked.
  absl::flat_hash_map<std::pair<const model::CompiledConstraint*, std::vector<int32_t>>, uint64_t>
      mask_job_at_;
  uint64_t next_mask_job_ = 1;
  // A mask may come when the scheduler has gone.
  const std::shared_ptr<const bool> here_ = std::make_shared<const bool>(true);
  bool draining_ = false;
  // What the power budget has shed.
  std::array<bool, kTierCount> closed_classes_{};
  bool prefill_limited_ = false;
  std::unique_ptr<FleetWork> fleet_work_;
  std::vector<std::unique_ptr<PowerControlledDevice>> fleet_devices_;
  std::unique_ptr<FleetPower> fleet_;
  DrainRate ends_{DrainOptions{}};  // of requests, for retry_after
  // Energy of a unit of cost in tokens, smoothed, in microjoules: what a request is taken to spend.
  int64_t microjoules_per_token_ = 1;
};

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_CORE_SCHEDULER_IMPL_H_
