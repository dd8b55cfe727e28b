// What placing a request on a device would come to, in seconds and joules: the prices that routing
// chooses by.
#include <algorithm>

#include "scheduler/core/scheduler_impl.h"

namespace scoville::scheduler {

namespace {

// A fifth is kept for what cannot be foreseen: later arrivals, and contexts that grow.
bool Within(Duration expected, Duration limit) {
  return limit == Duration() || expected <= limit / 5 * 4;
}

}  // namespace

void Scheduler::Impl::Foresee(const LiveRequest& live, int64_t expected_output, int32_t device,
                              DeviceView* view, const Following* following) const {
  const DeviceSlot& slot = devices_[static_cast<size_t>(device)];
  const device::DevicePower& power = slot.device->power();
  const device::BlockPool& kv = slot.device->kv();
  const int decode = static_cast<int>(device::StepRole::kDecode);
  // Those that wait for a prompt there will run there, as far as can be foreseen.
  const int64_t running = static_cast<int64_t>(slot.running.size()) + slot.followers;
  view->cached_blocks_hit = HitBlocks(live, slot);
  view->parked = slot.device->parked();
  // Decodes as if all of them read what is in use now and what the request brings.
  const auto steady_with = [&](int64_t sequences, int64_t tokens) {
    device::StepShape shape;
    shape.sequences[decode] = sequences;
    shape.tokens[decode] = sequences;
    shape.kv_rows_read[decode] = kv.used_blocks() * kv.block_size() + tokens;
    shape.attention_pairs[decode] = shape.kv_rows_read[decode] + sequences;
    shape.output_rows = sequences;
    shape.longest_decode = live.known();
    return shape;
  };
  const device::StepShape steady = steady_with(running + 1, live.known());
  const auto paced = [&](Duration step) { return step * slot.pace_percent / 100; };
  const Duration step = paced(power.SustainedStep(steady));

  // Prompts ahead of it on the device and its own go in chunks beside those decodes; a chunk is
  // what the step's budget allows, or what the decodes' target leaves of it.
  const int64_t had = following != nullptr ? following->blocks : view->cached_blocks_hit;
  const int64_t own = std::max<int64_t>(1, live.known() - had * kv.block_size());
  // Prompts of lower classes come after it.
  const uint8_t rank = waiting_.KeyOf(live.id()).service_class;
  const int64_t follow_left = UpTo(rank, slot.follow_left);
  const int64_t pending = own + UpTo(rank, slot.prefill_left) + follow_left;
  const int64_t most = std::max<int64_t>(1, options_.max_step_tokens - steady.tokens[decode]);
  const int64_t chunk = std::min(most, pending);
  device::StepShape mixed = steady;
  mixed.Add(device::SequenceWork{device::StepRole::kPrefill, 0, chunk, 1, 0}, slot.device->rules());
  Duration chunk_step = paced(power.SustainedStep(mixed));
  const auto steps_for = [&](int64_t tokens) { return (tokens + most - 1) / most; };
  // Behind its leader stand those that wait for it as well, not the prompts of others.
  int64_t steps = steps_for(following != nullptr ? own + follow_left : pending);
  const Duration target = options_.itl_target;
  // Prompts that would be late get whole chunks, as long as the decodes can lend the time.
  const Duration first_token = FirstTokenTarget(live, options_.ttft_target);
  const bool lent = options_.lend_slack && first_token > Duration();
  if (target > Duration() && running > 0 && chunk_step > target && step < target && !lent) {
    const double share = ToSeconds(target - step) / ToSeconds(chunk_step - step);
    steps = static_cast<int64_t>(static_cast<double>(steps) / share) + 1;
    chunk_step = target;
  }
  const Duration busy = slot.device->busy() ? step : Duration();
  view->wake_time = view->parked ? power.wake_time() : Duration();
  view->first_token = chunk_step * steps + busy + view->wake_time;
  if (following != nullptr) {
    view->first_token += WaitForLeader(slot, *following, chunk_step, most);
  }
  view->prefill_time = chunk_step * steps_for(own);
  view->queue = view->first_token - view->prefill_time - view->wake_time;
  view->step_with = step;
  view->step_now = running > 0 ? paced(power.SustainedStep(steady_with(running, 0))) : Duration();
  view->resident_decodes = running;
  view->expected_output = expected_output;
  if (options_.nanoseconds_per_joule > 0) {
    view->energy_delta = EnergyDelta(live, slot, *view, own);
  }
  // Those that run there keep the usual target, however patient this one is.
  view->meets_targets = Within(step, target) && Within(step, live.request.itl_target) &&
                        Within(view->first_token, first_token);
}

// What the pool spends more if the request runs there: its prompt, its share of the steps while it
// decodes, and for a sleeping device being awake all that time.
Energy Scheduler::Impl::EnergyDelta(const LiveRequest& live, const DeviceSlot& slot,
                                    const DeviceView& view, int64_t prompt_tokens) const {
  const device::DevicePower& power = slot.device->power();
  const device::PowerModel& model = power.model();
  device::StepShape prompt;
  prompt.Add(device::SequenceWork{device::StepRole::kPrefill, live.known() - prompt_tokens,
                                  prompt_tokens, 1, 0},
             slot.device->rules());
  const auto energy_of = [&](const device::StepShape& shape) {
    return power.SustainedEnergy(shape);
  };
  Energy delta = energy_of(prompt);
  device::StepShape with = DecodesOf(slot);
  const Energy before = with.total_tokens() > 0 ? energy_of(with) : Energy();
  with.Add(device::SequenceWork{device::StepRole::kDecode, live.known(), 1, 1, 0},
           slot.device->rules());
  delta +=
      Energy::FromPicojoules((energy_of(with) - before).total_picojoules() * view.expected_output);
  if (view.parked) {
    const Power awake = model.Warm() - model.Idle(device::IdleState::kParked, 0);
    delta += awake * (view.step_with * view.expected_output);
  }
  return delta;
}

}  // namespace scoville::scheduler
