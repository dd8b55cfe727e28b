// What two tenants with always something waiting really get, step by step in a pool of M tokens.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "base/random.h"
#include "scheduler/queue/request_queue.h"

namespace scoville::scheduler {
namespace {

struct PoolCase {
  int64_t pool = 0;      // M, in tokens
  int64_t most_in = 0;   // L_max
  int64_t most_out = 0;  // asked for at most
  int64_t w_in = 0;      // cost of a token
  int64_t w_out = 0;
  int64_t weights[2] = {kWeightOne, kWeightOne};
  int64_t flood = 1;  // tenant 0 keeps so many times the backlog of tenant 1
};

// Iterations of a pool that books a request's prompt and largest output before it takes it. The
// estimate is anything up to what was booked; the real length as well.
class Pool {
 public:
  Pool(uint64_t seed, const PoolCase& c) : seed_(seed), c_(c), queue_(Options(c)) {}

  void Step() {
    Refill();
    std::vector<uint64_t> ids;
    for (queue_.Peek(1, &ids); !ids.empty() && Fits(ids[0]); queue_.Peek(1, &ids)) {
      queue_.Take(ids[0]);
      Sequence& s = sequences_.at(ids[0]);
      booked_ += s.in + s.most_out;
      s.runs = true;
      Refill();
    }
    for (auto it = sequences_.begin(); it != sequences_.end();) {
      Sequence& s = it->second;
      bool ends = false;
      if (s.runs) {
        const int64_t in = std::min<int64_t>(s.in - s.in_done, 64);  // a chunk
        const int64_t out = s.in_done == s.in ? 1 : 0;
        s.in_done += in;
        s.out_done += out;
        const int64_t cost = c_.w_in * in + c_.w_out * out;
        queue_.Serve(it->first, cost);
        served_[s.tenant] += cost;
        ends = s.out_done == s.out;
      }
      if (ends) {
        booked_ -= s.in + s.most_out;
        queue_.Remove(it->first);
        it = sequences_.erase(it);
      } else {
        ++it;
      }
    }
  }

  // Served / weight of tenant 0 less that of tenant 1.
  double Ahead() const {
    return static_cast<double>(served_[0]) * kWeightOne / static_cast<double>(c_.weights[0]) -
           static_cast<double>(served_[1]) * kWeightOne / static_cast<double>(c_.weights[1]);
  }
  int64_t served(int tenant) const { return served_[tenant]; }

 private:
  struct Sequence {
    int tenant = 0;
    int64_t in = 0, most_out = 0, out = 0;
    int64_t in_done = 0, out_done = 0;
    bool runs = false;
  };

  static QueueOptions Options(const PoolCase& c) {
    QueueOptions options;
    options.fairness.weights = {{"0", c.weights[0]}, {"1", c.weights[1]}};
    return options;
  }

  bool Fits(uint64_t id) const {
    const Sequence& s = sequences_.at(id);
    return booked_ + s.in + s.most_out <= c_.pool;
  }

  int64_t UpTo(int64_t n) {
    return 1 + static_cast<int64_t>(RandomBelow(seed_, 3, draw_++, static_cast<uint64_t>(n)));
  }

  void Refill() {
    for (int tenant = 0; tenant < 2; ++tenant) {
      const std::string name = std::to_string(tenant);
      while (queue_.TenantLoad(name).requests < (tenant == 0 ? 3 * c_.flood : 3)) {
        Sequence s;
        s.tenant = tenant;
        s.in = UpTo(c_.most_in);
        s.most_out = UpTo(c_.most_out);
        s.out = UpTo(s.most_out);
        QueueEntry entry;
        entry.id = next_id_++;
        entry.tenant = name;
        entry.cost = c_.w_in * s.in + c_.w_out * (UpTo(s.most_out + 1) - 1);
        sequences_.emplace(entry.id, s);
        queue_.Push(entry);
      }
    }
  }

  const uint64_t seed_;
  const PoolCase c_;
  RequestQueue queue_;
  std::map<uint64_t, Sequence> sequences_;
  int64_t booked_ = 0;
  int64_t served_[2] = {0, 0};
  uint64_t draw_ = 0;
  uint64_t next_id_ = 1;
};

PoolCase RandomCase(uint64_t seed, bool joules) {
  const auto below = [&](uint64_t i, int64_t n) {
    return static_cast<int64_t>(RandomBelow(seed, 4, i, static_cast<uint64_t>(n)));
  };
  PoolCase c;
  c.pool = 500 + below(0, 4000);
  c.most_in = 1 + below(1, c.pool / 2);
  c.most_out = 1 + below(2, c.pool / 2);
  // Milli-tokens at 1 : 2, or microjoules of a prompt's token and of an output's.
  c.w_in = joules ? 1 + below(3, 400'000) : 1000;
  c.w_out = joules ? c.w_in + below(4, 3'000'000) : 2000;
  for (int64_t& weight : c.weights) {
    weight =
        kWeightOne / 4 + below(static_cast<uint64_t>(5 + (&weight - c.weights)), 4 * kWeightOne);
  }
  c.flood = 1 + below(7, 10);
  return c;
}

// Over every interval of time: the spread of what one is ahead.
double Spread(uint64_t seed, const PoolCase& c, int steps) {
  Pool pool(seed, c);
  double low = 0;
  double high = 0;
  for (int i = 0; i < steps; ++i) {
    pool.Step();
    low = std::min(low, pool.Ahead());
    high = std::max(high, pool.Ahead());
  }
  EXPECT_GT(pool.served(0), 0);
  EXPECT_GT(pool.served(1), 0);
  return high - low;
}

double Bound(const PoolCase& c) {
  const auto most = static_cast<double>(std::max(c.w_in * c.most_in, c.w_out * c.pool));
  const auto least_weight = static_cast<double>(std::min(c.weights[0], c.weights[1]));
  return 2 * most * kWeightOne / least_weight;
}

TEST(FairnessBoundTest, HoldsInTokensAndInJoulesForRandomWeights) {
  double worst = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    for (const bool joules : {false, true}) {
      const PoolCase c = RandomCase(seed, joules);
      const double spread = Spread(seed, c, 3000);
      EXPECT_LE(spread, Bound(c)) << "seed " << seed << (joules ? " joules" : " tokens");
      worst = std::max(worst, spread / Bound(c));
    }
  }
  RecordProperty("worst_share_of_bound", std::to_string(worst));
  EXPECT_GT(worst, 0.1) << "the cases do not come near the bound: the test shows nothing";
}

// That the bound is not so wide that any order keeps it.
TEST(FairnessBoundTest, FirstComeFirstServedBreaksIt) {
  QueueOptions options;
  options.fairness.enabled = false;
  RequestQueue queue(options);
  uint64_t next_id = 1;
  int64_t served[2] = {0, 0};
  constexpr int64_t kCost = 1000;
  for (int step = 0; step < 1000; ++step) {
    for (int i = 0; i < 11; ++i) {
      QueueEntry entry;
      entry.id = next_id++;
      entry.tenant = i < 10 ? "a" : "b";
      entry.cost = kCost;
      queue.Push(entry);
    }
    std::vector<uint64_t> ids;
    queue.Peek(1, &ids);
    queue.Take(ids[0]);
    queue.Remove(ids[0]);
    served[(ids[0] - 1) % 11 < 10 ? 0 : 1] += kCost;
  }
  EXPECT_GT(served[0] - served[1], 2 * kCost);
}

// A flood of one tenant moves the other's request by no more than one turn each.
TEST(FairnessBoundTest, AFloodDoesNotDelayAnother) {
  RequestQueue queue(QueueOptions{});
  QueueEntry entry;
  entry.tenant = "flood";
  entry.cost = 700;
  for (entry.id = 1; entry.id <= 5000; ++entry.id) {
    queue.Push(entry);
  }
  for (uint64_t id = 1; id <= 100; ++id) {
    queue.Take(id);
  }
  entry.id = 5001;
  entry.tenant = "small";
  queue.Push(entry);
  EXPECT_LE(queue.rank_of(5001), 1);
}

// Every request is served, though ever new ones arrive as fast as they are taken, in the class
// below as well where entries age.
TEST(FairnessBoundTest, NobodyStarves) {
  for (const QueuePolicy policy : {QueuePolicy::kFcfs, QueuePolicy::kEdf}) {
    QueueOptions options;
    options.policy = policy;
    options.class_ageing = Duration(500);
    RequestQueue queue(options);
    std::map<uint64_t, int> pushed_at;
    uint64_t next_id = 1;
    for (int step = 0; step < 20'000; ++step) {
      const TimePoint now(step);
      for (int i = 0; i < (step < 50 ? 4 : 1); ++i) {
        QueueEntry entry;
        entry.id = next_id++;
        const std::string tenant = std::to_string(RandomBelow(5, 1, entry.id, 8));
        entry.tenant = tenant;
        entry.service_class = RandomBelow(5, 2, entry.id, 10) == 0 ? ServiceClass::kBatch
                                                                   : ServiceClass::kInteractive;
        entry.cost = 1 + static_cast<int64_t>(RandomBelow(5, 3, entry.id, 100));
        entry.arrival = now;
        entry.due = now + Duration(static_cast<int64_t>(RandomBelow(5, 4, entry.id, 300)));
        queue.Push(entry);
        pushed_at[entry.id] = step;
      }
      queue.Age(now);
      std::vector<uint64_t> ids;
      queue.Peek(1, &ids);
      ASSERT_FALSE(ids.empty());
      queue.Take(ids[0]);
      queue.Serve(ids[0], static_cast<int64_t>(RandomBelow(5, 5, ids[0], 150)));
      queue.Remove(ids[0]);
      pushed_at.erase(ids[0]);
    }
    for (const auto& [id, step] : pushed_at) {
      EXPECT_GT(step, 20'000 - 4000) << "request " << id << " waits since step " << step;
    }
  }
}

}  // namespace
}  // namespace scoville::scheduler
