#include "scheduler/routing/load_heap.h"

#include <algorithm>

#include "base/status_macros.h"

namespace scoville::scheduler {

void LoadHeap::Set(const LoadKey& key) {
  CHECK(key.device >= 0 && static_cast<size_t>(key.device) < where_.size());
  const int32_t at = where_[static_cast<size_t>(key.device)];
  if (at < 0) {
    nodes_.push_back(key);
    Up(nodes_.size() - 1, key);
    return;
  }
  const size_t i = static_cast<size_t>(at);
  if (key < nodes_[i]) {
    Up(i, key);
  } else {
    Down(i, key);
  }
}

void LoadHeap::Erase(int32_t device) {
  const int32_t at = where_[static_cast<size_t>(device)];
  if (at < 0) {
    return;
  }
  where_[static_cast<size_t>(device)] = -1;
  const LoadKey last = nodes_.back();
  nodes_.pop_back();
  const size_t i = static_cast<size_t>(at);
  if (i == nodes_.size()) {
    return;
  }
  if (i > 0 && last < nodes_[(i - 1) / kArity]) {
    Up(i, last);
  } else {
    Down(i, last);
  }
}

void LoadHeap::Up(size_t i, const LoadKey& key) {
  while (i > 0) {
    const size_t parent = (i - 1) / kArity;
    if (nodes_[parent] <= key) {
      break;
    }
    Put(i, nodes_[parent]);
    i = parent;
  }
  Put(i, key);
}

void LoadHeap::Down(size_t i, const LoadKey& key) {
  while (true) {
    const size_t first = kArity * i + 1;
    if (first >= nodes_.size()) {
      break;
    }
    size_t least = first;
    for (size_t child = first + 1; child < std::min(first + kArity, nodes_.size()); ++child) {
      if (nodes_[child] < nodes_[least]) {
        least = child;
      }
    }
    if (key <= nodes_[least]) {
      break;
    }
    Put(i, nodes_[least]);
    i = least;
  }
  Put(i, key);
}

bool LoadHeap::Walk(size_t most, absl::FunctionRef<bool(const LoadKey& key)> visit) {
  // The next in order is always among the children of those visited: a heap of candidates.
  const auto later = [this](uint32_t a, uint32_t b) { return nodes_[b] < nodes_[a]; };
  frontier_.clear();
  if (!nodes_.empty()) {
    frontier_.push_back(0);
  }
  for (size_t visited = 0; !frontier_.empty(); ++visited) {
    if (visited == most) {
      return false;
    }
    std::pop_heap(frontier_.begin(), frontier_.end(), later);
    const uint32_t i = frontier_.back();
    frontier_.pop_back();
    if (!visit(nodes_[i])) {
      return true;
    }
    const size_t first = kArity * i + 1;
    for (size_t child = first; child < std::min(first + kArity, nodes_.size()); ++child) {
      frontier_.push_back(static_cast<uint32_t>(child));
      std::push_heap(frontier_.begin(), frontier_.end(), later);
    }
  }
  return true;
}

void LoadHeap::CheckInvariants() const {
  size_t there = 0;
  for (const int32_t at : where_) {
    there += at >= 0 ? 1 : 0;
  }
  CHECK_EQ(there, nodes_.size());
  for (size_t i = 0; i < nodes_.size(); ++i) {
    CHECK_EQ(where_[static_cast<size_t>(nodes_[i].device)], static_cast<int32_t>(i));
    CHECK(i == 0 || nodes_[(i - 1) / kArity] < nodes_[i]);
  }
}

}  // namespace scoville::scheduler
