// The line of one class: flows (tenants) by start-time fair queueing, before them what was
// restored.
//
// It knows flows by index and costs already divided by weights. A flow is active while a request of
// it waits that was never taken. A flow's late requests stand behind its others, but have a turn of
// their own, so that they do not starve.
//
// Units: virtual time in cost units at weight 1. Ownership: values. Threading: engine thread only.
// Errors: a request that is not there is a CHECK.
#ifndef SCOVILLE_SCHEDULER_QUEUE_CLASS_LINE_H_
#define SCOVILLE_SCHEDULER_QUEUE_CLASS_LINE_H_

#include <cstdint>
#include <vector>

#include "absl/container/btree_set.h"
#include "scheduler/queue/rank_key.h"
#include "scheduler/queue/tenant_heap.h"

namespace scoville::scheduler {

// A request in its flow's line.
struct WaitingRequest {
  int64_t due = 0;  // 0 where the policy is by id
  uint64_t id = 0;
  int64_t step = 0;   // cost / weight: how far it moves its flow when taken
  bool late = false;  // stands in the flow's second line
  friend bool operator<(const WaitingRequest& a, const WaitingRequest& b) {
    return a.due != b.due ? a.due < b.due : a.id < b.id;
  }
};

class ClassLine {
 public:
  // Of so many requests taken from a flow while late ones wait in it, one is the first of those.
  explicit ClassLine(int32_t late_share = 8) : late_share_(late_share) {}

  // Virtual times are moved back together once one has come so far.
  static constexpr int64_t kFarthest = int64_t{1} << 61;

  void Add(uint32_t flow, const WaitingRequest& request);
  void Erase(uint32_t flow, const WaitingRequest& request);
  // Moves it, which is not late, behind those of its flow that are not. Its flow stays active.
  void MakeLate(uint32_t flow, WaitingRequest request);
  // Takes the request out and moves its flow on; returns the start tag.
  int64_t Take(uint32_t flow, const WaitingRequest& request);
  // Moves the flow's virtual time, back if negative.
  void Move(uint32_t flow, int64_t step);
  // The flow's number is about to be another tenant's. Precondition: not active.
  void Forget(uint32_t flow);

  void AddRestored(const RankKey& key);
  void EraseRestored(const RankKey& key);

  int64_t VirtualTime(uint32_t flow) const;
  // Where a flow that becomes active is lifted to.
  int64_t Floor() const { return heap_.empty() ? floor_ : heap_.top().key.tag; }

  // Appends ids in the order of service until `ids` has `limit`.
  void Peek(int64_t limit, std::vector<uint64_t>* ids) const;
  // Whether it is late, the first of those in its flow, and it is their turn.
  bool Owed(uint32_t flow, const WaitingRequest& request) const;
  // How many stand before `id`, or all if it is not here.
  int64_t CountBefore(uint64_t id) const;

  int64_t size() const { return size_; }  // restored too
  bool Holds(uint32_t flow, const WaitingRequest& request) const;
  bool HoldsRestored(const RankKey& key) const { return restored_.contains(key); }
  void CheckInvariants() const;

 private:
  using Requests = absl::btree_set<WaitingRequest>;
  struct Flow {
    int64_t time = 0;
    int32_t since_late = 0;  // taken since one of the late was, while some waited
    Requests on_time;
    Requests late;

    bool empty() const { return on_time.empty() && late.empty(); }
    Requests& LineOf(const WaitingRequest& request) { return request.late ? late : on_time; }
    const Requests& LineOf(const WaitingRequest& request) const {
      return request.late ? late : on_time;
    }
  };
  // Where a walk along a flow is.
  struct Cursor {
    Requests::const_iterator on_time;
    Requests::const_iterator late;
    int32_t since_late;
  };

  Flow& At(uint32_t flow);
  static Cursor Begin(const Flow& flow) {
    return {flow.on_time.begin(), flow.late.begin(), flow.since_late};
  }
  // The next of the flow; nullptr at its end.
  const WaitingRequest* NextOf(const Flow& flow, const Cursor& cursor) const;
  void Advance(const Flow& flow, Cursor* cursor) const;
  // After a change of its time or its first request.
  void Reheap(uint32_t flow);
  void MoveAllBack();
  // Calls `visit(id)` in the order of service while it returns true.
  template <typename Visit>
  void Walk(Visit visit) const;

  int32_t late_share_;
  std::vector<Flow> flows_;
  TenantHeap heap_;
  absl::btree_set<RankKey> restored_;
  int64_t floor_ = 0;  // start tag of what was last taken
  int64_t size_ = 0;
};

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_QUEUE_CLASS_LINE_H_
