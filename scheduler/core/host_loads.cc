// Blocks of a prefix that wait in host memory: fetched or computed again, whichever costs less time
// and energy. A row whose blocks are on their way holds its place and is left out of plans.
#include <algorithm>
#include <utility>

#include "base/status_macros.h"
#include "scheduler/core/scheduler_impl.h"

namespace scoville::scheduler {

bool Scheduler::Impl::LoadPays(const DeviceSlot& slot, int64_t from, int64_t blocks) const {
  const device::HostTier& tier = *slot.device->host_tier();
  const int64_t block = slot.device->kv().block_size();
  device::StepShape shape;
  shape.Add(device::SequenceWork{device::StepRole::kPrefill, from, blocks * block, 1, 0},
            slot.device->rules());
  const Duration compute = slot.device->power().SustainedStep(shape);
  const Duration wait = std::max(slot.link_free - loop_->Now(), Duration());
  const Duration load = wait + tier.LoadTime(blocks);
  // In nanoseconds, a joule at its price.
  const auto price = [&](Energy energy) {
    return energy.total_picojoules() * options_.nanoseconds_per_joule / 1'000'000'000'000;
  };
  return load.value() + price(tier.LoadEnergy(blocks)) <
         compute.value() + price(slot.device->power().SustainedEnergy(shape));
}

void Scheduler::Impl::LoadFromHost(LiveRequest* live, DeviceSlot& slot) {
  device::HostTier* const tier = slot.device->host_tier();
  const int64_t block = slot.device->kv().block_size();
  // A copied last page has all there is; and one row at least is computed.
  if (tier == nullptr || !UsesCache(*live) || live->computed % block != 0) {
    return;
  }
  const int64_t from = live->computed / block;
  const int64_t most = (live->known() - 1) / block - from;
  const int64_t blocks = std::min(most, tier->Lookup(live->hashes, from));
  if (blocks <= 0 || !LoadPays(slot, live->computed, blocks)) {
    return;
  }
  live->load = tier->Reserve(live->hashes, from, blocks);
  slot.link_free = std::max(slot.link_free, loop_->Now()) + tier->LoadTime(blocks);
  const RequestId id = live->record.id;
  live->load_timer = loop_->RunAt(slot.link_free, EventClass::kTransferEnd, id.value, [this, id] {
    LiveRequest* loaded = Find(id);
    CHECK(loaded != nullptr);
    OnLoaded(loaded);
  });
}

void Scheduler::Impl::OnLoaded(LiveRequest* live) {
  DeviceSlot& slot = SlotOf(*live);
  const int64_t block = slot.device->kv().block_size();
  const device::HostLoad load = std::exchange(live->load, {});
  live->load_timer = TimerId{};
  const int64_t from = live->computed / block;
  for (int64_t i = 0; i < load.size(); ++i) {
    slot.device->CopyFromHost(load.pages()[static_cast<size_t>(i)],
                              live->table.blocks()[static_cast<size_t>(from + i)]);
  }
  prefilling_tokens_ -= PromptLeft(*live);
  live->computed += load.size() * block;
  prefilling_tokens_ += PromptLeft(*live);
  live->record.loaded_tokens += load.size() * block;
  live->high_water = std::max(live->high_water, live->computed);
  Publish(live);
  if (!live->prefills()) {
    ReleaseGroup(live);
  }
  SchedulePlan(slot);
}

void Scheduler::Impl::DropLoad(LiveRequest* live) {
  loop_->Cancel(live->load_timer);
  live->load_timer = TimerId{};
  live->load.Release();
}

}  // namespace scoville::scheduler
