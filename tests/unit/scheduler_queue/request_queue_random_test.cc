// The queue against the one of plain loops, over random calls.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/random.h"
#include "scheduler/queue/request_queue.h"
#include "tests/reference/queue/reference_queue.h"

namespace scoville::scheduler {
namespace {

class RandomCalls {
 public:
  RandomCalls(uint64_t seed, const QueueOptions& options)
      : seed_(seed),
        tenants_(1 + RandomBelow(seed, 3, 0, 30)),
        options_(options),
        queue_(options),
        reference_(options) {}

  void Run(int calls) {
    for (int i = 0; i < calls && !testing::Test::HasFailure(); ++i) {
      Call();
      Compare();
    }
  }

 private:
  uint64_t Below(uint64_t n) { return RandomBelow(seed_, 1, draw_++, n); }

  void Push() {
    QueueEntry entry;
    entry.id = next_id_++;
    entry.service_class = static_cast<ServiceClass>(Below(3));
    const std::string tenant = "t" + std::to_string(Below(tenants_));
    entry.tenant = tenant;
    entry.cost = static_cast<int64_t>(Below(4) == 0 ? Below(3) : Below(1000));
    entry.due = now_ + Duration(static_cast<int64_t>(Below(20)));
    entry.arrival = now_;
    if (Below(3) != 0) {
      entry.late_at = now_ + Duration(static_cast<int64_t>(Below(200)));
    }
    entry.tokens = static_cast<int64_t>(Below(100));
    entry.bytes = static_cast<int64_t>(Below(1000));
    entry.time = Duration(static_cast<int64_t>(Below(1000)));
    entry.held = Below(10) == 0;
    if (entry.held) {
      held_.push_back(entry.id);
    }
    queue_.Push(entry);
    reference_.Push(entry);
  }

  uint64_t Pick(std::vector<uint64_t>& ids) {
    const auto i = static_cast<size_t>(Below(ids.size()));
    const uint64_t id = ids[i];
    return id;
  }

  void Take(uint64_t id) {
    ASSERT_EQ(queue_.Take(id), reference_.Take(id));
    taken_.push_back(id);
  }

  void WithTaken() {
    const auto i = static_cast<size_t>(Below(taken_.size()));
    const uint64_t id = taken_[i];
    switch (Below(4)) {
      case 0: {
        RankKey key = queue_.KeyOf(id);
        key.not_pinned = Below(3) != 0;
        queue_.Restore(id, key);
        reference_.Restore(id, key);
        taken_.erase(taken_.begin() + static_cast<int64_t>(i));
        break;
      }
      case 1:
        ASSERT_EQ(queue_.Remove(id), reference_.Remove(id));
        taken_.erase(taken_.begin() + static_cast<int64_t>(i));
        break;
      default: {
        const auto cost = static_cast<int64_t>(Below(600));
        queue_.Serve(id, cost);
        reference_.Serve(id, cost);
      }
    }
  }

  void Call() {
    now_ += Duration(static_cast<int64_t>(Below(10)));
    const uint64_t what = Below(100);
    std::vector<uint64_t> order = reference_.Order();
    if (what < 35 || (order.empty() && taken_.empty() && held_.empty())) {
      Push();
    } else if (what < 60 && !order.empty()) {
      Take(Below(3) == 0 ? Pick(order) : order[0]);
    } else if (what < 70 && !order.empty()) {
      const uint64_t id = Pick(order);
      ASSERT_EQ(queue_.Remove(id), reference_.Remove(id));
    } else if (what < 73 && !order.empty()) {
      const uint64_t id = Pick(order);
      if (queue_.Fresh(id)) {
        queue_.MakeLate(id);
        reference_.MakeLate(id);
      }
    } else if (what < 88 && !taken_.empty()) {
      WithTaken();
    } else if (what < 92 && !order.empty()) {
      held_.push_back(Pick(order));
      queue_.Hold(held_.back());
      reference_.Hold(held_.back());
    } else if (what < 96 && !held_.empty()) {
      const auto i = static_cast<int64_t>(Below(held_.size()));
      const uint64_t id = held_[static_cast<size_t>(i)];
      held_.erase(held_.begin() + i);
      if (Below(4) == 0) {
        ASSERT_EQ(queue_.Remove(id), reference_.Remove(id));
      } else {
        queue_.Release(id);
        reference_.Release(id);
      }
    } else {
      queue_.Age(now_);
      reference_.Age(now_);
    }
  }

  void Compare() {
    const std::vector<uint64_t> order = reference_.Order();
    std::vector<uint64_t> ids;
    queue_.Peek(1'000'000, &ids);
    ASSERT_EQ(ids, order) << "seed " << seed_ << " call " << draw_;
    const uint64_t limit = Below(order.size() + 2);
    queue_.Peek(static_cast<int64_t>(limit), &ids);
    ASSERT_EQ(ids, std::vector<uint64_t>(
                       order.begin(),
                       order.begin() + static_cast<int64_t>(std::min(limit, order.size()))));
    if (!order.empty()) {
      const auto rank = static_cast<size_t>(Below(order.size()));
      ASSERT_EQ(queue_.rank_of(order[rank]), static_cast<int64_t>(rank));
    }
    ASSERT_EQ(queue_.load(), reference_.Load(-1, ""));
    ASSERT_EQ(queue_.empty(), order.empty());
    const auto c = static_cast<int>(Below(3));
    ASSERT_EQ(queue_.load(static_cast<ServiceClass>(c)), reference_.Load(c, ""));
    const std::string tenant = "t" + std::to_string(Below(tenants_));
    ASSERT_EQ(queue_.TenantLoad(tenant), reference_.Load(-1, tenant));
    queue_.CheckInvariants();
  }

  const uint64_t seed_;
  const uint64_t tenants_;
  const QueueOptions options_;
  RequestQueue queue_;
  tests::ReferenceQueue reference_;
  std::vector<uint64_t> taken_;
  std::vector<uint64_t> held_;
  uint64_t draw_ = 0;
  uint64_t next_id_ = 1;
  TimePoint now_;
};

TEST(RequestQueueRandomTest, EqualsTheReference) {
  for (uint64_t seed = 1; seed <= 120; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    QueueOptions options;
    options.policy = RandomBelow(seed, 2, 0, 2) == 0 ? QueuePolicy::kFcfs : QueuePolicy::kEdf;
    options.fairness.enabled = RandomBelow(seed, 2, 1, 4) != 0;
    options.fairness.weights = {
        {"t1", 1 + static_cast<int64_t>(RandomBelow(seed, 2, 2, 10 * kWeightOne))},
        {"t3", kWeightOne / 3}};
    if (RandomBelow(seed, 2, 3, 2) == 0) {
      options.class_ageing = Duration(100);
    }
    options.late_share = static_cast<int32_t>(RandomBelow(seed, 2, 4, 5));
    RandomCalls(seed, options).Run(250);
    if (HasFailure()) {
      return;
    }
  }
}

}  // namespace
}  // namespace scoville::scheduler
