// Blocks that are fetched, where that costs less time and energy than computing them again: of a
// prefix, from host memory; of a sequence that leaves a device, from there. A row whose blocks are
// on their way holds its place and is left out of plans; if what it waits for fails, it computes.
#include <algorithm>
#include <utility>

#include "base/status_macros.h"
#include "scheduler/core/scheduler_impl.h"

namespace scoville::scheduler {

bool Scheduler::Impl::LoadPays(const DeviceSlot& slot, int64_t from, int64_t blocks,
                               TimePoint link_free) const {
  const int64_t block = slot.device->kv().block_size();
  device::StepShape shape;
  shape.Add(device::SequenceWork{device::StepRole::kPrefill, from, blocks * block, 1, 0},
            slot.device->rules());
  const Duration compute = slot.device->power().SustainedStep(shape);
  const Duration wait = std::max(link_free - loop_->Now(), Duration());
  const Duration load = wait + slot.device->LinkTime(blocks);
  // In nanoseconds, a joule at its price.
  const auto price = [&](Energy energy) {
    return energy.total_picojoules() * options_.nanoseconds_per_joule / 1'000'000'000'000;
  };
  return load.value() + price(slot.device->LinkEnergy(blocks)) <
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
  if (blocks <= 0 || !LoadPays(slot, live->computed, blocks, slot.link_free)) {
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
  CountPrompt(*live, -1);
  live->computed += load.size() * block;
  CountPrompt(*live, 1);
  live->record.loaded_tokens += load.size() * block;
  live->high_water = std::max(live->high_water, live->computed);
  Publish(live);
  Book(slot);  // a block that was there already has given way
  if (!live->prefills()) {
    ReleaseGroup(live);
  }
  SchedulePlan(slot);
}

void Scheduler::Impl::DropLoad(LiveRequest* live) {
  loop_->Cancel(live->load_timer);
  live->load_timer = TimerId{};
  live->load.Release();
  if (live->source.size() > 0) {
    live->source.Clear();
    FreedElsewhere(devices_[live->source_device.value]);
  }
}

// What a sequence that has left still held of its pages: rows there and those that wait may have
// waited for it.
void Scheduler::Impl::FreedElsewhere(DeviceSlot& slot) {
  Book(slot);
  PlanAgain(slot);
  PlaceSoon();
}

void Scheduler::Impl::Move(LiveRequest* live, DeviceSlot& slot) {
  const int64_t block = slot.device->kv().block_size();
  const int64_t computed = live->computed;
  device::BlockTable source = std::move(live->table);
  live->table = device::BlockTable(&slot.device->kv());
  Migrate(live, slot);
  const int32_t target =
      computed > 0 ? Route(live, static_cast<int32_t>(slot.device->id().value)) : -1;
  if (target < 0 || !Place(live, devices_[static_cast<size_t>(target)])) {
    source.Clear();
    Book(slot);
    return;  // it waits, and computes again
  }
  DeviceSlot& to = devices_[static_cast<size_t>(target)];
  const int64_t shared = live->computed / block;
  const int64_t blocks = (computed + block - 1) / block - shared;
  const TimePoint link_free = std::max(slot.link_free, to.link_free);
  if (blocks <= 0 || live->computed % block != 0 ||
      !LoadPays(to, live->computed, blocks, link_free)) {
    source.Clear();
    Book(slot);
    return;
  }
  DropLoad(live);
  live->source = std::move(source);
  live->source_device = slot.device->id();
  live->source_computed = computed;
  slot.link_free = to.link_free = std::max(link_free, loop_->Now()) + to.device->LinkTime(blocks);
  const RequestId id = live->record.id;
  live->load_timer = loop_->RunAt(to.link_free, EventClass::kTransferEnd, id.value, [this, id] {
    LiveRequest* moved = Find(id);
    CHECK(moved != nullptr);
    OnMoved(moved);
  });
}

void Scheduler::Impl::OnMoved(LiveRequest* live) {
  DeviceSlot& from = devices_[live->source_device.value];
  DeviceSlot& to = SlotOf(*live);
  const int64_t block = to.device->kv().block_size();
  live->load_timer = TimerId{};
  // What was lost there on the way is computed again here.
  const int64_t intact = live->source.FirstLost();
  const int64_t computed = std::min(live->source_computed, intact * block);
  for (int64_t i = live->computed / block; i * block < computed; ++i) {
    to.device->CopyFromPeer(*from.device, live->source.blocks()[static_cast<size_t>(i)],
                            live->table.blocks()[static_cast<size_t>(i)]);
  }
  live->source.Clear();
  FreedElsewhere(from);
  CountPrompt(*live, -1);
  live->computed = std::max(live->computed, computed);
  CountPrompt(*live, 1);
  Publish(live);
  Book(to);
  SchedulePlan(to);
}

// A device's pages are gone: who was moving away from it computes instead.
void Scheduler::Impl::AbandonMoves(DeviceId device) {
  for (const auto& [id, live] : live_) {
    if (live->source.size() > 0 && live->source_device == device) {
      DropLoad(live.get());
      SchedulePlan(SlotOf(*live));
    }
  }
}

}  // namespace scoville::scheduler
