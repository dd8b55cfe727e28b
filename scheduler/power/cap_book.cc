#include "scheduler/power/cap_book.h"

#include <algorithm>

#include "base/status_macros.h"

namespace scoville::scheduler {

CapBook::CapBook(const BudgetTree* tree, absl::Span<const Power> limits,
                 absl::Span<const Power> caps)
    : tree_(tree), limits_(limits.begin(), limits.end()), sums_(tree->SumsOf(caps)) {
  CHECK_EQ(limits.size(), tree->nodes().size());
  for (const Power cap : caps) {
    CHECK_LE(Power(), cap);
    entries_.push_back({cap, cap, TimePoint(), {}, Presence::kPresent});
  }
  for (size_t i = 0; i < limits_.size(); ++i) {
    in_force_.push_back(std::max(limits_[i], sums_[i]));
  }
}

void CapBook::Add(Power cap) {
  CHECK_LE(Power(), cap);
  const uint32_t device = static_cast<uint32_t>(entries_.size());
  CHECK_LT(device, tree_->devices());
  entries_.push_back({cap, cap, now_, {}, Presence::kPresent});
  Recount(device, Power());
  for (size_t i = 0; i < limits_.size(); ++i) {
    in_force_[i] = std::max(in_force_[i], sums_[i]);
  }
}

void CapBook::SetLimits(absl::Span<const Power> limits) {
  CHECK_EQ(limits.size(), limits_.size());
  limits_.assign(limits.begin(), limits.end());
  Settle();
}

void CapBook::Advance(TimePoint now) {
  CHECK_GE(now, now_);
  if (now == now_) {
    return;  // what is due was taken; a decrease that holds at once is never pending
  }
  now_ = now;
  for (uint32_t device = 0; device < entries_.size(); ++device) {
    Entry& entry = entries_[device];
    const Power before = entry.counted;
    size_t due = 0;
    while (due < entry.pending.size() && entry.pending[due].at <= now) {
      entry.counted = entry.pending[due].cap;
      ++due;
    }
    if (due > 0) {
      entry.pending.erase(entry.pending.begin(), entry.pending.begin() + due);
      Recount(device, before);
    }
  }
  Settle();
}

std::optional<TimePoint> CapBook::NextChange() const {
  std::optional<TimePoint> next;
  for (const Entry& entry : entries_) {
    if (!entry.pending.empty() && (!next || entry.pending.front().at < *next)) {
      next = entry.pending.front().at;
    }
  }
  return next;
}

std::vector<CapCommand> CapBook::Decreases(absl::Span<const Power> targets) const {
  CHECK_EQ(targets.size(), entries_.size());
  std::vector<CapCommand> commands;
  for (uint32_t device = 0; device < entries_.size(); ++device) {
    const Entry& entry = entries_[device];
    if (entry.presence == Presence::kPresent && targets[device] < entry.cap) {
      commands.push_back({device, targets[device]});
    }
  }
  return commands;
}

std::vector<CapCommand> CapBook::Increases(absl::Span<const Power> targets) const {
  CHECK_EQ(targets.size(), entries_.size());
  std::vector<CapCommand> commands;
  std::vector<Power> sums = sums_;
  for (uint32_t device = 0; device < entries_.size(); ++device) {
    const Entry& entry = entries_[device];
    if (entry.presence != Presence::kPresent || targets[device] <= entry.cap) {
      continue;
    }
    // Below what the device counts at anyway a raise costs nothing.
    const Power affordable = entry.counted + RoomFor(device, sums);
    const Power cap = std::min(targets[device], affordable);
    if (cap <= entry.cap) {
      continue;
    }
    commands.push_back({device, cap});
    const Power more = std::max(Power(), cap - entry.counted);
    for (int at = tree_->HomeOf(device); at >= 0; at = tree_->nodes()[at].parent) {
      sums[at] += more;
    }
  }
  return commands;
}

void CapBook::Commit(const CapCommand& command, TimePoint now, TimePoint effective_at) {
  CHECK_LE(command.device + size_t{1}, entries_.size());
  CHECK_GE(effective_at, now);
  CHECK_LE(Power(), command.cap);
  Advance(now);
  Entry& entry = entries_[command.device];
  CHECK(entry.presence == Presence::kPresent);
  const Power before = entry.counted;
  if (command.cap > entry.cap) {
    CHECK_LE(command.cap, before + RoomFor(command.device, sums_));
    Raise(&entry, command.cap, effective_at);
  } else if (command.cap < entry.cap) {
    Lower(&entry, command.cap, now, effective_at);
  }
  entry.cap = command.cap;
  Recount(command.device, before);
  Settle();
}

void CapBook::Raise(Entry* entry, Power cap, TimePoint effective_at) {
  entry->counted = std::max(entry->counted, cap);
  std::vector<Pending> kept;
  for (const Pending& step : entry->pending) {
    const Pending raised = {step.at, std::max(step.cap, cap)};
    const Power above = kept.empty() ? entry->counted : kept.back().cap;
    if (raised.cap < above) {
      kept.push_back(raised);
    }
  }
  entry->pending = std::move(kept);
  entry->effective_at =
      entry->pending.empty() ? effective_at : std::max(effective_at, entry->pending.back().at);
}

void CapBook::Lower(Entry* entry, Power cap, TimePoint now, TimePoint effective_at) {
  entry->effective_at = effective_at;
  // What was to come later bounds less than this one does.
  while (!entry->pending.empty() && entry->pending.back().at >= effective_at) {
    entry->pending.pop_back();
  }
  if (effective_at <= now) {
    entry->pending.clear();
    entry->counted = cap;
    return;
  }
  entry->pending.push_back({effective_at, cap});
}

void CapBook::Lose(uint32_t device) {
  if (entries_[device].presence == Presence::kPresent) {
    entries_[device].presence = Presence::kLost;
    // A decrease it may not carry out any more cannot be counted on.
    entries_[device].pending.clear();
  }
}

void CapBook::Fence(uint32_t device, Power off) {
  Entry& entry = entries_[device];
  const Power before = entry.counted;
  entry.presence = Presence::kFenced;
  entry.pending.clear();
  entry.counted = std::min(entry.counted, off);
  entry.cap = entry.counted;
  entry.effective_at = now_;
  Recount(device, before);
  Settle();
}

bool CapBook::Return(uint32_t device, Power cap) {
  Entry& entry = entries_[device];
  const Power before = entry.counted;
  if (cap > before + RoomFor(device, sums_)) {
    return false;
  }
  // Whatever it was counted at, its windows have seen no more: but a device that was lost, not
  // fenced, may still hold its old cap, so it keeps counting at that until it is sent a lower one.
  entry.presence = Presence::kPresent;
  entry.counted = std::max(before, cap);
  entry.cap = entry.counted;
  Recount(device, before);
  Settle();
  return true;
}

Power CapBook::RoomFor(uint32_t device, absl::Span<const Power> sums) const {
  return RoomAt(tree_->HomeOf(device), sums);
}

Power CapBook::RoomAt(int node) const { return RoomAt(node, sums_); }

Power CapBook::RoomAt(int node, absl::Span<const Power> sums) const {
  Power room = Power(INT64_MAX / 4);
  for (int at = node; at >= 0; at = tree_->nodes()[at].parent) {
    room = std::min(room, std::min(limits_[at], in_force_[at]) - sums[at]);
  }
  return std::max(room, Power());
}

void CapBook::Recount(uint32_t device, Power before) {
  const Power change = entries_[device].counted - before;
  for (int at = tree_->HomeOf(device); at >= 0; at = tree_->nodes()[at].parent) {
    sums_[at] += change;
  }
}

void CapBook::Settle() {
  for (size_t i = 0; i < limits_.size(); ++i) {
    if (sums_[i] <= limits_[i]) {
      in_force_[i] = limits_[i];
    }
    CHECK_LE(sums_[i], in_force_[i]);
  }
}

}  // namespace scoville::scheduler
