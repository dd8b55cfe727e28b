#include "scheduler/power/budget_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace scoville::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// The list under `budgets`, as the daemon and the simulator read it.
absl::StatusOr<std::vector<BudgetNodeSpec>> Read(const std::string& list) {
  const auto document = YamlDocument::Parse(absl::StrCat("budgets:\n", list), "f.yaml");
  if (!document.ok()) {
    return document.status();
  }
  const auto root = document->Root();
  auto budgets = ReadBudgets(*root);
  if (const absl::Status rest = document->Finish(); !rest.ok()) {
    return rest;
  }
  return budgets;
}

std::string ErrorOf(const std::string& list, uint32_t devices = 4) {
  auto nodes = Read(list);
  if (!nodes.ok()) {
    return std::string(nodes.status().message());
  }
  FleetPowerOptions options;
  options.nodes = *std::move(nodes);
  return std::string(MakeBudgetTree(options, devices, Watts(1)).status().message());
}

constexpr char kRacks[] =
    "  - {name: a, level: rack, cap: 900W, devices: [0, 2-3]}\n"
    "  - {name: b, level: rack, cap: 600W, devices: [1]}\n";

FleetPowerOptions Racks() {
  FleetPowerOptions options;
  options.nodes = *Read(kRacks);
  return options;
}

TEST(BudgetConfigTest, RacksHangOnAFleetThatNobodyWrote) {
  FleetPowerOptions options = Racks();
  EXPECT_TRUE(HasBudgets(options));
  auto tree = MakeBudgetTree(options, 4, Watts(9999));
  ASSERT_TRUE(tree.ok()) << tree.status();
  ASSERT_EQ(tree->nodes().size(), 3u);
  EXPECT_EQ(tree->root().name, "fleet");
  EXPECT_EQ(tree->root().level, BudgetLevel::kFleet);
  EXPECT_EQ(tree->root().cap, Watts(1500));
  EXPECT_THAT(tree->nodes()[1].devices, ElementsAre(0, 2, 3));
  options.budget = Watts(1000);
  tree = MakeBudgetTree(options, 4, Watts(9999));
  ASSERT_TRUE(tree.ok()) << tree.status();
  EXPECT_EQ(tree->root().cap, Watts(1000));
}

TEST(BudgetConfigTest, OfAWrittenFleetTheSmallerCapCounts) {
  FleetPowerOptions options;
  options.nodes =
      *Read(absl::StrCat(kRacks, "  - {name: hall, level: fleet, cap: 1200W, children: [a, b]}\n"));
  EXPECT_EQ(MakeBudgetTree(options, 4, Power())->root().cap, Watts(1200));
  options.budget = Watts(2000);
  EXPECT_EQ(MakeBudgetTree(options, 4, Power())->root().cap, Watts(1200));
  options.budget = Watts(800);
  EXPECT_EQ(MakeBudgetTree(options, 4, Power())->root().cap, Watts(800));
}

TEST(BudgetConfigTest, WithoutNodesThereIsOne) {
  FleetPowerOptions options;
  EXPECT_FALSE(HasBudgets(options));
  EXPECT_EQ(MakeBudgetTree(options, 4, Watts(77))->root().cap, Watts(77));
  options.budget = Watts(50);
  EXPECT_TRUE(HasBudgets(options));
  EXPECT_EQ(MakeBudgetTree(options, 4, Watts(77))->root().cap, Watts(50));
}

TEST(BudgetConfigTest, WhatIsWrittenReadsBack) {
  const std::string list =
      absl::StrCat(kRacks, "  - {name: row.1-x, level: row, cap: 1.2345kW, children: [a, b]}\n");
  const auto nodes = Read(list);
  ASSERT_TRUE(nodes.ok()) << nodes.status();
  const std::string text = WriteBudgets(*nodes);
  const auto document = YamlDocument::Parse(absl::StrCat("budgets: ", text), "g.yaml");
  ASSERT_TRUE(document.ok()) << document.status();
  const auto again = ReadBudgets(*document->Root());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(WriteBudgets(*again), text);
  EXPECT_EQ((*again)[2].cap, Milliwatts(1'234'500));
  EXPECT_EQ(WriteBudgets({}), "[]");
}

TEST(BudgetConfigTest, ErrorsPointAtWhatIsWrong) {
  const auto rack = [](const char* fields) {
    return ErrorOf(absl::StrCat(kRacks, "  - {name: c, ", fields, "}\n"), 5);
  };
  EXPECT_EQ(ErrorOf(kRacks), "");
  // One device twice, at the entry that is too much.
  EXPECT_THAT(rack("level: rack, cap: 1W, devices: [4, 2]"),
              HasSubstr("f.yaml:4:50: budgets[2].devices[1]: device 2 is on 'a' already"));
  EXPECT_THAT(rack("level: rack, cap: 1W, devices: [9]"),
              HasSubstr("f.yaml:4:5: budgets[2]: rack 'c' has device 9, the pool has 0 to 4"));
  EXPECT_THAT(ErrorOf(kRacks, 5), HasSubstr("f.yaml:2:5: budgets[0]: device 4 is on no node"));
  EXPECT_THAT(rack("level: row, cap: 1W, children: [a, bb], devices: [4]"),
              HasSubstr("f.yaml:4:5: budgets[2]: row 'c' has a child 'bb' that no node defines"));
  EXPECT_THAT(rack("level: rack, cap: 1W, children: [a], devices: [4]"),
              HasSubstr("f.yaml:2:5: budgets[0]: rack 'a' is a child of rack 'c'"));
  EXPECT_THAT(rack("level: shelf, cap: 1W, devices: [4]"), StartsWith("f.yaml:4:22: "));
  EXPECT_THAT(rack("level: rack, cap: 0W, devices: [4]"), HasSubstr("must be above 0 W"));
  EXPECT_THAT(rack("level: rack, cap: 5, devices: [4]"), StartsWith("f.yaml:4:33: "));
  EXPECT_THAT(rack("level: rack, devices: [4]"), HasSubstr("cap"));
  EXPECT_THAT(rack("level: rack, cap: 1W"), HasSubstr("needs `devices` or `children`"));
  EXPECT_THAT(rack("level: rack, cap: 1W, devises: [4]"), HasSubstr("devises"));
  for (const char* bad : {"-1", "x", "3-", "5-4", "65536", "1.5", "\"\"", "0-99999999999"}) {
    EXPECT_THAT(rack(absl::StrCat("level: rack, cap: 1W, devices: [", bad, "]").c_str()),
                HasSubstr("neither a device's number nor a range"))
        << bad;
  }
  EXPECT_THAT(ErrorOf("  - {name: fleet, level: rack, cap: 1W, devices: [0-3]}\n"),
              HasSubstr("needs another name"));
  EXPECT_THAT(ErrorOf("  - {name: \"a b\", level: rack, cap: 1W, devices: [0-3]}\n"),
              HasSubstr("must be 1 to 64 letters"));
  EXPECT_THAT(ErrorOf("  - {name: a, level: fleet, cap: 1W, devices: [0-3]}\n"
                      "  - {name: b, level: fleet, cap: 1W, devices: [4]}\n",
                      5),
              HasSubstr("this has several: a, b"));
}

TEST(BudgetConfigTest, APoolMustBeAbleToLiveUnderThem) {
  FleetPowerOptions options = Racks();
  std::vector<Power> floors(4, Watts(250));
  EXPECT_TRUE(CheckFleetPower(options, floors).ok()) << CheckFleetPower(options, floors);
  floors[2] = Watts(360);  // 860 of the 855 that 900 W less 5 % leave
  const absl::Status status = CheckFleetPower(options, floors);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              StartsWith("f.yaml:2:5: budgets[0]: rack 'a' may draw 855 W, but the least caps of"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("5 W short"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("raise the cap"));
  options.policy.reserve_ppm = 0;
  EXPECT_TRUE(CheckFleetPower(options, floors).ok());
  options.policy.pue_milli = 0;
  EXPECT_FALSE(CheckFleetPower(options, floors).ok());
}

}  // namespace
}  // namespace scoville::scheduler
