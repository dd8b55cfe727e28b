#include "tests/reference/queue/reference_queue.h"

#include <algorithm>
#include <tuple>

#include "base/status_macros.h"

namespace scoville::tests {

using scheduler::QueueEntry;
using scheduler::QueueLoad;
using scheduler::QueuePolicy;
using scheduler::RankKey;

ReferenceQueue::Item& ReferenceQueue::At(uint64_t id) {
  for (Item& item : items_) {
    if (item.entry.id == id) {
      return item;
    }
  }
  CHECK(false);
}

std::string ReferenceQueue::Flow(const Item& item) const {
  return options_.fairness.enabled ? item.tenant : "all";
}

int64_t ReferenceQueue::Scaled(const std::string& tenant, int64_t cost) const {
  if (!options_.fairness.enabled) {
    return 0;
  }
  const auto it = options_.fairness.weights.find(tenant);
  const int64_t weight = it == options_.fairness.weights.end() ? 65536 : it->second;
  const int64_t whole = cost < 0 ? -cost : cost;
  const int64_t up = (whole * 65536 + weight - 1) / weight;
  return cost < 0 ? -up : up;
}

int64_t ReferenceQueue::Due(const Item& item) const {
  return options_.policy == QueuePolicy::kEdf ? item.entry.due.ns() : 0;
}

int64_t ReferenceQueue::TimeOf(const Times& times, int line, const std::string& flow) {
  const auto it = times.find({line, flow});
  return it == times.end() ? 0 : it->second;
}

const ReferenceQueue::Item* ReferenceQueue::Next(const std::vector<Item>& items, int line,
                                                 const Times& times,
                                                 const Times& since_late) const {
  // First every flow's own first, then the flow that is furthest behind.
  std::map<std::string, const Item*> heads;
  for (const Item& item : items) {
    if (item.held || item.state != State::kFresh || item.line != line) {
      continue;
    }
    const Item*& head = heads[Flow(item)];
    // Late ones after the others, but before them when it is their turn.
    const bool turn = TimeOf(since_late, line, Flow(item)) + 1 >= options_.late_share;
    const auto place = [&](const Item& i) {
      return std::make_tuple(i.late != turn, Due(i), i.entry.id);
    };
    if (head == nullptr || place(item) < place(*head)) {
      head = &item;
    }
  }
  const Item* best = nullptr;
  const auto key = [&](const Item* item) {
    return std::make_tuple(TimeOf(times, line, Flow(*item)), Due(*item), item->entry.id);
  };
  for (const auto& [flow, head] : heads) {
    if (best == nullptr || key(head) < key(best)) {
      best = head;
    }
  }
  return best;
}

bool ReferenceQueue::LateWaits(const std::vector<Item>& items, int line,
                               const std::string& flow) const {
  return std::any_of(items.begin(), items.end(), [&](const Item& item) {
    return !item.held && item.state == State::kFresh && item.late && item.line == line &&
           Flow(item) == flow;
  });
}

void ReferenceQueue::CountTurn(const Item& taken, const std::vector<Item>& rest,
                               Times* since_late) const {
  int64_t& since = (*since_late)[{taken.line, Flow(taken)}];
  since = taken.late || !LateWaits(rest, taken.line, Flow(taken)) ? 0 : since + 1;
}

void ReferenceQueue::Lift(const Item& item) {
  int64_t& time = times_[{item.line, Flow(item)}];
  for (const Item& other : items_) {
    if (!other.held && other.state == State::kFresh && other.line == item.line &&
        Flow(other) == Flow(item)) {
      return;  // it has something waiting already
    }
  }
  const Item* next = Next(items_, item.line, times_, since_late_);
  const int64_t floor =
      next == nullptr ? floor_[item.line] : TimeOf(times_, item.line, Flow(*next));
  time = std::max(time, floor);
}

void ReferenceQueue::Push(const QueueEntry& entry) {
  Item item;
  item.entry = entry;
  item.tenant = std::string(entry.tenant);
  item.line = static_cast<int>(entry.service_class);
  item.held = entry.held;
  if (!item.held) {
    Lift(item);
  }
  items_.push_back(item);
}

void ReferenceQueue::Hold(uint64_t id) {
  At(id).held = true;
  NoLateLeft(At(id));
}

void ReferenceQueue::NoLateLeft(const Item& gone) {
  if (gone.state == State::kFresh && !LateWaits(items_, gone.line, Flow(gone))) {
    since_late_[{gone.line, Flow(gone)}] = 0;
  }
}

void ReferenceQueue::Release(uint64_t id) {
  Item& item = At(id);
  if (item.state == State::kFresh) {
    Lift(item);
  }
  item.held = false;
}

std::vector<uint64_t> ReferenceQueue::Order() const {
  std::vector<uint64_t> order;
  for (int line = 0; line < 3; ++line) {
    std::vector<RankKey> restored;
    for (const Item& item : items_) {
      if (!item.held && item.state == State::kRestored && item.line == line) {
        restored.push_back(item.key);
      }
    }
    std::sort(restored.begin(), restored.end());
    for (const RankKey& key : restored) {
      order.push_back(key.id);
    }
    std::vector<Item> items = items_;
    Times times = times_;
    Times since_late = since_late_;
    while (const Item* next = Next(items, line, times, since_late)) {
      const Item taken = *next;
      order.push_back(taken.entry.id);
      times[{line, Flow(taken)}] += Scaled(taken.tenant, taken.entry.cost);
      items.erase(items.begin() + (next - items.data()));
      CountTurn(taken, items, &since_late);
    }
  }
  return order;
}

RankKey ReferenceQueue::Take(uint64_t id) {
  Item& item = At(id);
  if (item.state == State::kFresh) {
    int64_t& time = times_[{item.line, Flow(item)}];
    item.key = {static_cast<uint8_t>(item.line), true, time, item.late, TimePoint(Due(item)), id};
    floor_[item.line] = time;
    time += Scaled(item.tenant, item.entry.cost);
    item.unserved = item.entry.cost;
    item.charged_in = item.line;
    item.state = State::kTaken;
    CountTurn(item, items_, &since_late_);
  }
  item.state = State::kTaken;
  return item.key;
}

void ReferenceQueue::Restore(uint64_t id, const RankKey& key) {
  Item& item = At(id);
  item.state = State::kRestored;
  item.key = key;
}

void ReferenceQueue::Serve(uint64_t id, int64_t cost) {
  Item& item = At(id);
  const int64_t beyond = std::max<int64_t>(cost - item.unserved, 0);
  item.unserved = std::max<int64_t>(item.unserved - cost, 0);
  times_[{item.charged_in, Flow(item)}] += Scaled(item.tenant, beyond);
}

int64_t ReferenceQueue::Remove(uint64_t id) {
  const Item item = At(id);
  items_.erase(items_.begin() + (&At(id) - items_.data()));
  if (!item.held) {
    NoLateLeft(item);
  }
  times_[{item.charged_in, Flow(item)}] -= Scaled(item.tenant, item.unserved);
  return item.unserved;
}

void ReferenceQueue::MakeLate(uint64_t id) { At(id).late = options_.late_share > 0; }

// In the order in which they came of age, then of ids, as time would have had it.
void ReferenceQueue::Age(TimePoint now) {
  AgeClasses(now);
  for (Item& item : items_) {
    if (!item.held && item.state == State::kFresh && item.entry.late_at <= now) {
      MakeLate(item.entry.id);
    }
  }
}

void ReferenceQueue::AgeClasses(TimePoint now) {
  while (options_.class_ageing > Duration()) {
    Item* next = nullptr;
    TimePoint next_at;
    for (Item& item : items_) {
      if (item.held || item.state == State::kTaken || item.line == 0) {
        continue;
      }
      const int64_t classes_up = static_cast<int>(item.entry.service_class) - item.line + 1;
      const TimePoint at = item.entry.arrival + options_.class_ageing * classes_up;
      if (at <= now && (next == nullptr || std::make_tuple(at, item.entry.id) <
                                               std::make_tuple(next_at, next->entry.id))) {
        next = &item;
        next_at = at;
      }
    }
    if (next == nullptr) {
      return;
    }
    Item moved = *next;
    items_.erase(items_.begin() + (next - items_.data()));
    NoLateLeft(moved);
    --moved.line;
    moved.key.service_class = static_cast<uint8_t>(moved.line);
    if (moved.state == State::kFresh) {
      Lift(moved);
    }
    items_.push_back(moved);
  }
}

QueueLoad ReferenceQueue::Load(int service_class, const std::string& tenant) const {
  QueueLoad load;
  for (const Item& item : items_) {
    if (item.state != State::kTaken &&
        (service_class < 0 || static_cast<int>(item.entry.service_class) == service_class) &&
        (tenant.empty() || item.tenant == tenant)) {
      ++load.requests;
      load.tokens += item.entry.tokens;
      load.bytes += item.entry.bytes;
      load.time += item.entry.time;
    }
  }
  return load;
}

}  // namespace scoville::tests
