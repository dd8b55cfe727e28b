#include "scheduler/power/cap_book.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/random.h"

namespace scoville::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr TimePoint At(int64_t ns) { return TimePoint(ns); }

TEST(CapBookTest, CountsTheLargerOneUntilTheLowerHolds) {
  const BudgetTree tree = BudgetTree::Flat(Power(1000), 2);
  CapBook book(&tree, tree.Caps(), {Power(500), Power(500)});
  book.Commit({0, Power(200)}, At(10), At(30));
  EXPECT_EQ(book.cap(0), Power(200));
  EXPECT_EQ(book.counted(0), Power(500));
  EXPECT_EQ(book.effective_at(0), At(30));
  EXPECT_EQ(*book.NextChange(), At(30));
  // Nothing is free yet, so nobody is raised.
  EXPECT_THAT(book.Increases({Power(200), Power(800)}), IsEmpty());
  book.Advance(At(29));
  EXPECT_THAT(book.Increases({Power(200), Power(800)}), IsEmpty());
  book.Advance(At(30));
  EXPECT_EQ(book.counted(0), Power(200));
  EXPECT_FALSE(book.NextChange().has_value());
  EXPECT_THAT(book.Increases({Power(200), Power(900)}), ElementsAre(CapCommand{1, Power(800)}));
}

TEST(CapBookTest, IncreasesShareWhatIsFreeByIdAndUnderEveryNode) {
  const auto tree = BudgetTree::Create(
      std::vector<BudgetNodeSpec>{{"fleet", BudgetLevel::kFleet, Power(1000), {"r"}, {2}},
                                  {"r", BudgetLevel::kRack, Power(500), {}, {0, 1}}},
      3);
  ASSERT_TRUE(tree.ok());
  const CapBook book(&*tree, tree->Caps(), {Power(200), Power(200), Power(300)});
  EXPECT_THAT(
      book.Increases({Power(260), Power(300), Power(900)}),
      ElementsAre(CapCommand{0, Power(260)}, CapCommand{1, Power(240)}, CapCommand{2, Power(500)}));
  EXPECT_THAT(book.Decreases({Power(260), Power(100), Power(300)}),
              ElementsAre(CapCommand{1, Power(100)}));
}

TEST(CapBookTest, ARaiseBelowWhatIsCountedIsFree) {
  const BudgetTree tree = BudgetTree::Flat(Power(500), 1);
  CapBook book(&tree, tree.Caps(), {Power(500)});
  book.Commit({0, Power(100)}, At(0), At(50));
  EXPECT_THAT(book.Increases({Power(400)}), ElementsAre(CapCommand{0, Power(400)}));
  book.Commit({0, Power(400)}, At(10), At(10));
  EXPECT_EQ(book.counted(0), Power(500));  // the windows still remember 500
  book.Advance(At(50));
  EXPECT_EQ(book.counted(0), Power(400));
}

TEST(CapBookTest, ALoweredLimitComesIntoForceWhenItHolds) {
  const BudgetTree tree = BudgetTree::Flat(Power(1000), 2);
  CapBook book(&tree, tree.Caps(), {Power(500), Power(400)});
  book.SetLimits({Power(600)});
  EXPECT_THAT(book.limits_in_force(), ElementsAre(Power(1000)));
  EXPECT_FALSE(book.settled());
  // Meanwhile nobody takes from what is on its way out.
  EXPECT_THAT(book.Increases({Power(500), Power(450)}), IsEmpty());
  book.Commit({0, Power(200)}, At(5), At(20));
  book.Advance(At(20));
  EXPECT_TRUE(book.settled());
  EXPECT_THAT(book.limits_in_force(), ElementsAre(Power(600)));
}

TEST(CapBookTest, ALostDeviceKeepsItsShareUntilItIsFenced) {
  const BudgetTree tree = BudgetTree::Flat(Power(1000), 2);
  CapBook book(&tree, tree.Caps(), {Power(500), Power(500)});
  book.Commit({0, Power(200)}, At(0), At(10));
  book.Lose(0);
  book.Advance(At(100));
  EXPECT_EQ(book.counted(0), Power(500));  // it may not have heard
  EXPECT_THAT(book.Increases({Power(500), Power(900)}), IsEmpty());
  EXPECT_THAT(book.Decreases({Power(0), Power(500)}), IsEmpty());
  book.Fence(0, Power(20));
  EXPECT_EQ(book.counted(0), Power(20));  // off is not nothing
  EXPECT_THAT(book.Increases({Power(500), Power(990)}), ElementsAre(CapCommand{1, Power(980)}));
  book.Commit({1, Power(900)}, At(101), At(101));
  EXPECT_FALSE(book.Return(0, Power(200)));
  EXPECT_TRUE(book.Return(0, Power(100)));
  EXPECT_EQ(book.counted(0), Power(100));
}

TEST(CapBookDeathTest, RefusesARaiseThatIsNotPaidFor) {
  const BudgetTree tree = BudgetTree::Flat(Power(1000), 2);
  CapBook book(&tree, tree.Caps(), {Power(500), Power(500)});
  EXPECT_DEATH(book.Commit({0, Power(501)}, At(0), At(0)), "CHECK|vs");
}

// What a device may still draw, from its commands alone: those that no later one has superseded. A
// raise supersedes when what was sent before it has come into effect.
class CommandLog {
 public:
  explicit CommandLog(Power cap) : commands_({{At(0), cap}}) {}
  void Send(Power cap, TimePoint effective_at) {
    const bool raise = cap > commands_.back().cap;
    commands_.push_back({raise ? std::max(effective_at, commands_.back().at) : effective_at, cap});
  }
  Power WorstAt(TimePoint now) const {
    Power worst;
    for (size_t i = commands_.size(); i-- > 0;) {
      worst = std::max(worst, commands_[i].cap);
      if (commands_[i].at <= now) break;
    }
    return worst;
  }

 private:
  struct Sent {
    TimePoint at;
    Power cap;
  };
  std::vector<Sent> commands_;
};

constexpr uint32_t kDevices = 6;

BudgetTree ThreeLevels() {
  auto tree = BudgetTree::Create(
      std::vector<BudgetNodeSpec>{{"fleet", BudgetLevel::kFleet, Power(2400), {"a", "b"}, {5}},
                                  {"a", BudgetLevel::kRack, Power(1000), {"t"}, {2}},
                                  {"t", BudgetLevel::kTray, Power(800), {}, {0, 1}},
                                  {"b", BudgetLevel::kRack, Power(900), {}, {3, 4}}},
      kDevices);
  EXPECT_TRUE(tree.ok()) << tree.status();
  return *tree;
}

class Walk {
 public:
  explicit Walk(uint64_t seed) : seed_(seed) {
    for (uint32_t i = 0; i < kDevices; ++i) logs_.emplace_back(book_.cap(i));
  }

  void Step() {
    now_ += Duration(Below(15));
    book_.Advance(now_);
    Check();
    switch (Below(12)) {
      case 0:
        NewLimits();
        break;
      case 1:
        book_.Lose(static_cast<uint32_t>(Below(kDevices)));
        break;
      case 2:
        FenceOne();
        break;
      case 3:
        ReturnOne();
        break;
      default:
        NewTargets();
    }
    Check();
  }

  int64_t raises = 0;
  int64_t partial = 0;
  int64_t pending_limits = 0;

 private:
  int64_t Below(int64_t n) {
    return static_cast<int64_t>(RandomBelow(seed_, 3, draws_++, static_cast<uint64_t>(n)));
  }

  void NewLimits() {
    std::vector<Power> limits;
    for (const Power cap : tree_.Caps()) limits.push_back(cap * (20 + Below(100)) / 100);
    book_.SetLimits(limits);
  }

  void FenceOne() {
    const uint32_t device = static_cast<uint32_t>(Below(kDevices));
    if (book_.presence(device) == CapBook::Presence::kLost) {
      book_.Fence(device, Power(Below(30)));
    }
  }

  void ReturnOne() {
    const uint32_t device = static_cast<uint32_t>(Below(kDevices));
    if (book_.presence(device) == CapBook::Presence::kPresent) return;
    if (book_.Return(device, Power(Below(200)))) logs_[device] = CommandLog(book_.cap(device));
  }

  void NewTargets() {
    std::vector<Power> targets;
    for (uint32_t i = 0; i < kDevices; ++i) targets.push_back(Power(Below(600)));
    for (const CapCommand& command : book_.Decreases(targets)) {
      Send(command, now_ + Duration(Below(40)));
      Check();
    }
    for (const CapCommand& command : book_.Increases(targets)) {
      ++raises;
      partial += command.cap < targets[command.device] ? 1 : 0;
      Send(command, now_);
      Check();
    }
  }

  void Send(const CapCommand& command, TimePoint effective_at) {
    book_.Commit(command, now_, effective_at);
    logs_[command.device].Send(command.cap, effective_at);
  }

  void Check() {
    std::vector<Power> truth;
    for (uint32_t i = 0; i < kDevices; ++i) {
      // A lost device is held at what it counted; a present one exactly at its worst case.
      const bool present = book_.presence(i) == CapBook::Presence::kPresent;
      truth.push_back(present ? logs_[i].WorstAt(now_) : book_.counted(i));
      ASSERT_EQ(book_.counted(i), truth.back()) << "device " << i << " at " << now_;
    }
    const std::vector<Power> sums = tree_.SumsOf(truth);
    ASSERT_EQ(sums, book_.counted_sums());
    for (size_t n = 0; n < sums.size(); ++n) {
      ASSERT_LE(sums[n], book_.limits_in_force()[n]) << tree_.nodes()[n].name;
      // What is in force moves only to the limit set, and never up while that is below.
      if (book_.limits_in_force()[n] != book_.limits()[n]) {
        ++pending_limits;
        ASSERT_GT(book_.limits_in_force()[n], book_.limits()[n]);
        ASSERT_GT(sums[n], book_.limits()[n]);
      }
    }
  }

  const uint64_t seed_;
  uint64_t draws_ = 0;
  const BudgetTree tree_ = ThreeLevels();
  CapBook book_{
      &tree_, tree_.Caps(),
      std::vector<Power>{Power(300), Power(300), Power(300), Power(400), Power(400), Power(500)}};
  std::vector<CommandLog> logs_;
  TimePoint now_;
};

TEST(CapBookTest, CountedStaysWithinEveryBudgetWhateverHappens) {
  int64_t raises = 0;
  int64_t partial = 0;
  int64_t pending = 0;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    Walk walk(seed);
    for (int step = 0; step < 500; ++step) {
      walk.Step();
      ASSERT_FALSE(::testing::Test::HasFatalFailure()) << "seed " << seed << " step " << step;
    }
    raises += walk.raises;
    partial += walk.partial;
    pending += walk.pending_limits;
  }
  EXPECT_GT(raises, 10'000);
  EXPECT_GT(partial, 1'000);
  EXPECT_GT(pending, 1'000);
}

}  // namespace
}  // namespace scoville::scheduler
