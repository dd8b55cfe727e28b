#include "scheduler/queue/request_queue.h"

#include <algorithm>
#include <limits>

#include "base/status_macros.h"

namespace scoville::scheduler {
namespace {

// A cost, and what one move of a virtual time may be: far below the range, so that sums of a few
// never overflow.
constexpr int64_t kMostCost = int64_t{1} << 60;

uint32_t Saturated(int64_t count) {
  constexpr int64_t kMost = std::numeric_limits<uint32_t>::max();
  return static_cast<uint32_t>(std::min(count, kMost));
}

// What a tenant was charged is only shown, so beyond the type it stands still.
int64_t SaturatedSum(int64_t a, int64_t b) {
  int64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) {
    return b < 0 ? std::numeric_limits<int64_t>::min() : std::numeric_limits<int64_t>::max();
  }
  return sum;
}

}  // namespace

RequestQueue::RequestQueue(const QueueOptions& options)
    : policy_(options.policy),
      fairness_(options.fairness.enabled),
      ageing_step_(options.class_ageing),
      late_share_(options.late_share),
      tenants_(options.fairness.weights, options.fairness.max_tenants) {
  CHECK_GE(ageing_step_, Duration());
  CHECK_GE(late_share_, 0);
  lines_.fill(ClassLine(std::max(1, late_share_)));
  slots_.reserve(static_cast<size_t>(options.expected));
  records_.reserve(static_cast<size_t>(options.expected));
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
  return {DueOf(record), record.id, Scaled(record.tenant, record.cost), record.late != 0};
}

RankKey RequestQueue::RankOf(const Record& record, int64_t tag) const {
  return {record.line,      record.not_pinned,        tag,
          record.late != 0, TimePoint(DueOf(record)), record.id};
}

void RequestQueue::Adjust(uint32_t tenant, size_t line, int64_t delta) {
  if (delta != 0) {
    lines_[line].Move(fairness_ ? tenant : 0, Scaled(tenant, delta));
    int64_t& charged = tenants_.at(tenant).charged;
    charged = SaturatedSum(charged, delta);
  }
}

void RequestQueue::Count(const Record& record, bool comes) {
  const QueueLoad one = LoadOf(record);
  for (QueueLoad* load :
       {&total_, &classes_[record.service_class], &tenants_.at(record.tenant).waiting}) {
    comes ? * load += one : * load -= one;
  }
  if (record.held) {
    held_ += comes ? 1 : -1;
  }
}

void RequestQueue::Enter(const Record& record) {
  ClassLine& line = lines_[record.line];
  if (record.state == State::kRestored) {
    line.AddRestored(RankOf(record, record.tag));
  } else {
    line.Add(FlowOf(record), WaitingOf(record));
  }
  if (Ages(record)) {
    ageing_.emplace(AgesAt(record), record.id);
  }
  if (MayBecomeLate(record)) {
    becoming_late_.emplace(record.late_at, record.id);
  }
  late_ += WaitsLate(record) ? 1 : 0;
}

// What was to happen to it while it waits.
void RequestQueue::Forget(const Record& record) {
  if (Ages(record)) {
    ageing_.erase({AgesAt(record), record.id});
  }
  if (MayBecomeLate(record)) {
    becoming_late_.erase({record.late_at, record.id});
  }
  late_ -= WaitsLate(record) ? 1 : 0;
}

void RequestQueue::Leave(const Record& record) {
  ClassLine& line = lines_[record.line];
  if (record.state == State::kRestored) {
    line.EraseRestored(RankOf(record, record.tag));
  } else {
    line.Erase(FlowOf(record), WaitingOf(record));
  }
  Forget(record);
}

void RequestQueue::Push(const QueueEntry& entry) {
  CHECK(entry.cost >= 0 && entry.cost <= kMostCost);
  CHECK(entry.tokens >= 0 && entry.bytes >= 0 && entry.time >= Duration());
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
  record.id = entry.id;
  record.cost = entry.cost;
  record.due = entry.due;
  record.arrival = entry.arrival;
  record.late_at = entry.late_at;
  record.tokens = Saturated(entry.tokens);
  record.bytes = Saturated(entry.bytes);
  record.time = entry.time;
  record.held = entry.held;
  record.tenant = ResolveTenant(entry.tenant);
  record.state = State::kFresh;
  record.service_class = static_cast<uint8_t>(entry.service_class);
  record.line = record.service_class;
  if (!record.held) {
    Enter(record);
  }
  Count(record, true);
}

void RequestQueue::Hold(uint64_t id) {
  Record& record = At(id);
  CHECK(InLine(record));
  Leave(record);
  record.held = true;
  ++held_;
}

void RequestQueue::Release(uint64_t id) {
  Record& record = At(id);
  CHECK(record.held);
  record.held = false;
  --held_;
  Enter(record);
}

bool RequestQueue::Held(uint64_t id) const { return At(id).held; }

void RequestQueue::Peek(int64_t limit, std::vector<uint64_t>* ids) const {
  ids->clear();
  for (const ClassLine& line : lines_) {
    line.Peek(limit, ids);
  }
}

RankKey RequestQueue::Take(uint64_t id) {
  Record& record = At(id);
  CHECK(InLine(record));
  Count(record, false);
  TenantTable::Tenant& tenant = tenants_.at(record.tenant);
  ++tenant.taken;
  if (record.state == State::kRestored) {
    Leave(record);
  } else {
    Forget(record);
    record.tag = lines_[record.line].Take(FlowOf(record), WaitingOf(record));
    record.charged_in = record.line;
    tenant.charged = SaturatedSum(tenant.charged, record.cost);
  }
  record.state = State::kTaken;
  return RankOf(record, record.tag);
}

void RequestQueue::Restore(uint64_t id, const RankKey& key) { Restore(id, key, At(id).tokens); }

void RequestQueue::Restore(uint64_t id, const RankKey& key, int64_t tokens) {
  Record& record = At(id);
  CHECK(record.state == State::kTaken);
  CHECK_GE(tokens, 0);
  record.not_pinned = key.not_pinned;
  CHECK_EQ(key, RankOf(record, record.tag));
  --tenants_.at(record.tenant).taken;
  record.tokens = Saturated(tokens);
  record.state = State::kRestored;
  if (ageing_stopped_[record.service_class]) {
    record.line = record.service_class;
  }
  Enter(record);
  Count(record, true);
}

RankKey RequestQueue::Pin(uint64_t id) {
  Record& record = At(id);
  CHECK(record.state == State::kTaken || record.state == State::kRestored);
  const bool waits = record.state == State::kRestored && !record.held;
  if (waits) {
    lines_[record.line].EraseRestored(RankOf(record, record.tag));
  }
  record.not_pinned = false;
  const RankKey key = RankOf(record, record.tag);
  if (waits) {
    lines_[record.line].AddRestored(key);
  }
  return key;
}

void RequestQueue::Serve(uint64_t id, int64_t cost) {
  CHECK_GE(cost, 0);
  Record& record = At(id);
  CHECK(record.state == State::kTaken || record.state == State::kRestored);
  record.cost -= cost;
  if (record.cost < 0) {
    Adjust(record.tenant, record.charged_in, -record.cost);
    record.cost = 0;
  }
}

int64_t RequestQueue::Remove(uint64_t id) {
  Record& record = At(id);
  if (record.state == State::kTaken) {
    --tenants_.at(record.tenant).taken;
  } else {
    if (!record.held) {
      Leave(record);
    }
    Count(record, false);
  }
  const int64_t refund = record.state == State::kFresh ? 0 : record.cost;
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
    Enter(record);
  }
  while (!becoming_late_.empty() && becoming_late_.begin()->first <= now) {
    MakeLate(becoming_late_.begin()->second);
  }
}

void RequestQueue::StopAgeing(ServiceClass service_class, bool stopped) {
  const auto c = static_cast<size_t>(service_class);
  if (ageing_stopped_[c] == stopped) {
    return;
  }
  const auto waits = [&](const Record& record) {
    return record.service_class == c &&
           (record.state == State::kFresh || record.state == State::kRestored);
  };
  for (const Record& record : records_) {
    if (waits(record) && !record.held) {
      Leave(record);
    }
  }
  ageing_stopped_[c] = stopped;
  for (Record& record : records_) {
    if (!waits(record)) {
      continue;
    }
    record.line = stopped ? record.service_class : record.line;
    if (!record.held) {
      Enter(record);
    }
  }
}

void RequestQueue::MakeLate(uint64_t id) {
  Record& record = At(id);
  CHECK(record.state == State::kFresh && InLine(record));
  if (late_share_ > 0 && record.late == 0) {
    becoming_late_.erase({record.late_at, id});
    lines_[record.line].MakeLate(FlowOf(record), WaitingOf(record));
    record.late = 1;
    ++late_;
  }
}

bool RequestQueue::Behind(uint64_t id) const {
  const Record& record = At(id);
  return record.state == State::kFresh && record.late != 0 &&
         !lines_[record.line].Owed(FlowOf(record), WaitingOf(record));
}

TimePoint RequestQueue::NextAgeing() const {
  return ageing_.empty() ? TimePoint::Max() : ageing_.begin()->first;
}

RankKey RequestQueue::KeyOf(uint64_t id) const {
  const Record& record = At(id);
  return RankOf(record, record.state == State::kFresh
                            ? lines_[record.line].VirtualTime(FlowOf(record))
                            : record.tag);
}

bool RequestQueue::Waiting(uint64_t id) const {
  const auto it = slots_.find(id);
  return it != slots_.end() && records_[it->second].state != State::kTaken;
}

}  // namespace scoville::scheduler
