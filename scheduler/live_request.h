// A request between admission and its end: what the scheduler remembers of it.
//
// Ownership: owned by the scheduler's table; queues hold plain pointers. Threading: engine thread
// only.
#ifndef SCOVILLE_SCHEDULER_LIVE_REQUEST_H_
#define SCOVILLE_SCHEDULER_LIVE_REQUEST_H_

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/event_loop.h"
#include "device/executor/executor.h"
#include "device/kv/block_pool.h"
#include "scheduler/request.h"

namespace scoville::scheduler {

struct LiveRequest {
  // Constant after admission.
  Request request;         // its prompt is moved into `tokens`
  int64_t last_token = 0;  // most tokens the sequence may ever have: prompt + max_tokens
  TimerId deadline_timer;

  // State.
  RequestRecord record;
  std::vector<int32_t> tokens;   // prompt and output
  int64_t computed = 0;          // tokens in the KV cache
  int64_t high_water = 0;        // tokens that were ever computed: what lies below is recomputation
  int64_t scored = 1;            // next prompt index whose log probability is owed
  device::BlockTable table;      // empty while queued
  bool running = false;          // on record.device; else in the queue
  bool in_step = false;          // the device may still write its blocks
  bool evicted = false;          // leaves its device when the step under way ends
  std::optional<Outcome> dying;  // ends with this when the step under way ends
  bool paused = false;
  TimePoint paused_since;
  TimerId slow_reader_timer;

  uint64_t rank() const { return record.id.value; }
  int64_t known() const { return static_cast<int64_t>(tokens.size()); }
  int64_t remaining() const { return known() - computed; }

  device::SequenceStep StepOf(int64_t count) const {
    device::SequenceStep step;
    step.request = record.id;
    step.tokens = tokens;
    step.prompt_tokens = record.prompt_tokens;
    step.cached = computed;
    step.count = count;
    step.recomputed = std::clamp<int64_t>(high_water - computed, 0, count);
    step.blocks = table.blocks();
    step.sampling = &request.sampling;
    if (record.output_tokens < request.min_tokens) {
      step.suppressed = request.stop_tokens;
    }
    step.score_from = request.sampling.prompt_logprobs >= 0 ? scored : record.prompt_tokens;
    return step;
  }
};

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_LIVE_REQUEST_H_
