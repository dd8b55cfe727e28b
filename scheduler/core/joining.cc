// Whether a request may join a device: slots, blocks now, and blocks later on.
#include <algorithm>
#include <vector>

#include "scheduler/core/scheduler_impl.h"

namespace scoville::scheduler {

namespace {

// SGLang counts no more than this of what an output may still come to.
constexpr int64_t kRatioLongest = 4096;

}  // namespace

int64_t Scheduler::Impl::HitBlocks(const LiveRequest& live, const DeviceSlot& slot) const {
  return UsesCache(live) ? slot.device->kv().LookupPrefix(live.hashes) : 0;
}

// Blocks that pinned sequences of the device may still come to need.
int64_t Scheduler::Impl::Reserved(const DeviceSlot& slot) const {
  int64_t reserved = 0;
  if (slot.pinned_rows == 0) {
    return reserved;
  }
  for (const LiveRequest* live : slot.running) {
    if (live->pinned) {
      reserved +=
          std::max<int64_t>(0, slot.device->kv().BlocksFor(live->last_token) - live->table.size());
    }
  }
  return reserved;
}

// Blocks that a newcomer may take: what is kept for later requests only if nothing else runs there.
int64_t Scheduler::Impl::FreeFor(const DeviceSlot& slot) const {
  return slot.device->kv().free_blocks(/*allow_pins=*/slot.running.empty()) - Reserved(slot);
}

// Of the prefix that the device holds, what others use: it takes nothing that is free.
int64_t Scheduler::Impl::ReferencedHits(const LiveRequest& live, const DeviceSlot& slot) const {
  const int64_t hits = HitBlocks(live, slot);
  return hits > 0 ? slot.device->kv().ReferencedPrefix(live.hashes, hits) : 0;
}

bool Scheduler::Impl::FitsNow(const LiveRequest& live, const DeviceSlot& slot,
                              Obstacle* obstacle) const {
  const device::BlockPool& kv = slot.device->kv();
  if (static_cast<int32_t>(slot.running.size()) >= options_.max_running) {
    if (obstacle != nullptr &&
        (obstacle->reason == WaitReason::kNone || obstacle->reason == WaitReason::kPower)) {
      *obstacle = {WaitReason::kSlots, static_cast<int64_t>(slot.running.size()) + 1,
                   options_.max_running};
    }
    return false;
  }
  const int64_t shared = ReferencedHits(live, slot);
  const int64_t total = kv.BlocksFor(live.last_token);
  const int64_t needed = (live.pinned ? total : kv.BlocksFor(live.known())) - shared;
  // Those that run there are about to grow: a block each is theirs.
  const int64_t available = FreeFor(slot) - static_cast<int64_t>(slot.running.size());
  if (total > kv.num_blocks() || needed > available ||
      !JoinsSafely(live, slot, needed, shared, obstacle == nullptr)) {
    if (obstacle != nullptr &&
        (obstacle->reason != WaitReason::kKv || available > obstacle->available)) {
      *obstacle = {WaitReason::kKv, needed, std::max<int64_t>(0, available)};
    }
    return false;
  }
  return true;
}

bool Scheduler::Impl::JoinsSafely(const LiveRequest& live, const DeviceSlot& slot,
                                  int64_t needed_now, int64_t shared_blocks, bool placing) const {
  if (slot.running.empty() || live.pinned) {
    return true;  // it fits alone, or all of it is kept for it
  }
  const LiveRequest& last = *slot.running.back();
  if (last.record.service_class > live.record.service_class && !last.pinned) {
    return true;  // where blocks run out, rows of a lower class go first
  }
  const device::BlockPool& kv = slot.device->kv();
  const int64_t free = kv.free_blocks() - Reserved(slot);
  switch (options_.join) {
    case JoinPolicy::kPromptFits:
      return true;
    case JoinPolicy::kReserve:
      return AllCanComplete(live, slot, free, shared_blocks);
    case JoinPolicy::kNewTokenRatio: {
      double tokens = 0;
      for (const LiveRequest* other : slot.running) {
        tokens += static_cast<double>(std::min(other->last_token - other->known(), kRatioLongest));
      }
      tokens *= slot.token_ratio;
      tokens += static_cast<double>(std::min(live.last_token - live.known(), kRatioLongest));
      return needed_now + static_cast<int64_t>(tokens / static_cast<double>(kv.block_size())) <=
             free;
    }
    case JoinPolicy::kForecast:
      return AllCanComplete(live, slot, free, shared_blocks) ||
             ForecastAdmits(live, slot, shared_blocks, placing);
  }
  return true;
}

// Whether the blocks do even if every sequence gets as long as it may.
bool Scheduler::Impl::AllCanComplete(const LiveRequest& live, const DeviceSlot& slot,
                                     int64_t free_blocks, int64_t shared_blocks) const {
  const device::BlockPool& kv = slot.device->kv();
  int64_t sum = kv.BlocksFor(live.last_token) - shared_blocks;
  for (const LiveRequest* other : slot.running) {
    sum += other->pinned ? 0 : kv.BlocksFor(other->last_token) - other->table.size();
  }
  return sum <= free_blocks;
}

ForecastRow Scheduler::Impl::RowOf(const LiveRequest& live, int64_t shared_blocks) const {
  ForecastRow row;
  row.key = static_cast<int32_t>(live.record.service_class);
  row.known_tokens = live.known();
  row.done = live.record.output_tokens;
  row.max_tokens = live.last_token - live.record.prompt_tokens;
  row.shared_blocks = shared_blocks;
  row.prefill_steps = (live.remaining() + options_.max_step_tokens - 1) / options_.max_step_tokens;
  row.strict = live.pinned;
  return row;
}

bool Scheduler::Impl::ForecastAdmits(const LiveRequest& live, const DeviceSlot& slot,
                                     int64_t shared_blocks, bool placing) const {
  constexpr int64_t kAskAgain = 8;  // steps
  const device::BlockPool& kv = slot.device->kv();
  const int64_t wanted = kv.BlocksFor(live.last_token) - shared_blocks;
  if (wanted >= slot.refused_blocks && slot.steps < slot.refused_at + kAskAgain) {
    return false;
  }
  int64_t exclusive = 0;
  std::vector<ForecastRow> rows;
  for (const LiveRequest* other : slot.running) {
    exclusive += other->table.exclusive_blocks();
    if (!slot.forecast_holds) {
      rows.push_back(RowOf(*other, other->table.size() - other->table.exclusive_blocks()));
    }
  }
  if (!slot.forecast_holds) {
    slot.forecast->Rebuild(rows);
    slot.forecast_holds = true;
  }
  const int64_t shared_by_all = kv.used_blocks() - exclusive;
  const int64_t capacity = kv.num_blocks() - kv.pinned_blocks() - shared_by_all;
  const bool admits = slot.forecast->Admits(RowOf(live, shared_blocks), capacity);
  if (!admits && placing) {
    slot.refused_blocks = wanted;
    slot.refused_at = slot.steps;
  }
  return admits;
}

}  // namespace scoville::scheduler
