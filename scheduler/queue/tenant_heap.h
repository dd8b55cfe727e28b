// Tenants with something waiting, least virtual time first: an indexed heap with four children a
// node.
//
// Four children halve the depth of a binary heap, and keys lie beside each other (LaMarca, Ladner,
// "The influence of caches on the performance of heaps", JEA 1996).
//
// Threading: engine thread only. Errors: a flow that is not there is a CHECK.
#ifndef SCOVILLE_SCHEDULER_QUEUE_TENANT_HEAP_H_
#define SCOVILLE_SCHEDULER_QUEUE_TENANT_HEAP_H_

#include <compare>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace scoville::scheduler {

// Where a flow stands: by its virtual time, then by its first request.
struct FlowKey {
  int64_t tag = 0;
  int64_t due = 0;
  uint64_t id = 0;
  friend auto operator<=>(const FlowKey&, const FlowKey&) = default;
};

class TenantHeap {
 public:
  struct Node {
    FlowKey key;
    uint32_t flow = 0;
  };
  static constexpr size_t kArity = 4;

  bool empty() const { return nodes_.empty(); }
  size_t size() const { return nodes_.size(); }
  const Node& top() const { return nodes_.front(); }
  // Children of i are kArity * i + 1 and the following.
  const Node& node(size_t i) const { return nodes_[i]; }
  bool Contains(uint32_t flow) const { return flow < where_.size() && where_[flow] >= 0; }
  const Node& Of(uint32_t flow) const;

  // Adds the flow or moves it to its new place.
  void Set(uint32_t flow, const FlowKey& key);
  void Erase(uint32_t flow);

  void CheckInvariants() const;

 private:
  void Up(size_t i, const Node& node);
  void Down(size_t i, const Node& node);
  void Put(size_t i, const Node& node) {
    nodes_[i] = node;
    where_[node.flow] = static_cast<int32_t>(i);
  }

  std::vector<Node> nodes_;
  std::vector<int32_t> where_;  // by flow; -1: not in the heap
};

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_QUEUE_TENANT_HEAP_H_
