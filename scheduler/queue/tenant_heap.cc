#include "scheduler/queue/tenant_heap.h"

#include <algorithm>

#include "base/status_macros.h"

namespace scoville::scheduler {

const TenantHeap::Node& TenantHeap::Of(uint32_t flow) const {
  CHECK(Contains(flow));
  return nodes_[static_cast<size_t>(where_[flow])];
}

void TenantHeap::Set(uint32_t flow, const FlowKey& key) {
  if (flow >= where_.size()) {
    where_.resize(flow + 1, -1);
  }
  const Node node = {key, flow};
  size_t i;
  if (where_[flow] < 0) {
    i = nodes_.size();
    nodes_.push_back(node);
    where_[flow] = static_cast<int32_t>(i);
  } else {
    i = static_cast<size_t>(where_[flow]);
  }
  if (i > 0 && key < nodes_[(i - 1) / kArity].key) {
    Up(i, node);
  } else {
    Down(i, node);
  }
}

void TenantHeap::Erase(uint32_t flow) {
  CHECK(Contains(flow));
  const auto i = static_cast<size_t>(where_[flow]);
  where_[flow] = -1;
  const Node last = nodes_.back();
  nodes_.pop_back();
  if (i == nodes_.size()) {
    return;
  }
  if (i > 0 && last.key < nodes_[(i - 1) / kArity].key) {
    Up(i, last);
  } else {
    Down(i, last);
  }
}

void TenantHeap::Up(size_t i, const Node& node) {
  while (i > 0) {
    const size_t parent = (i - 1) / kArity;
    if (!(node.key < nodes_[parent].key)) {
      break;
    }
    Put(i, nodes_[parent]);
    i = parent;
  }
  Put(i, node);
}

void TenantHeap::Down(size_t i, const Node& node) {
  while (true) {
    const size_t first = kArity * i + 1;
    if (first >= nodes_.size()) {
      break;
    }
    size_t least = first;
    const size_t end = std::min(first + kArity, nodes_.size());
    for (size_t child = first + 1; child < end; ++child) {
      if (nodes_[child].key < nodes_[least].key) {
        least = child;
      }
    }
    if (!(nodes_[least].key < node.key)) {
      break;
    }
    Put(i, nodes_[least]);
    i = least;
  }
  Put(i, node);
}

void TenantHeap::CheckInvariants() const {
  for (size_t i = 0; i < nodes_.size(); ++i) {
    CHECK_EQ(where_[nodes_[i].flow], static_cast<int32_t>(i));
    if (i > 0) {
      CHECK(nodes_[(i - 1) / kArity].key < nodes_[i].key);
    }
  }
  CHECK_EQ(static_cast<size_t>(
               std::count_if(where_.begin(), where_.end(), [](int32_t w) { return w >= 0; })),
           nodes_.size());
}

}  // namespace scoville::scheduler
