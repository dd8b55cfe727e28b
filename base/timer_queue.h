// The ordered set of pending events that every EventLoop is built on.
//
// An indexed 4-ary heap over slots: push, cancel and pop are O(log n), and memory is reused, so a
// steady load allocates nothing. Order: (time, class, id, sequence), where the sequence counts the
// pushes of this queue and so only breaks ties within one id.
//
// Ownership: owned by value by a loop; owns the callbacks.
// Threading: the loop's thread only.
// Errors: see EventLoop; a full queue (2^32 pending events) is a CHECK failure.
#ifndef SCOVILLE_BASE_TIMER_QUEUE_H_
#define SCOVILLE_BASE_TIMER_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/event_loop.h"
#include "base/units.h"

namespace scoville {

class TimerQueue {
 public:
  TimerQueue() = default;
  TimerQueue(const TimerQueue&) = delete;
  TimerQueue& operator=(const TimerQueue&) = delete;

  TimerId Push(TimePoint when, EventClass event_class, uint64_t id, EventCallback callback);
  bool Cancel(TimerId timer);

  bool empty() const { return heap_.empty(); }
  size_t size() const { return heap_.size(); }
  // Time of the first event; TimePoint::Max() when empty.
  TimePoint NextTime() const;

  // Takes the first event off and runs it. Precondition: not empty. While it runs, a Push for the
  // same instant must be of a higher class.
  void RunNext();

 private:
  struct Key {
    TimePoint when;
    EventClass event_class;
    uint64_t id;
    uint64_t sequence;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  struct Slot {
    Key key{};
    EventCallback callback;
    uint32_t heap_index = 0;
    uint32_t generation = 0;
  };

  void Place(size_t heap_index, uint32_t slot);
  void SiftUp(size_t heap_index);
  void SiftDown(size_t heap_index);
  void RemoveAt(size_t heap_index);
  bool Before(uint32_t a, uint32_t b) const { return slots_[a].key < slots_[b].key; }

  std::vector<Slot> slots_;
  std::vector<uint32_t> heap_;
  std::vector<uint32_t> free_;
  uint64_t next_sequence_ = 0;
  bool running_ = false;
  Key running_key_{};
};

}  // namespace scoville

#endif  // SCOVILLE_BASE_TIMER_QUEUE_H_
