#include "base/timer_queue.h"

#include <utility>

#include "base/status_macros.h"

namespace scoville {

namespace {
constexpr size_t kArity = 4;
}  // namespace

TimerId TimerQueue::Push(TimePoint when, EventClass event_class, uint64_t id,
                         EventCallback callback) {
  if (running_) {
    CHECK(when > running_key_.when ||
          (when == running_key_.when && event_class > running_key_.event_class));
  }
  uint32_t slot;
  if (free_.empty()) {
    CHECK_LT(slots_.size(), size_t{UINT32_MAX});
    slot = static_cast<uint32_t>(slots_.size());
    slots_.emplace_back();
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  Slot& s = slots_[slot];
  s.key = Key{when, event_class, id, next_sequence_++};
  s.callback = std::move(callback);
  // Generation 0 is reserved for "names nothing".
  s.generation = s.generation == UINT32_MAX ? 1 : s.generation + 1;
  heap_.push_back(slot);
  Place(heap_.size() - 1, slot);
  SiftUp(heap_.size() - 1);
  return TimerId{slot, s.generation};
}

bool TimerQueue::Cancel(TimerId timer) {
  if (!timer || timer.slot >= slots_.size()) {
    return false;
  }
  Slot& s = slots_[timer.slot];
  if (s.generation != timer.generation || s.heap_index == UINT32_MAX) {
    return false;
  }
  RemoveAt(s.heap_index);
  s.callback = nullptr;
  free_.push_back(timer.slot);
  return true;
}

TimePoint TimerQueue::NextTime() const {
  return heap_.empty() ? TimePoint::Max() : slots_[heap_[0]].key.when;
}

void TimerQueue::RunNext() {
  CHECK(!heap_.empty());
  CHECK(!running_);
  const uint32_t slot = heap_[0];
  running_key_ = slots_[slot].key;
  EventCallback callback = std::move(slots_[slot].callback);
  slots_[slot].callback = nullptr;
  RemoveAt(0);
  free_.push_back(slot);
  running_ = true;
  callback();
  running_ = false;
}

void TimerQueue::Place(size_t heap_index, uint32_t slot) {
  heap_[heap_index] = slot;
  slots_[slot].heap_index = static_cast<uint32_t>(heap_index);
}

void TimerQueue::SiftUp(size_t heap_index) {
  const uint32_t slot = heap_[heap_index];
  while (heap_index > 0) {
    const size_t parent = (heap_index - 1) / kArity;
    if (!Before(slot, heap_[parent])) {
      break;
    }
    Place(heap_index, heap_[parent]);
    heap_index = parent;
  }
  Place(heap_index, slot);
}

void TimerQueue::SiftDown(size_t heap_index) {
  const uint32_t slot = heap_[heap_index];
  while (true) {
    const size_t first = heap_index * kArity + 1;
    if (first >= heap_.size()) {
      break;
    }
    size_t best = first;
    for (size_t child = first + 1; child < first + kArity && child < heap_.size(); ++child) {
      if (Before(heap_[child], heap_[best])) {
        best = child;
      }
    }
    if (!Before(heap_[best], slot)) {
      break;
    }
    Place(heap_index, heap_[best]);
    heap_index = best;
  }
  Place(heap_index, slot);
}

void TimerQueue::RemoveAt(size_t heap_index) {
  slots_[heap_[heap_index]].heap_index = UINT32_MAX;
  const uint32_t last = heap_.back();
  heap_.pop_back();
  if (heap_index == heap_.size()) {
    return;
  }
  Place(heap_index, last);
  SiftUp(heap_index);
  SiftDown(slots_[last].heap_index);
}

}  // namespace scoville
