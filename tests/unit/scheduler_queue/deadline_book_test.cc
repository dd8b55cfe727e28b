#include "scheduler/queue/deadline_book.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "base/random.h"
#include "tests/reference/queue/reference_deadlines.h"

namespace scoville::scheduler {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using tests::ReferenceJob;

constexpr Duration kLongest = Duration(std::numeric_limits<int64_t>::max());

TimePoint At(int64_t ns) { return TimePoint(ns); }

TEST(DeadlineBookTest, ItsOwnDeadlineAndThoseOfLaterOnes) {
  DeadlineBook book;
  EXPECT_TRUE(book.Feasible(At(0), At(100), Duration(100)));
  EXPECT_FALSE(book.Feasible(At(0), At(100), Duration(101)));
  EXPECT_FALSE(book.Feasible(At(1), At(100), Duration(100)));
  book.Add(1, At(100), Duration(60));
  EXPECT_EQ(book.LeastSlack(At(0)), Duration(40));
  // After it: what is left; before it: what it can spare.
  EXPECT_TRUE(book.Feasible(At(0), At(200), Duration(140)));
  EXPECT_FALSE(book.Feasible(At(0), At(200), Duration(141)));
  EXPECT_TRUE(book.Feasible(At(0), At(50), Duration(40)));
  EXPECT_FALSE(book.Feasible(At(0), At(50), Duration(41)));
  const DeadlineBook::Prediction late = book.Predict(At(0), At(50), Duration(45));
  EXPECT_FALSE(late.feasible);
  EXPECT_EQ(late.own_slack, Duration(5));
  EXPECT_EQ(late.later_slack, Duration(-5));
  EXPECT_EQ(late.deficit, Duration(5));
  EXPECT_EQ(late.finish, At(45));
  // Equal deadlines: the older first.
  EXPECT_EQ(book.Predict(At(0), At(100), Duration(10)).finish, At(70));
}

TEST(DeadlineBookTest, BacklogShareAndServers) {
  DeadlineBook book({2, DeadlineBook::kWholeShare / 2});
  // 100 ns under way on two devices at half speed: 100 ns; then 30 ns of work at half speed.
  EXPECT_EQ(book.Predict(At(7), At(1000), Duration(30), Duration(100)).finish, At(7 + 100 + 60));
  book.Add(1, At(500), Duration(50));
  EXPECT_EQ(book.SlackOf(1, At(0)), Duration(400));
  EXPECT_EQ(book.Predict(At(0), At(600), Duration(50)).finish, At(50 + 100));
  book.SetCapacity({1, DeadlineBook::kWholeShare});
  EXPECT_EQ(book.SlackOf(1, At(0)), Duration(450));
  book.SetCapacity({0, DeadlineBook::kWholeShare});
  EXPECT_FALSE(book.Feasible(At(0), At(1'000'000), Duration()));
  EXPECT_EQ(book.Deficit(At(0), At(100), Duration(1)), kLongest);
  EXPECT_EQ(book.Predict(At(0), At(100), Duration(1)).finish, TimePoint::Max());
}

TEST(DeadlineBookTest, TheEmptyBookAndTheEndOfTime) {
  DeadlineBook book;
  EXPECT_EQ(book.LeastSlack(At(0)), kLongest);
  EXPECT_EQ(book.total_work(), Duration());
  EXPECT_THAT(book.Demote(At(1000)), IsEmpty());
  book.Add(1, TimePoint::Max(), Seconds(3600));
  EXPECT_TRUE(book.Feasible(At(0), TimePoint::Max(), Seconds(3600), Seconds(3600)));
  EXPECT_THAT(book.Demote(At(0), Seconds(1'000'000)), IsEmpty());
}

TEST(DeadlineBookTest, WhatCanNoLongerBeHeldBecomesBestEffort) {
  DeadlineBook book({2, DeadlineBook::kWholeShare});
  book.Add(1, At(100), Duration(100));
  book.Add(2, At(100), Duration(50));
  book.Add(3, At(160), Duration(80));
  EXPECT_THAT(book.Demote(At(0)), IsEmpty());
  book.SetCapacity({1, DeadlineBook::kWholeShare});  // a device died
  // 1 ends at 100, 2 would at 150; without 2, 3 would at 180.
  EXPECT_THAT(book.Demote(At(0)), ElementsAre(2, 3));
  EXPECT_THAT(book.Ids(), ElementsAre(1));
  EXPECT_GE(book.LeastSlack(At(0)), Duration());
  book.CheckInvariants();
}

TEST(DeadlineBookTest, WaitingTheDeficitHelps) {
  DeadlineBook book({4, DeadlineBook::kWholeShare});
  const Duration backlog(4000);
  const Duration patience(700);
  EXPECT_EQ(book.Deficit(At(0), At(0) + patience, Duration(100), backlog), Duration(400));
  // Four devices have done 1,600 by then.
  EXPECT_TRUE(book.Feasible(At(400), At(400) + patience, Duration(100), backlog - Duration(1600)));
  EXPECT_FALSE(book.Feasible(At(399), At(399) + patience, Duration(100), backlog - Duration(1596)));
}

TEST(DeadlineBookTest, RetriesAreSpreadOverAQuarter) {
  Duration low = kLongest;
  Duration high;
  for (uint64_t id = 1; id <= 1000; ++id) {
    const Duration wait = RetryAfterSpread(Milliseconds(400), id);
    EXPECT_EQ(wait, RetryAfterSpread(Milliseconds(400), id));
    low = std::min(low, wait);
    high = std::max(high, wait);
  }
  EXPECT_GE(low, Milliseconds(400));
  EXPECT_LE(low, Milliseconds(402));
  EXPECT_LE(high, Milliseconds(500));
  EXPECT_GE(high, Milliseconds(498));
  EXPECT_EQ(RetryAfterSpread(kLongest, 3), kLongest);
  EXPECT_EQ(RetryAfterSpread(Duration(), 3), Duration());
}

// One book under random calls and its oracle of plain loops.
class RandomBook {
 public:
  explicit RandomBook(uint64_t seed) : seed_(seed), capacity_(RandomCapacity()), book_(capacity_) {}

  void Call() {
    now_ += Duration(Below(50));
    const int64_t what = Below(100);
    if (what < 45 || jobs_.empty()) {
      const ReferenceJob job = {next_id_++, now_ + Duration(Below(3000)), Below(100)};
      jobs_.push_back(job);
      book_.Add(job.id, job.deadline, Duration(job.work));
    } else if (what < 75) {
      const auto i = static_cast<size_t>(Below(static_cast<int64_t>(jobs_.size())));
      book_.Remove(jobs_[i].id);
      jobs_.erase(jobs_.begin() + static_cast<int64_t>(i));
    } else if (what < 85) {
      ReferenceJob& job = jobs_[static_cast<size_t>(Below(static_cast<int64_t>(jobs_.size())))];
      job.work = Below(100);
      book_.SetWork(job.id, Duration(job.work));
    } else if (what < 95) {
      capacity_ = RandomCapacity();
      book_.SetCapacity(capacity_);
    } else {
      Demote();
    }
    tests::SortByDeadline(&jobs_);
  }

  void Compare() {
    book_.CheckInvariants();
    const int64_t backlog = Below(500);
    const std::vector<__int128> slacks = Slacks(jobs_, backlog);
    __int128 total = 0;
    for (size_t i = 0; i < jobs_.size(); ++i) {
      total += jobs_[i].work;
      ASSERT_EQ(book_.SlackOf(jobs_[i].id, now_, Duration(backlog)), Floor(slacks[i]));
    }
    ASSERT_EQ(book_.total_work(), Duration(static_cast<int64_t>(total)));
    if (!jobs_.empty()) {
      ASSERT_EQ(book_.LeastSlack(now_, Duration(backlog)),
                Floor(*std::min_element(slacks.begin(), slacks.end())));
    }
    CompareNew(backlog);
  }

  int64_t feasible() const { return feasible_; }
  int64_t infeasible() const { return infeasible_; }

 private:
  int64_t Below(int64_t n) {
    return static_cast<int64_t>(RandomBelow(seed_, 1, draw_++, static_cast<uint64_t>(n)));
  }
  DeadlineBook::Capacity RandomCapacity() {
    return {1 + Below(4), 1 + Below(DeadlineBook::kWholeShare)};
  }
  std::vector<__int128> Slacks(const std::vector<ReferenceJob>& jobs, int64_t backlog) const {
    return tests::ReferenceSlacks(jobs, now_, capacity_.servers, capacity_.share, backlog);
  }
  Duration Floor(__int128 scaled) const {
    const __int128 rate = static_cast<__int128>(capacity_.servers) * capacity_.share;
    __int128 whole = scaled / rate;
    whole -= whole * rate > scaled ? 1 : 0;
    return Duration(static_cast<int64_t>(whole));
  }

  void CompareNew(int64_t backlog) {
    std::vector<ReferenceJob> with = jobs_;
    const TimePoint deadline =
        Below(4) == 0 && !jobs_.empty()
            ? jobs_[static_cast<size_t>(Below(static_cast<int64_t>(jobs_.size())))].deadline
            : now_ + Duration(Below(3000));
    with.push_back({next_id_, deadline, Below(100)});
    const Duration work(with.back().work);
    tests::SortByDeadline(&with);
    const std::vector<__int128> slacks = Slacks(with, backlog);
    const DeadlineBook::Prediction p = book_.Predict(now_, deadline, work, Duration(backlog));
    size_t i = 0;
    while (with[i].id != next_id_) {
      ++i;
    }
    ASSERT_EQ(p.own_slack, Floor(slacks[i]));
    const __int128 least =
        *std::min_element(slacks.begin() + static_cast<int64_t>(i), slacks.end());
    ASSERT_EQ(p.feasible, least >= 0);
    ASSERT_EQ(p.deficit, least >= 0 ? Duration() : -Floor(least));
    if (i + 1 < slacks.size()) {
      ASSERT_EQ(p.later_slack, Floor(*std::min_element(slacks.begin() + static_cast<int64_t>(i) + 1,
                                                       slacks.end())));
    } else {
      ASSERT_EQ(p.later_slack, kLongest);
    }
    ++(p.feasible ? feasible_ : infeasible_);
  }

  void Demote() {
    const int64_t backlog = Below(500);
    tests::SortByDeadline(&jobs_);
    std::vector<uint64_t> lost;
    for (size_t i = 0; i < jobs_.size();) {
      if (Slacks(jobs_, backlog)[i] < 0) {
        lost.push_back(jobs_[i].id);
        jobs_.erase(jobs_.begin() + static_cast<int64_t>(i));
      } else {
        ++i;
      }
    }
    ASSERT_EQ(book_.Demote(now_, Duration(backlog)), lost);
  }

  const uint64_t seed_;
  uint64_t draw_ = 0;
  uint64_t next_id_ = 1;
  TimePoint now_;
  DeadlineBook::Capacity capacity_;
  DeadlineBook book_;
  std::vector<ReferenceJob> jobs_;
  int64_t feasible_ = 0;
  int64_t infeasible_ = 0;
};

TEST(DeadlineBookRandomTest, EqualsTheReference) {
  int64_t feasible = 0;
  int64_t infeasible = 0;
  for (uint64_t seed = 1; seed <= 100 && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomBook random(seed);
    for (int i = 0; i < 200 && !HasFailure(); ++i) {
      random.Call();
      random.Compare();
    }
    feasible += random.feasible();
    infeasible += random.infeasible();
  }
  EXPECT_GT(feasible, 500);
  EXPECT_GT(infeasible, 500);
}

// What the formula says against what servers do: equal for one, never too early for several.
TEST(DeadlineBookRandomTest, TheScheduleIsNeverLaterThanPredicted) {
  int64_t earlier = 0;
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    uint64_t draw = 0;
    const auto below = [&](int64_t n) {
      return static_cast<int64_t>(RandomBelow(seed, 2, draw++, static_cast<uint64_t>(n)));
    };
    const int64_t servers = 1 + below(5);
    const int64_t stretch = int64_t{1} << below(4);
    const TimePoint now(below(1000));
    std::vector<int64_t> busy;
    int64_t backlog = 0;
    for (int64_t s = 0; s < servers; ++s) {
      busy.push_back(below(300));
      backlog += busy.back();
    }
    DeadlineBook book({servers, DeadlineBook::kWholeShare / stretch});
    std::vector<ReferenceJob> jobs;
    for (uint64_t id = 1; id <= 40; ++id) {
      jobs.push_back({id, now + Duration(below(4000)), below(200)});
      book.Add(id, jobs.back().deadline, Duration(jobs.back().work));
    }
    tests::SortByDeadline(&jobs);
    const std::vector<TimePoint> ends = tests::ListSchedule(jobs, now, busy, stretch);
    for (size_t i = 0; i < jobs.size(); ++i) {
      const Duration really = jobs[i].deadline - ends[i];
      const Duration said = book.SlackOf(jobs[i].id, now, Duration(backlog));
      if (servers == 1) {
        ASSERT_EQ(said, really) << "seed " << seed;
      } else {
        ASSERT_LE(said, really) << "seed " << seed;
        earlier += said < really;
      }
    }
  }
  EXPECT_GT(earlier, 0);
}

TEST(DeadlineBookDeathTest, UnknownIds) {
  DeadlineBook book;
  book.Add(1, At(1), Duration(1));
  EXPECT_DEATH(book.Add(1, At(2), Duration(1)), "second");
  EXPECT_DEATH(book.Remove(2), "end");
  EXPECT_DEATH(book.SlackOf(2, At(0)), "end");
}

}  // namespace
}  // namespace scoville::scheduler
