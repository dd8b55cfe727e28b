#include "scheduler/queue/request_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

namespace scoville::scheduler {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

QueueEntry Entry(uint64_t id, absl::string_view tenant, int64_t cost = 100,
                 ServiceClass service_class = ServiceClass::kStandard) {
  QueueEntry entry;
  entry.id = id;
  entry.tenant = tenant;
  entry.cost = cost;
  entry.service_class = service_class;
  entry.tokens = 10;
  return entry;
}

std::vector<uint64_t> Order(const RequestQueue& queue, int64_t limit = 1000) {
  std::vector<uint64_t> ids = {77};
  queue.Peek(limit, &ids);
  return ids;
}

TEST(RequestQueueTest, ClassesAreStrict) {
  RequestQueue queue(QueueOptions{});
  queue.Push(Entry(1, "a", 1, ServiceClass::kBatch));
  queue.Push(Entry(2, "a", 1, ServiceClass::kStandard));
  queue.Push(Entry(3, "a", 1'000'000, ServiceClass::kInteractive));
  EXPECT_THAT(Order(queue), ElementsAre(3, 2, 1));
  EXPECT_THAT(Order(queue, 2), ElementsAre(3, 2));
  EXPECT_THAT(Order(queue, 0), IsEmpty());
  EXPECT_EQ(queue.rank_of(1), 2);
  EXPECT_EQ(queue.rank_of(3), 0);
  queue.CheckInvariants();
}

TEST(RequestQueueTest, TenantsTakeTurnsByCostAndWeight) {
  QueueOptions options;
  options.fairness.weights = {{"heavy", 2 * kWeightOne}};
  RequestQueue queue(options);
  for (uint64_t id = 1; id <= 4; ++id) {
    queue.Push(Entry(id, "a", 100));
  }
  queue.Push(Entry(5, "b", 300));
  queue.Push(Entry(6, "b", 300));
  queue.Push(Entry(7, "heavy", 200));
  queue.Push(Entry(8, "heavy", 200));
  // Virtual times: a 0 100 200 300, b 0 300, heavy 0 100; ties by id.
  EXPECT_THAT(Order(queue), ElementsAre(1, 5, 7, 2, 8, 3, 4, 6));
  // Looking changed nothing, and taking in that order gives keys in that order.
  RankKey last;
  for (const uint64_t id : Order(queue)) {
    const RankKey key = queue.Take(id);
    EXPECT_LT(last, key);
    last = key;
  }
  EXPECT_TRUE(queue.empty());
}

TEST(RequestQueueTest, WithoutFairnessAllTenantsAreOneLine) {
  QueueOptions options;
  options.fairness.enabled = false;
  RequestQueue queue(options);
  queue.Push(Entry(1, "a", 1000));
  queue.Push(Entry(2, "a", 1000));
  queue.Push(Entry(3, "b", 1));
  EXPECT_THAT(Order(queue), ElementsAre(1, 2, 3));
  queue.Take(1);
  queue.Serve(1, 5000);
  EXPECT_THAT(Order(queue), ElementsAre(2, 3));
  EXPECT_EQ(queue.TenantLoad("a"), (QueueLoad{1, 10, 0, Duration()}));
  EXPECT_EQ(queue.Tenants()[0].charged, 5000);
  queue.CheckInvariants();
}

TEST(RequestQueueTest, EarliestDeadlineFirstWithinATenant) {
  QueueOptions options;
  options.policy = QueuePolicy::kEdf;
  RequestQueue queue(options);
  for (const auto& [id, due] :
       std::vector<std::pair<uint64_t, int64_t>>{{1, 30}, {2, 10}, {3, 20}}) {
    QueueEntry entry = Entry(id, "a");
    entry.due = TimePoint(due);
    queue.Push(entry);
  }
  EXPECT_THAT(Order(queue), ElementsAre(2, 3, 1));
  options.fairness.enabled = false;
  RequestQueue over_all(options);
  QueueEntry entry = Entry(1, "a");
  entry.due = TimePoint(2);
  over_all.Push(entry);
  entry = Entry(2, "b");
  entry.due = TimePoint(1);
  over_all.Push(entry);
  EXPECT_THAT(Order(over_all), ElementsAre(2, 1));
  EXPECT_EQ(over_all.Take(2).due, TimePoint(1));
}

TEST(RequestQueueTest, WhatComesBackKeepsItsKeyAndStandsBeforeTheUnstarted) {
  RequestQueue queue(QueueOptions{});
  queue.Push(Entry(1, "a", 1000));
  queue.Push(Entry(2, "a", 1000));
  queue.Take(1);
  const RankKey second = queue.Take(2);
  EXPECT_EQ(second.tag, 1000);
  queue.Push(Entry(3, "b"));  // no virtual time at all
  queue.Push(Entry(4, "b", 1, ServiceClass::kInteractive));
  queue.Restore(2, second);
  EXPECT_THAT(Order(queue), ElementsAre(4, 2, 3));
  EXPECT_EQ(queue.KeyOf(2), second);
  EXPECT_EQ(queue.Take(2), second);
  queue.Restore(2, second, 25);
  EXPECT_EQ(queue.tokens(), 45);
  EXPECT_EQ(queue.Tenants()[0].charged, 2000) << "not charged again";
  queue.CheckInvariants();
}

TEST(RequestQueueTest, PinnedGoFirstInTheirClass) {
  RequestQueue queue(QueueOptions{});
  queue.Push(Entry(1, "a"));
  queue.Push(Entry(2, "a"));
  queue.Push(Entry(3, "a", 1, ServiceClass::kInteractive));
  queue.Restore(1, queue.Take(1));
  const RankKey two = queue.Take(2);
  const RankKey pinned = queue.Pin(2);
  EXPECT_LT(pinned, queue.KeyOf(1));
  EXPECT_LT(queue.KeyOf(1), two);
  queue.Restore(2, pinned);
  EXPECT_THAT(Order(queue), ElementsAre(3, 2, 1));
  queue.Pin(1);  // while it waits
  EXPECT_THAT(Order(queue), ElementsAre(3, 1, 2));
  queue.CheckInvariants();
}

TEST(RequestQueueTest, RemoveGivesBackWhatWasNotServed) {
  RequestQueue queue(QueueOptions{});
  queue.Push(Entry(1, "a", 500));
  queue.Push(Entry(2, "a", 100));
  queue.Push(Entry(3, "b", 100));
  queue.Push(Entry(4, "b", 100));
  queue.Take(1);
  EXPECT_THAT(Order(queue), ElementsAre(3, 4, 2));
  queue.Serve(1, 50);
  EXPECT_EQ(queue.Remove(1), 450);
  EXPECT_EQ(queue.KeyOf(2).tag, 50);
  EXPECT_THAT(Order(queue), ElementsAre(3, 2, 4));
  EXPECT_EQ(queue.Remove(2), 0) << "never taken, never charged";
  // Beyond the estimate it is charged as it happens, and nothing is left to give back.
  queue.Take(3);
  queue.Serve(3, 60);
  queue.Serve(3, 60);
  EXPECT_EQ(queue.KeyOf(4).tag, 120);
  queue.Restore(3, queue.KeyOf(3));
  EXPECT_EQ(queue.Remove(3), 0);
  EXPECT_EQ(queue.Tenants()[1].charged, 120);
  queue.Charge(ServiceClass::kStandard, "b", -20);
  EXPECT_EQ(queue.KeyOf(4).tag, 100);
  queue.Charge(ServiceClass::kBatch, "b", 7);  // every class has its own virtual times
  EXPECT_EQ(queue.KeyOf(4).tag, 100);
  queue.Charge(ServiceClass::kBatch, "nobody", 7);
  queue.CheckInvariants();
}

TEST(RequestQueueTest, NobodySavesUpService) {
  RequestQueue queue(QueueOptions{});
  queue.Push(Entry(1, "idle"));
  queue.Take(1);
  queue.Remove(1);
  for (uint64_t id = 2; id <= 11; ++id) {
    queue.Push(Entry(id, "busy"));
  }
  for (uint64_t id = 2; id <= 9; ++id) {
    queue.Take(id);
  }
  queue.Push(Entry(12, "idle"));
  queue.Push(Entry(13, "idle"));
  queue.Push(Entry(14, "idle"));
  EXPECT_EQ(queue.KeyOf(12).tag, 800);
  EXPECT_THAT(Order(queue), ElementsAre(10, 12, 11, 13, 14));
  // Nobody waits: a newcomer stands where the last one was taken.
  for (const uint64_t id : Order(queue)) {
    queue.Take(id);
  }
  queue.Push(Entry(15, "new"));
  EXPECT_EQ(queue.KeyOf(15).tag, 1000);
}

TEST(RequestQueueTest, AHeadMayBePassed) {
  RequestQueue queue(QueueOptions{});
  queue.Push(Entry(1, "a", 100));
  queue.Push(Entry(2, "a", 30));
  queue.Push(Entry(3, "b", 100));
  EXPECT_EQ(queue.Take(2).tag, 0);
  EXPECT_EQ(queue.KeyOf(1).tag, 30);
  EXPECT_THAT(Order(queue), ElementsAre(3, 1));
  queue.CheckInvariants();
}

TEST(RequestQueueTest, OldEntriesCountAsTheNextHigherClass) {
  QueueOptions options;
  options.class_ageing = Seconds(10);
  RequestQueue queue(options);
  QueueEntry old = Entry(1, "a", 1, ServiceClass::kBatch);
  old.arrival = TimePoint() + Seconds(1);
  queue.Push(old);
  for (uint64_t id = 2; id <= 3; ++id) {
    QueueEntry entry = Entry(id, "b", 1, ServiceClass::kInteractive);
    entry.arrival = TimePoint() + Seconds(15);
    queue.Push(entry);
  }
  EXPECT_EQ(queue.NextAgeing(), TimePoint() + Seconds(11));
  queue.Age(TimePoint() + Seconds(11));
  EXPECT_EQ(queue.KeyOf(1).service_class, 1);
  EXPECT_THAT(Order(queue), ElementsAre(2, 3, 1));
  EXPECT_EQ(queue.size(ServiceClass::kBatch), 1) << "counted as the client gave it";
  queue.CheckInvariants();
  // Once more while it is on a device and back.
  const RankKey key = queue.Take(1);
  queue.Age(TimePoint() + Seconds(30));
  queue.Restore(1, key);
  EXPECT_EQ(queue.NextAgeing(), TimePoint() + Seconds(21));
  queue.Age(TimePoint() + Seconds(30));
  EXPECT_THAT(Order(queue), ElementsAre(1, 2, 3));
  EXPECT_EQ(queue.NextAgeing(), TimePoint::Max());
  queue.CheckInvariants();
}

TEST(RequestQueueTest, WhereAgeingIsStoppedNobodyStandsBeforeAHigherClass) {
  QueueOptions options;
  options.class_ageing = Seconds(10);
  RequestQueue queue(options);
  for (uint64_t id = 1; id <= 4; ++id) {
    queue.Push(Entry(id, "a", 1, ServiceClass::kBatch));
  }
  queue.Age(TimePoint() + Seconds(20));
  QueueEntry entry = Entry(5, "a", 1, ServiceClass::kInteractive);
  entry.arrival = TimePoint() + Seconds(20);
  queue.Push(entry);
  queue.Hold(3);
  const RankKey key = queue.Take(4);
  EXPECT_THAT(Order(queue), ElementsAre(1, 2, 5));
  queue.StopAgeing(ServiceClass::kBatch, true);
  queue.CheckInvariants();
  queue.Restore(4, key);
  queue.Release(3);
  queue.Age(TimePoint() + Seconds(90));
  EXPECT_THAT(Order(queue), ElementsAre(5, 4, 1, 2, 3));
  EXPECT_EQ(queue.NextAgeing(), TimePoint::Max());
  queue.CheckInvariants();
  queue.StopAgeing(ServiceClass::kBatch, false);
  queue.CheckInvariants();
  queue.Age(TimePoint() + Seconds(90));
  queue.CheckInvariants();
  EXPECT_EQ(queue.KeyOf(1).service_class, 0);
  EXPECT_EQ(Order(queue).front(), 4);
}

TEST(RequestQueueTest, LateOnesStandBehindAndHaveATurn) {
  QueueOptions options;
  options.policy = QueuePolicy::kEdf;
  options.late_share = 3;
  RequestQueue queue(options);
  for (uint64_t id = 1; id <= 8; ++id) {
    QueueEntry entry = Entry(id, "a");
    entry.due = TimePoint(static_cast<int64_t>(100 * id));
    entry.late_at = TimePoint(static_cast<int64_t>(90 * id));
    queue.Push(entry);
  }
  queue.Age(TimePoint(89));
  EXPECT_THAT(Order(queue), ElementsAre(1, 2, 3, 4, 5, 6, 7, 8));
  EXPECT_EQ(queue.late(), 0);
  queue.Age(TimePoint(180));  // 1 and 2 are late
  EXPECT_EQ(queue.late(), 2);
  EXPECT_THAT(Order(queue), ElementsAre(3, 4, 1, 5, 6, 2, 7, 8));
  queue.MakeLate(8);
  EXPECT_THAT(Order(queue), ElementsAre(3, 4, 1, 5, 6, 2, 7, 8));
  EXPECT_TRUE(queue.Late(1) && queue.Behind(1));
  EXPECT_FALSE(queue.Take(3).late);
  EXPECT_FALSE(queue.Take(4).late);
  EXPECT_FALSE(queue.Behind(1));  // its turn
  EXPECT_TRUE(queue.Behind(2));
  EXPECT_EQ(queue.rank_of(1), 0);
  const RankKey key = queue.Take(1);
  EXPECT_TRUE(key.late);
  EXPECT_EQ(queue.late(), 2);  // 2 and 8
  EXPECT_THAT(Order(queue), ElementsAre(5, 6, 2, 7, 8));
  // What was taken goes on before all that was not.
  queue.Restore(1, key);
  EXPECT_FALSE(queue.Behind(1));
  EXPECT_THAT(Order(queue), ElementsAre(1, 5, 6, 2, 7, 8));
  queue.CheckInvariants();
}

TEST(RequestQueueTest, BeingLateCostsATenantNothingOfItsShare) {
  QueueOptions options;
  RequestQueue queue(options);
  queue.Push(Entry(1, "a", 100));
  queue.Push(Entry(2, "b", 100));
  queue.Push(Entry(3, "b", 100));
  queue.Take(2);      // b's time is 100, a's 0
  queue.MakeLate(1);  // all that a has
  EXPECT_THAT(Order(queue), ElementsAre(1, 3));
  queue.CheckInvariants();
}

TEST(RequestQueueTest, WithoutAShareNobodyIsLate) {
  QueueOptions options;
  options.late_share = 0;
  RequestQueue queue(options);
  QueueEntry entry = Entry(1, "a");
  entry.late_at = TimePoint(5);
  queue.Push(entry);
  queue.Push(Entry(2, "a"));
  queue.Age(TimePoint(50));
  queue.MakeLate(1);
  EXPECT_FALSE(queue.Late(1));
  EXPECT_THAT(Order(queue), ElementsAre(1, 2));
}

TEST(RequestQueueTest, NamesBeyondTheLimitShareOneVirtualTime) {
  QueueOptions options;
  options.fairness.max_tenants = 3;  // the shared one and two names
  RequestQueue queue(options);
  queue.Push(Entry(1, "a"));
  queue.Push(Entry(2, "b"));
  queue.Push(Entry(3, "c"));
  queue.Push(Entry(4, "d"));
  queue.Push(Entry(5, "a"));
  EXPECT_THAT(Order(queue), ElementsAre(1, 2, 3, 4, 5));
  EXPECT_EQ(queue.TenantLoad("d"), (QueueLoad{2, 20, 0, Duration()}));
  ASSERT_EQ(queue.Tenants().size(), 3u);
  EXPECT_EQ(queue.Tenants()[0].name, "");
  queue.CheckInvariants();
  // A name whose account is even gives its number to a new one; one that is ahead does not.
  for (const uint64_t id : {2, 1, 5, 3, 4}) {
    queue.Take(id);
    queue.Remove(id);  // nothing was served
  }
  queue.Push(Entry(6, "a", 100));
  queue.Take(6);
  queue.Serve(6, 100'000);
  queue.Remove(6);
  queue.Push(Entry(7, "e"));
  queue.Push(Entry(8, "f"));
  std::vector<std::string> names;
  for (const TenantStatus& tenant : queue.Tenants()) {
    names.push_back(tenant.name);
  }
  EXPECT_THAT(names, ElementsAre("", "a", "e"));
  queue.CheckInvariants();
}

TEST(RequestQueueTest, AConfiguredNameKeepsItsWeight) {
  QueueOptions options;
  options.fairness.max_tenants = 1;
  options.fairness.weights = {{"gold", 4 * kWeightOne}};
  RequestQueue queue(options);
  for (uint64_t id = 1; id <= 20; ++id) {
    queue.Push(Entry(id, "t" + std::to_string(id)));
  }
  queue.Push(Entry(21, "gold", 400));
  queue.Push(Entry(22, "gold", 400));
  EXPECT_THAT(Order(queue, 4), ElementsAre(1, 21, 2, 22));
}

TEST(RequestQueueTest, VirtualTimesNeverOverflow) {
  RequestQueue queue(QueueOptions{});
  constexpr int64_t kHuge = int64_t{1} << 59;
  for (uint64_t id = 1; id <= 200; ++id) {
    queue.Push(Entry(id, id % 2 == 0 ? "a" : "b", kHuge));
  }
  int64_t a_ahead = 0;
  while (!queue.empty()) {
    const uint64_t id = Order(queue, 1)[0];
    queue.Take(id);
    queue.CheckInvariants();
    a_ahead += id % 2 == 0 ? 1 : -1;
    EXPECT_LE(std::abs(a_ahead), 1);
  }
  for (const TenantStatus& tenant : queue.Tenants()) {
    EXPECT_EQ(tenant.charged, INT64_MAX) << "a hundred times 2^59 stands at the end";
  }
}

TEST(RequestQueueTest, ListsIdsAscending) {
  RequestQueue queue(QueueOptions{});
  for (const uint64_t id : {5, 2, 9, 1}) {
    queue.Push(Entry(id, "a"));
  }
  queue.Take(2);
  EXPECT_THAT(queue.Ids(), ElementsAre(1, 5, 9));
  EXPECT_TRUE(queue.Contains(2));
  EXPECT_FALSE(queue.Waiting(2));
  queue.Remove(2);
  EXPECT_FALSE(queue.Contains(2));
}

TEST(RequestQueueDeathTest, WhatOnlyABugCanDo) {
  RequestQueue queue(QueueOptions{});
  queue.Push(Entry(1, "a"));
  EXPECT_DEATH(queue.Push(Entry(1, "a")), "second");
  EXPECT_DEATH(queue.Take(2), "slots_.end");
  EXPECT_DEATH(queue.Serve(1, 1), "kTaken");
  EXPECT_DEATH(queue.Restore(1, RankKey()), "kTaken");
  queue.Take(1);
  EXPECT_DEATH(queue.Take(1), "InLine");
}

}  // namespace
}  // namespace scoville::scheduler
