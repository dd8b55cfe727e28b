#include "scheduler/queue/deadline_book.h"

#include <algorithm>
#include <limits>

#include "base/stable_hash.h"
#include "base/status_macros.h"

namespace scoville::scheduler {
namespace {

using Scaled = __int128;

constexpr Duration kLongest = Duration(std::numeric_limits<int64_t>::max());
// More than any slack: deadlines are below 2^63, the rate below 2^48.
constexpr Scaled kNoLimit = Scaled{1} << 120;

uint64_t Mixed(uint64_t id) {
  StableHasher hasher;
  hasher.Add(id);
  return hasher.hash().low;
}

}  // namespace

Duration RetryAfterSpread(Duration wait, uint64_t id) {
  const Scaled quarter = wait.value() / 4;
  const auto spread = static_cast<int64_t>((quarter * (Mixed(id) >> 32)) >> 32);
  return wait.value() > kLongest.value() - spread ? kLongest : wait + Duration(spread);
}

DeadlineBook::DeadlineBook(Capacity capacity) { SetCapacity(capacity); }

void DeadlineBook::SetCapacity(Capacity capacity) {
  CHECK(capacity.servers >= 0 && capacity.servers <= int64_t{1} << 32);
  CHECK(capacity.share >= 0 && capacity.share <= kWholeShare);
  if (rate_ != 0 && capacity == capacity_) {
    return;
  }
  capacity_ = capacity;
  rate_ = Scaled{capacity.servers} * capacity.share;
  Rebuild(root_);
}

bool DeadlineBook::Before(const Node& node, TimePoint deadline, uint64_t id) const {
  return node.deadline != deadline ? node.deadline < deadline : node.id < id;
}

DeadlineBook::Scaled DeadlineBook::Own(const Node& node) const {
  return node.deadline.ns() * rate_ - Costs(Scaled{capacity_.servers} * node.work);
}

DeadlineBook::Scaled DeadlineBook::Offset(TimePoint now, Duration backlog) const {
  return now.ns() * rate_ + Costs(backlog.value());
}

Duration DeadlineBook::Unscaled(Scaled value) const {
  if (value >= kNoLimit) {
    return kLongest;
  }
  if (rate_ == 0) {
    return value < 0 ? -kLongest : Duration();
  }
  const Scaled whole = value / rate_ - (value % rate_ < 0 ? 1 : 0);
  return Duration(
      static_cast<int64_t>(std::clamp<Scaled>(whole, -Scaled{kLongest.value()}, kLongest.value())));
}

void DeadlineBook::Pull(int32_t n) {
  Node& node = nodes_[static_cast<size_t>(n)];
  Scaled before = 0;
  Scaled least = kNoLimit;
  if (node.left >= 0) {
    const Node& left = nodes_[static_cast<size_t>(node.left)];
    before = left.sum;
    least = left.least;
  }
  least = std::min(least, Own(node) - Costs(before));
  before += node.work;
  if (node.right >= 0) {
    const Node& right = nodes_[static_cast<size_t>(node.right)];
    least = std::min(least, right.least - Costs(before));
    before += right.sum;
  }
  CHECK(before <= std::numeric_limits<int64_t>::max());
  node.sum = static_cast<int64_t>(before);
  node.least = least;
}

// `before`: those that come before (deadline, id); `after`: the others.
void DeadlineBook::Split(int32_t n, TimePoint deadline, uint64_t id, int32_t* before,
                         int32_t* after) {
  if (n < 0) {
    *before = *after = -1;
    return;
  }
  Node& node = nodes_[static_cast<size_t>(n)];
  if (Before(node, deadline, id)) {
    Split(node.right, deadline, id, &node.right, after);
    *before = n;
  } else {
    Split(node.left, deadline, id, before, &node.left);
    *after = n;
  }
  Pull(n);
}

int32_t DeadlineBook::Merge(int32_t a, int32_t b) {
  if (a < 0 || b < 0) {
    return a < 0 ? b : a;
  }
  Node& first = nodes_[static_cast<size_t>(a)];
  Node& second = nodes_[static_cast<size_t>(b)];
  if (first.priority > second.priority) {
    first.right = Merge(first.right, b);
    Pull(a);
    return a;
  }
  second.left = Merge(a, second.left);
  Pull(b);
  return b;
}

int32_t DeadlineBook::Insert(int32_t root, int32_t n) {
  Node& node = nodes_[static_cast<size_t>(n)];
  if (root < 0) {
    Pull(n);
    return n;
  }
  Node& top = nodes_[static_cast<size_t>(root)];
  if (node.priority > top.priority) {
    Split(root, node.deadline, node.id, &node.left, &node.right);
    Pull(n);
    return n;
  }
  if (Before(top, node.deadline, node.id)) {
    top.right = Insert(top.right, n);
  } else {
    top.left = Insert(top.left, n);
  }
  Pull(root);
  return root;
}

int32_t DeadlineBook::Erase(int32_t root, TimePoint deadline, uint64_t id) {
  CHECK_GE(root, 0);
  Node& top = nodes_[static_cast<size_t>(root)];
  if (top.id == id) {
    return Merge(top.left, top.right);
  }
  if (Before(top, deadline, id)) {
    top.right = Erase(top.right, deadline, id);
  } else {
    top.left = Erase(top.left, deadline, id);
  }
  Pull(root);
  return root;
}

void DeadlineBook::Rebuild(int32_t n) {
  if (n >= 0) {
    Rebuild(nodes_[static_cast<size_t>(n)].left);
    Rebuild(nodes_[static_cast<size_t>(n)].right);
    Pull(n);
  }
}

DeadlineBook::Prediction DeadlineBook::Predict(TimePoint now, TimePoint deadline, Duration work,
                                               Duration backlog) const {
  CHECK_GE(work, Duration());
  const Scaled offset = Offset(now, backlog);
  Scaled before = 0;  // work of those that stay before the new entry
  Scaled later = kNoLimit;
  // A subtree's least slack counts from its own first entry: the work before it comes off.
  Scaled passed = 0;
  for (int32_t n = root_; n >= 0;) {
    const Node& node = nodes_[static_cast<size_t>(n)];
    const Scaled left = node.left >= 0 ? nodes_[static_cast<size_t>(node.left)].sum : 0;
    if (node.deadline <= deadline) {
      passed += left + node.work;
      n = node.right;
      continue;
    }
    later = std::min(later, Own(node) - Costs(passed + left));
    if (node.right >= 0) {
      later = std::min(
          later, nodes_[static_cast<size_t>(node.right)].least - Costs(passed + left + node.work));
    }
    n = node.left;
  }
  before = passed;
  const Scaled due = deadline.ns() * rate_;
  const Scaled ends = offset + Costs(before + Scaled{capacity_.servers} * work.value());
  const Scaled own = due - ends;
  if (later != kNoLimit) {
    later -= offset + Costs(work.value());
  }
  const Scaled least = std::min(own, later);
  Prediction result;
  result.feasible = capacity_.servers > 0 && capacity_.share > 0 && least >= 0;
  result.own_slack = rate_ == 0 ? -kLongest : Unscaled(own);
  result.later_slack = Unscaled(later);
  result.finish = TimePoint::Max();
  if (rate_ > 0) {
    const Scaled finish = (ends + rate_ - 1) / rate_;
    result.finish = TimePoint(static_cast<int64_t>(std::min<Scaled>(finish, kLongest.value())));
  }
  if (!result.feasible) {
    result.deficit = rate_ == 0 ? kLongest : -Unscaled(least);
  }
  return result;
}

void DeadlineBook::Add(uint64_t id, TimePoint deadline, Duration work) {
  CHECK_GE(work, Duration());
  int32_t n;
  if (free_.empty()) {
    n = static_cast<int32_t>(nodes_.size());
    nodes_.emplace_back();
  } else {
    n = free_.back();
    free_.pop_back();
  }
  CHECK(where_.emplace(id, n).second);
  Node& node = nodes_[static_cast<size_t>(n)];
  node = Node();
  node.deadline = deadline;
  node.id = id;
  node.priority = Mixed(id);
  node.work = work.value();
  root_ = Insert(root_, n);
}

void DeadlineBook::Remove(uint64_t id) {
  const auto it = where_.find(id);
  CHECK(it != where_.end());
  const int32_t n = it->second;
  root_ = Erase(root_, nodes_[static_cast<size_t>(n)].deadline, id);
  free_.push_back(n);
  where_.erase(it);
}

void DeadlineBook::SetWork(uint64_t id, Duration work) {
  const auto it = where_.find(id);
  CHECK(it != where_.end());
  const TimePoint deadline = nodes_[static_cast<size_t>(it->second)].deadline;
  Remove(id);
  Add(id, deadline, work);
}

int32_t DeadlineBook::FirstLate(Scaled offset) const {
  if (root_ < 0 || nodes_[static_cast<size_t>(root_)].least >= offset) {
    return -1;
  }
  Scaled before = offset;
  for (int32_t n = root_;;) {
    const Node& node = nodes_[static_cast<size_t>(n)];
    if (node.left >= 0) {
      const Node& left = nodes_[static_cast<size_t>(node.left)];
      if (left.least < before) {
        n = node.left;
        continue;
      }
      before += Costs(left.sum);
    }
    if (Own(node) < before) {
      return n;
    }
    before += Costs(node.work);
    n = node.right;
    CHECK_GE(n, 0);
  }
}

std::vector<uint64_t> DeadlineBook::Demote(TimePoint now, Duration backlog) {
  std::vector<uint64_t> lost;
  const Scaled offset = Offset(now, backlog);
  for (int32_t n = FirstLate(offset); n >= 0; n = FirstLate(offset)) {
    lost.push_back(nodes_[static_cast<size_t>(n)].id);
    Remove(lost.back());
  }
  return lost;
}

Duration DeadlineBook::total_work() const {
  return Duration(root_ < 0 ? 0 : nodes_[static_cast<size_t>(root_)].sum);
}

Duration DeadlineBook::LeastSlack(TimePoint now, Duration backlog) const {
  if (root_ < 0) {
    return kLongest;
  }
  return Unscaled(nodes_[static_cast<size_t>(root_)].least - Offset(now, backlog));
}

Duration DeadlineBook::SlackOf(uint64_t id, TimePoint now, Duration backlog) const {
  const auto it = where_.find(id);
  CHECK(it != where_.end());
  const Node& wanted = nodes_[static_cast<size_t>(it->second)];
  Scaled before = 0;
  for (int32_t n = root_; n >= 0;) {
    const Node& node = nodes_[static_cast<size_t>(n)];
    const Scaled left = node.left >= 0 ? nodes_[static_cast<size_t>(node.left)].sum : 0;
    if (n == it->second) {
      before += left;
      break;
    }
    if (Before(node, wanted.deadline, wanted.id)) {
      before += left + node.work;
      n = node.right;
    } else {
      n = node.left;
    }
  }
  return Unscaled(Own(wanted) - Costs(before) - Offset(now, backlog));
}

std::vector<uint64_t> DeadlineBook::Ids() const {
  std::vector<uint64_t> ids;
  std::vector<int32_t> path;
  for (int32_t n = root_; n >= 0 || !path.empty();) {
    while (n >= 0) {
      path.push_back(n);
      n = nodes_[static_cast<size_t>(n)].left;
    }
    n = path.back();
    path.pop_back();
    ids.push_back(nodes_[static_cast<size_t>(n)].id);
    n = nodes_[static_cast<size_t>(n)].right;
  }
  return ids;
}

int64_t DeadlineBook::CheckSubtree(int32_t n) const {
  if (n < 0) {
    return 0;
  }
  const Node& node = nodes_[static_cast<size_t>(n)];
  for (const int32_t child : {node.left, node.right}) {
    if (child >= 0) {
      CHECK_GE(node.priority, nodes_[static_cast<size_t>(child)].priority);
    }
  }
  CHECK(where_.contains(node.id) && where_.at(node.id) == n);
  return 1 + CheckSubtree(node.left) + CheckSubtree(node.right);
}

void DeadlineBook::CheckInvariants() const {
  CHECK_EQ(CheckSubtree(root_), size());
  CHECK_EQ(static_cast<int64_t>(nodes_.size()), size() + static_cast<int64_t>(free_.size()));
  // One walk in order says what the tree holds in sums.
  Scaled before = 0;
  Scaled least = kNoLimit;
  const Node* last = nullptr;
  for (const uint64_t id : Ids()) {
    const Node& node = nodes_[static_cast<size_t>(where_.at(id))];
    CHECK(last == nullptr || Before(*last, node.deadline, node.id));
    least = std::min(least, Own(node) - Costs(before));
    before += node.work;
    last = &node;
  }
  CHECK_EQ(Duration(static_cast<int64_t>(before)), total_work());
  if (root_ >= 0) {
    CHECK(nodes_[static_cast<size_t>(root_)].least == least);
  }
}

}  // namespace scoville::scheduler
