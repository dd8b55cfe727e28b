// A request between admission and its end: what the scheduler remembers of it.
//
// All of it outlives a device: tokens, sampling position, stop matcher, constraint and drafts'
// index stay when the blocks go, so a preempted or moved sequence goes on as if nothing had
// happened.
//
// Ownership: owned by the scheduler's table; queues hold plain pointers or ids. Threading: engine
// thread only.
#ifndef SCOVILLE_SCHEDULER_CORE_LIVE_REQUEST_H_
#define SCOVILLE_SCHEDULER_CORE_LIVE_REQUEST_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/event_loop.h"
#include "device/executor/executor.h"
#include "device/kv/block_pool.h"
#include "device/kv/block_table.h"
#include "device/kv/host_tier.h"
#include "device/kv/prefix_hash.h"
#include "model/grammar/constraint.h"
#include "scheduler/planning/planner.h"
#include "scheduler/planning/prompt_lookup.h"
#include "scheduler/queue/request_queue.h"
#include "scheduler/request.h"

namespace scoville::scheduler {

// Requests that are choices of one: the first computes the prompt, the others wait for it.
struct ChoiceGroup {
  std::vector<RequestId> waiting;  // those that wait for the leader
  bool released = false;
};

struct LiveRequest {
  // Constant after admission.
  Request request;         // its prompt is moved into `tokens`
  int64_t last_token = 0;  // most tokens the sequence may ever have: prompt + max_tokens
  TimerId deadline_timer;
  Duration work;                       // predicted device time, if a limit of time is set
  std::shared_ptr<ChoiceGroup> group;  // nullptr: a single choice
  bool leads = false;                  // of the group

  // State.
  RequestRecord record;
  RankKey key;                  // meaningful from the first placement on
  std::vector<int32_t> tokens;  // prompt and output, and in a step the drafts
  int64_t drafts = 0;           // of `tokens`, the last so many are guesses
  int64_t computed = 0;         // tokens in the KV cache
  int64_t high_water = 0;       // tokens that were ever computed: what lies below is recomputation
  int64_t scored = 1;           // next prompt index whose log probability is owed
  std::vector<device::BlockHash> hashes;  // of its full blocks, as far as they have been asked for
  int64_t published = 0;                  // blocks of the table that the prefix cache knows
  device::BlockTable table;               // empty while queued
  bool running = false;                   // on record.device; else in the queue
  bool waits_for_leader = false;          // as a choice of a group: held in the queue
  // Blocks that it has promised on its device: those of `hashes` below this that are not published.
  int64_t promised = 0;
  // Requests that wait until so many of its blocks are published, or it leaves the device.
  struct Follower {
    RequestId id;
    int64_t blocks = 0;
  };
  std::vector<Follower> followers;
  // While it waits for another's promise, held in the queue: whose, and what is left to compute
  // then. The leader stands there afterwards with what it had computed: it is followed again only
  // if it has got on since.
  bool follows = false;
  uint64_t leader = 0;
  int64_t leader_computed = 0;
  int64_t follow_rest = 0;
  uint8_t follow_class = 0;      // of its rank then
  TimerId follow_timer;          // when waiting has cost as much as not waiting
  bool in_step = false;          // the device may still write its blocks
  bool leaving = false;          // gives its place up when the step under way ends: evicted
  bool moving = false;           // likewise, to another device
  std::optional<Outcome> dying;  // ends with this when the step under way ends
  device::HostLoad load;         // blocks on their way from host memory
  TimerId load_timer;            // when they are there
  // Where it is moving from: blocks that stay another device's until they are copied.
  device::BlockTable source;
  DeviceId source_device;
  int64_t source_computed = 0;  // tokens in them
  bool had_booking = false;     // its deadline could still be held when it was placed
  bool pinned = false;          // the blocks that it may come to need are kept for it
  bool counted_pinned = false;  // among the pinned rows of its device
  int32_t held = 0;             // steps in a row that it waited for blocks
  int32_t passed = 0;           // requests that were placed before it although they came later
  bool paused = false;
  TimePoint paused_since;
  TimerId slow_reader_timer;
  PromptLookup lookup;
  std::optional<model::ConstraintState> constraint;  // of request.constraint
  // What may be drawn next (if has_mask), and after each of the drafts.
  std::vector<model::TokenMask> masks;
  std::vector<absl::Span<const uint32_t>> mask_views;  // of `masks`, for a step that draws
  bool has_mask = false;
  uint64_t mask_job = 0;  // what makes the first of them; 0: nothing does
  TimePoint mask_asked;   // when it was told to; then when it began
  TimerId mask_timer;     // when that took too long

  uint64_t id() const { return record.id.value; }
  // Prompt and output that are certain.
  int64_t known() const { return static_cast<int64_t>(tokens.size()) - drafts; }
  int64_t remaining() const { return known() - computed; }
  // Blocks are on their way: it is in no plan.
  bool loading() const { return load.size() > 0 || source.size() > 0; }
  bool prefills() const { return computed < record.prompt_tokens; }
  bool lacks_mask() const { return request.constraint != nullptr && !has_mask; }
  // Nothing is left to compute but the row that draws, and that has to wait.
  bool waits_for_mask() const { return lacks_mask() && remaining() == 1; }

  RowView View(int64_t block_size) const {
    RowView view;
    // Without a mask it is computed as far as it goes without drawing.
    view.known = known() - (lacks_mask() && remaining() > 1 ? 1 : 0);
    view.waits = waits_for_mask();
    view.computed = computed;
    view.blocks_owned = table.size();
    view.blocks_exclusive = table.exclusive_blocks();
    view.left = last_token - known();
    view.output = record.output_tokens;
    view.drafts = drafts;
    view.held = held;
    view.paused = paused || loading();
    view.pinned = pinned;
    if (pinned) {
      const int64_t total = (last_token + block_size - 1) / block_size;
      view.reserve = std::max<int64_t>(0, total - table.size());
    }
    return view;
  }

  device::SequenceStep StepOf(int64_t count) const {
    device::SequenceStep step;
    step.request = record.id;
    step.tokens = tokens;
    step.prompt_tokens = record.prompt_tokens;
    step.cached = computed;
    step.count = count;
    step.recomputed = std::clamp<int64_t>(high_water - computed, 0, count);
    step.drafts = drafts;
    step.allowed = mask_views;
    step.blocks = table.blocks();
    step.sampling = &request.sampling;
    if (record.output_tokens < request.min_tokens) {
      step.suppressed = request.stop_tokens;
    }
    step.score_from = request.sampling.prompt_logprobs >= 0 ? scored : record.prompt_tokens;
    return step;
  }
};

// Its own targets, or else `usual`. Zero: neither is set.
inline Duration FirstTokenTarget(const LiveRequest& live, Duration usual) {
  return live.request.ttft_target > Duration() ? live.request.ttft_target : usual;
}
inline Duration ItlTarget(const LiveRequest& live, Duration usual) {
  return live.request.itl_target > Duration() ? live.request.itl_target : usual;
}

// When its first token should be there by that target. Max: there is none.
inline TimePoint FirstTokenDue(const LiveRequest& live, Duration usual) {
  const Duration target = FirstTokenTarget(live, usual);
  return target > Duration() ? live.record.arrival + target : TimePoint::Max();
}

// Higher rank first.
inline bool Outranks(const LiveRequest* a, const LiveRequest* b) { return a->key < b->key; }

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_CORE_LIVE_REQUEST_H_
