// Devices in the order of what is booked on them: an indexed heap with four children a node, whose
// first few can be walked in order without changing it.
//
// Threading: engine thread. Errors: a device outside the pool is a CHECK.
#ifndef SCOVILLE_SCHEDULER_ROUTING_LOAD_HEAP_H_
#define SCOVILLE_SCHEDULER_ROUTING_LOAD_HEAP_H_

#include <compare>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"

namespace scoville::scheduler {

// Least first; the device makes the order total.
struct LoadKey {
  int64_t work = 0;
  int64_t running = 0;
  int64_t used_blocks = 0;
  uint64_t booked = 0;  // number of its last booking, 0: never
  int32_t device = -1;
  friend auto operator<=>(const LoadKey&, const LoadKey&) = default;
};

class LoadHeap {
 public:
  explicit LoadHeap(int32_t devices) : where_(static_cast<size_t>(devices), -1) {}

  // One device more; it is not in the heap.
  void AddDevice() { where_.push_back(-1); }

  size_t size() const { return nodes_.size(); }
  bool Contains(int32_t device) const { return where_[static_cast<size_t>(device)] >= 0; }

  // Whether the device stands in it under this very key.
  bool Holds(const LoadKey& key) const {
    const int32_t at = where_[static_cast<size_t>(key.device)];
    return at >= 0 && nodes_[static_cast<size_t>(at)] == key;
  }

  // Adds the device of the key or moves it to its new place.
  void Set(const LoadKey& key);
  // Nothing happens if it is not there.
  void Erase(int32_t device);
  // Calls `visit` with the least, the next, and so on, until it returns false, the heap ends or
  // `most` were visited; O(log most) each. Returns whether all there are were visited or `visit`
  // had enough.
  bool Walk(size_t most, absl::FunctionRef<bool(const LoadKey& key)> visit);

  void CheckInvariants() const;

 private:
  static constexpr size_t kArity = 4;

  void Up(size_t i, const LoadKey& key);
  void Down(size_t i, const LoadKey& key);
  void Put(size_t i, const LoadKey& key) {
    nodes_[i] = key;
    where_[static_cast<size_t>(key.device)] = static_cast<int32_t>(i);
  }

  std::vector<LoadKey> nodes_;
  std::vector<int32_t> where_;      // by device; -1: not in the heap
  std::vector<uint32_t> frontier_;  // of a walk, kept for its memory
};

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_ROUTING_LOAD_HEAP_H_
