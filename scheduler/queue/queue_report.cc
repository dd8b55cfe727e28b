// What the queue says of itself, and its checks.
#include <algorithm>
#include <string>

#include "base/status_macros.h"
#include "scheduler/queue/request_queue.h"

namespace scoville::scheduler {

QueueLoad RequestQueue::TenantLoad(absl::string_view tenant) const {
  return tenants_.at(tenants_.Find(tenant)).waiting;
}

std::vector<TenantStatus> RequestQueue::Tenants() const {
  std::vector<TenantStatus> result;
  for (uint32_t i = 0; i < tenants_.size(); ++i) {
    const TenantTable::Tenant& tenant = tenants_.at(i);
    if (i == TenantTable::kShared && tenant.waiting.requests == 0 && tenant.taken == 0 &&
        tenant.charged == 0) {
      continue;
    }
    result.push_back({tenant.name, tenant.weight, tenant.waiting, tenant.taken, tenant.charged});
  }
  std::stable_sort(result.begin(), result.end(),
                   [](const TenantStatus& a, const TenantStatus& b) { return a.name < b.name; });
  return result;
}

int64_t RequestQueue::rank_of(uint64_t id) const {
  const Record& record = At(id);
  CHECK(InLine(record));
  int64_t before = 0;
  for (uint8_t line = 0; line < record.line; ++line) {
    before += lines_[line].size();
  }
  return before + lines_[record.line].CountBefore(id);
}

std::vector<uint64_t> RequestQueue::Ids() const {
  std::vector<uint64_t> ids;
  for (const Record& record : records_) {
    if (record.state == State::kFresh || record.state == State::kRestored) {
      ids.push_back(record.id);
    }
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

void RequestQueue::CheckRecord(const Record& record) const {
  CHECK_LE(int{record.line}, int{record.service_class});
  CHECK_GE(record.cost, 0);
  const ClassLine& line = lines_[record.line];
  if (record.held) {
    CHECK(record.state == State::kFresh || record.state == State::kRestored);
    CHECK(record.state == State::kRestored ? !line.HoldsRestored(RankOf(record, record.tag))
                                           : !line.Holds(FlowOf(record), WaitingOf(record)));
  } else if (record.state == State::kFresh) {
    CHECK(record.not_pinned);
    CHECK(line.Holds(FlowOf(record), WaitingOf(record)));
  } else {
    CHECK_EQ(line.HoldsRestored(RankOf(record, record.tag)), record.state == State::kRestored);
  }
  CHECK_EQ(ageing_.contains({AgesAt(record), record.id}), InLine(record) && Ages(record));
  CHECK_EQ(becoming_late_.contains({record.late_at, record.id}), MayBecomeLate(record));
}

void RequestQueue::CheckInvariants() const {
  std::array<QueueLoad, kServiceClassCount> classes{};
  std::array<int64_t, kServiceClassCount> in_line{};
  std::vector<QueueLoad> of_tenant(tenants_.size());
  std::vector<int64_t> taken(tenants_.size(), 0);
  int64_t held = 0;
  int64_t used = 0;
  int64_t ageing = 0;
  int64_t becoming_late = 0;
  int64_t late = 0;
  for (const Record& record : records_) {
    if (record.state == State::kUnused) {
      continue;
    }
    ++used;
    CHECK(slots_.contains(record.id));
    CheckRecord(record);
    if (record.state == State::kTaken) {
      ++taken[record.tenant];
      continue;
    }
    of_tenant[record.tenant] += LoadOf(record);
    classes[record.service_class] += LoadOf(record);
    held += record.held ? 1 : 0;
    in_line[record.line] += InLine(record) ? 1 : 0;
    ageing += InLine(record) && Ages(record);
    becoming_late += MayBecomeLate(record);
    late += WaitsLate(record);
  }
  CHECK_EQ(used, static_cast<int64_t>(slots_.size()));
  CHECK_EQ(used + static_cast<int64_t>(free_.size()), static_cast<int64_t>(records_.size()));
  CHECK_EQ(ageing, static_cast<int64_t>(ageing_.size()));
  CHECK_EQ(late, late_);
  CHECK_EQ(becoming_late, static_cast<int64_t>(becoming_late_.size()));
  QueueLoad total;
  for (size_t c = 0; c < kServiceClassCount; ++c) {
    CHECK(classes[c] == classes_[c]);
    CHECK_EQ(in_line[c], lines_[c].size());
    lines_[c].CheckInvariants();
    total += classes[c];
  }
  CHECK(total == total_);
  CHECK_EQ(held, held_);
  for (uint32_t i = 0; i < tenants_.size(); ++i) {
    const TenantTable::Tenant& tenant = tenants_.at(i);
    CHECK(of_tenant[i] == tenant.waiting);
    CHECK_EQ(taken[i], tenant.taken);
  }
}

}  // namespace scoville::scheduler
