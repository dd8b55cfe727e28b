#include "scheduler/queue/request_queue.h"

#include <algorithm>
#include <limits>

#include "base/status_macros.h"

namespace scoville::scheduler {
namespace {

// A cost, and what one move of a virtual time may be: far below the range, so that sums of a few
// never overflow.
constexpr int64_t kMostCost = int64_t{1} << 60;

}  // namespace

RequestQueue::RequestQueue(const QueueOptions& options)
    : policy_(options.policy),
      fairness_(options.fairness.enabled),
      ageing_step_(options.class_ageing),
      tenants_(options.fairness.weights, options.fairness.max_tenants) {
  CHECK_GE(ageing_step_, Duration());
  slots_.reserve(static_cast<size_t>(options.expected));
}

RequestQueue::Record& RequestQueue::At(uint64_t id) {
  return const_cast<Record&>(static_cast<const RequestQueue*>(this)->At(id));
}

const RequestQueue::Record& RequestQueue::At(uint64_t id) const {
  const auto it = slots_.find(id);
  CHECK(it != slots_.end());
  return records_[it->second];
}

// Rounded up, so that no cost is free.
int64_t RequestQueue::Scaled(uint32_t tenant, int64_t cost) const {
  if (cost < 0) {
    return -Scaled(tenant, -cost);
  }
  if (!fairness_) {
    return 0;
  }
  const int64_t weight = tenants_.at(tenant).weight;
  if (weight == kWeightOne) {
    return std::min(cost, kMostCost);
  }
  const __int128 scaled = (static_cast<__int128>(cost) * kWeightOne + weight - 1) / weight;
  return static_cast<int64_t>(std::min<__int128>(scaled, kMostCost));
}

// A tenant's account is even where a newcomer would be given as much.
bool RequestQueue::Forgettable(uint32_t tenant) const {
  return !fairness_ || std::all_of(lines_.begin(), lines_.end(), [&](const ClassLine& line) {
    return line.VirtualTime(tenant) <= line.Floor();
  });
}

uint32_t RequestQueue::ResolveTenant(absl::string_view name) {
  return tenants_.Resolve(
      name, [this](uint32_t tenant) { return Forgettable(tenant); },
      [this](uint32_t tenant) {
        for (ClassLine& line : lines_) {
          if (fairness_) {
            line.Forget(tenant);
          }
        }
      });
}

WaitingRequest RequestQueue::WaitingOf(const Record& record) const {
  return {policy_ == QueuePolicy::kEdf ? record.entry.due.ns() : 0, record.entry.id,
          Scaled(record.tenant, record.entry.cost)};
}

void RequestQueue::Adjust(uint32_t tenant, size_t line, int64_t delta) {
  if (delta != 0) {
    lines_[line].Move(fairness_ ? tenant : 0, Scaled(tenant, delta));
    tenants_.at(tenant).charged += delta;
  }
}

void RequestQueue::Count(const Record& record, int64_t sign) {
  const int64_t tokens = sign * record.entry.tokens;
  QueueLoad& load = classes_[static_cast<size_t>(record.entry.service_class)];
  load.requests += sign;
  load.tokens += tokens;
  total_.requests += sign;
  total_.tokens += tokens;
  TenantTable::Tenant& tenant = tenants_.at(record.tenant);
  tenant.waiting += sign;
  tenant.tokens += tokens;
}

void RequestQueue::Enter(Record& record) {
  ClassLine& line = lines_[record.line];
  if (record.state == State::kRestored) {
    line.AddRestored(record.key);
  } else {
    line.Add(FlowOf(record), WaitingOf(record));
  }
  record.ages = TimePoint::Max();
  if (record.line > 0 && ageing_step_ > Duration()) {
    const int64_t steps = static_cast<int64_t>(record.entry.service_class) - record.line + 1;
    record.ages = record.entry.arrival + ageing_step_ * steps;
    ageing_.emplace(record.ages, record.entry.id);
  }
}

void RequestQueue::Leave(Record& record) {
  ClassLine& line = lines_[record.line];
  if (record.state == State::kRestored) {
    line.EraseRestored(record.key);
  } else {
    line.Erase(FlowOf(record), WaitingOf(record));
  }
  if (record.ages != TimePoint::Max()) {
    ageing_.erase({record.ages, record.entry.id});
    record.ages = TimePoint::Max();
  }
}

void RequestQueue::Push(const QueueEntry& entry) {
  CHECK(entry.cost >= 0 && entry.cost <= kMostCost);
  CHECK_GE(entry.tokens, 0);
  uint32_t slot;
  if (free_.empty()) {
    slot = static_cast<uint32_t>(records_.size());
    records_.emplace_back();
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  CHECK(slots_.emplace(entry.id, slot).second);
  Record& record = records_[slot];
  record = Record();
  record.tenant = ResolveTenant(entry.tenant);
  record.entry = entry;
  record.entry.tenant = absl::string_view();
  record.state = State::kFresh;
  record.line = static_cast<uint8_t>(entry.service_class);
  Enter(record);
  Count(record, 1);
}

void RequestQueue::Peek(int64_t limit, std::vector<uint64_t>* ids) const {
  ids->clear();
  for (const ClassLine& line : lines_) {
    line.Peek(limit, ids);
  }
}

RankKey RequestQueue::Take(uint64_t id) {
  Record& record = At(id);
  CHECK(record.state == State::kFresh || record.state == State::kRestored);
  Count(record, -1);
  ++tenants_.at(record.tenant).taken;
  if (record.ages != TimePoint::Max()) {
    ageing_.erase({record.ages, id});
    record.ages = TimePoint::Max();
  }
  ClassLine& line = lines_[record.line];
  if (record.state == State::kRestored) {
    line.EraseRestored(record.key);
  } else {
    const WaitingRequest waiting = WaitingOf(record);
    record.key = {record.line, true, line.Take(FlowOf(record), waiting), TimePoint(waiting.due),
                  id};
    record.charged_in = record.line;
    record.unserved = record.entry.cost;
    tenants_.at(record.tenant).charged += record.entry.cost;
  }
  record.state = State::kTaken;
  return record.key;
}

void RequestQueue::Restore(uint64_t id, const RankKey& key) {
  Restore(id, key, At(id).entry.tokens);
}

void RequestQueue::Restore(uint64_t id, const RankKey& key, int64_t tokens) {
  Record& record = At(id);
  CHECK(record.state == State::kTaken);
  CHECK_EQ(key.id, id);
  CHECK_EQ(key.service_class, record.line);
  CHECK_GE(tokens, 0);
  --tenants_.at(record.tenant).taken;
  record.entry.tokens = tokens;
  record.key = key;
  record.state = State::kRestored;
  Enter(record);
  Count(record, 1);
}

RankKey RequestQueue::Pin(uint64_t id) {
  Record& record = At(id);
  CHECK(record.state == State::kTaken || record.state == State::kRestored);
  if (record.key.not_pinned) {
    const bool waits = record.state == State::kRestored;
    if (waits) {
      lines_[record.line].EraseRestored(record.key);
    }
    record.key.not_pinned = false;
    if (waits) {
      lines_[record.line].AddRestored(record.key);
    }
  }
  return record.key;
}

void RequestQueue::Serve(uint64_t id, int64_t cost) {
  CHECK_GE(cost, 0);
  Record& record = At(id);
  CHECK(record.state == State::kTaken || record.state == State::kRestored);
  record.unserved -= cost;
  if (record.unserved < 0) {
    Adjust(record.tenant, record.charged_in, -record.unserved);
    record.unserved = 0;
  }
}

int64_t RequestQueue::Remove(uint64_t id) {
  Record& record = At(id);
  if (record.state == State::kTaken) {
    --tenants_.at(record.tenant).taken;
  } else {
    Leave(record);
    Count(record, -1);
  }
  const int64_t refund = record.unserved;  // 0 if it was never taken
  Adjust(record.tenant, record.charged_in, -refund);
  record.state = State::kUnused;
  const auto it = slots_.find(id);
  free_.push_back(it->second);
  slots_.erase(it);
  return refund;
}

void RequestQueue::Charge(ServiceClass service_class, absl::string_view tenant, int64_t delta) {
  CHECK(delta >= -kMostCost && delta <= kMostCost);
  const uint32_t number = tenants_.Find(tenant);
  if (number != TenantTable::kShared) {
    Adjust(number, static_cast<size_t>(service_class), delta);
  }
}

void RequestQueue::Age(TimePoint now) {
  while (!ageing_.empty() && ageing_.begin()->first <= now) {
    Record& record = At(ageing_.begin()->second);
    Leave(record);
    --record.line;
    record.key.service_class = record.line;
    Enter(record);
  }
}

TimePoint RequestQueue::NextAgeing() const {
  return ageing_.empty() ? TimePoint::Max() : ageing_.begin()->first;
}

RankKey RequestQueue::KeyOf(uint64_t id) const {
  const Record& record = At(id);
  if (record.state != State::kFresh) {
    return record.key;
  }
  return {record.line, true, lines_[record.line].VirtualTime(FlowOf(record)),
          TimePoint(WaitingOf(record).due), id};
}

bool RequestQueue::Waiting(uint64_t id) const {
  const auto it = slots_.find(id);
  return it != slots_.end() && records_[it->second].state != State::kTaken;
}

}  // namespace scoville::scheduler
