#include "scheduler/power/budget_tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace scoville::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<BudgetNodeSpec> TwoRacks() {
  return {{"a", BudgetLevel::kRack, Watts(1000), {}, {0, 1}},
          {"hall", BudgetLevel::kFleet, Watts(1800), {"a", "b"}, {4}},
          {"b", BudgetLevel::kRack, Watts(1000), {"b1"}, {}},
          {"b1", BudgetLevel::kTray, Watts(900), {}, {2, 3}}};
}

std::string ErrorOf(const std::vector<BudgetNodeSpec>& specs, uint32_t devices = 5) {
  const auto tree = BudgetTree::Create(specs, devices);
  return tree.ok() ? "" : std::string(tree.status().message());
}

TEST(BudgetTreeTest, OrdersParentsFirstAndSumsUp) {
  const auto tree = BudgetTree::Create(TwoRacks(), 5);
  ASSERT_TRUE(tree.ok()) << tree.status();
  std::vector<std::string> names;
  for (const BudgetNode& node : tree->nodes()) names.push_back(node.name);
  EXPECT_THAT(names, ElementsAre("hall", "a", "b", "b1"));
  EXPECT_THAT(tree->root().devices, ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(tree->nodes()[2].devices, ElementsAre(2, 3));
  EXPECT_THAT(tree->SumsOf({Watts(1), Watts(2), Watts(4), Watts(8), Watts(16)}),
              ElementsAre(Watts(31), Watts(3), Watts(12), Watts(12)));
  EXPECT_EQ(*tree->Find("b1"), 3);
  EXPECT_THAT(std::string(tree->Find("hal").status().message()), HasSubstr("did you mean 'hall'"));
}

TEST(BudgetTreeTest, SaysWhatIsWrongWithTheWiring) {
  EXPECT_THAT(ErrorOf({}), HasSubstr("0 nodes"));

  auto specs = TwoRacks();
  specs[1].children[0] = "aa";
  EXPECT_THAT(ErrorOf(specs), HasSubstr("fleet 'hall' has a child 'aa' that no node defines"));

  specs = TwoRacks();
  specs[2].cap = Watts(-5);
  EXPECT_THAT(ErrorOf(specs), HasSubstr("rack 'b' has a cap of -5 W"));
  specs[2].cap = Power();
  EXPECT_THAT(ErrorOf(specs), HasSubstr("above zero"));

  specs = TwoRacks();
  specs[1].children = {"a"};
  specs[3].children = {"b"};
  EXPECT_THAT(ErrorOf(specs), HasSubstr("its own ancestor (b < b1 < b)"));

  specs = TwoRacks();
  specs[1].children = {"a"};
  EXPECT_THAT(ErrorOf(specs), HasSubstr("one root, this has several: hall, b"));

  specs = TwoRacks();
  specs[0].children = {"b1"};
  EXPECT_THAT(ErrorOf(specs), HasSubstr("is a child of both"));

  specs = TwoRacks();
  specs[3].level = BudgetLevel::kRow;
  EXPECT_THAT(ErrorOf(specs), HasSubstr("row 'b1' is a child of rack 'b': the order is"));

  specs = TwoRacks();
  specs[0].name = "b";
  EXPECT_THAT(ErrorOf(specs), HasSubstr("exists twice"));
  specs[0].name = "";
  EXPECT_THAT(ErrorOf(specs), HasSubstr("no name"));
}

TEST(BudgetTreeTest, EveryDeviceHangsOnOneNode) {
  auto specs = TwoRacks();
  specs[0].devices = {0};
  EXPECT_THAT(ErrorOf(specs), HasSubstr("device 1 is on no node"));
  specs[0].devices = {0, 1, 3};
  EXPECT_THAT(ErrorOf(specs), HasSubstr("has device 3, which 'a' has too"));
  specs[0].devices = {0, 1, 5};
  EXPECT_THAT(ErrorOf(specs), HasSubstr("has device 5, the pool has 0 to 4"));
}

TEST(BudgetTreeTest, FloorsThatDoNotFitShowTheSum) {
  const auto tree = BudgetTree::Create(TwoRacks(), 5);
  ASSERT_TRUE(tree.ok());
  std::vector<Power> floors(5, Watts(300));
  EXPECT_TRUE(tree->CheckFloor(tree->Caps(), floors).ok());
  floors[2] = Milliwatts(700'500);
  const absl::Status status = tree->CheckFloor(tree->Caps(), floors);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  // The narrowest one that breaks is named: the tray, not the rack or the hall.
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("tray 'b1' may draw 900 W, but the least caps of its 2 devices sum to "
                        "1000.5 W (700.5 W + 300 W): 100.5 W short"));
}

TEST(BudgetTreeTest, FlatHasOneNode) {
  const BudgetTree tree = BudgetTree::Flat(Watts(700), 3);
  EXPECT_EQ(tree.nodes().size(), 1u);
  EXPECT_EQ(tree.HomeOf(2), 0);
  EXPECT_THAT(tree.Caps(), ElementsAre(Watts(700)));
}

TEST(BudgetTreeTest, DevicesComeAndGoUnderTheirNumbers) {
  const std::vector<BudgetNodeSpec> specs = {
      {"fleet", BudgetLevel::kFleet, Watts(1000), {"a", "b"}, {}},
      {"a", BudgetLevel::kRack, Watts(400), {}, {0}},
      {"b", BudgetLevel::kRack, Watts(700), {}, {1}}};
  absl::StatusOr<BudgetTree> tree = BudgetTree::Create(specs, 2);
  ASSERT_TRUE(tree.ok()) << tree.status();
  tree->AddDevice(*tree->Find("a"));
  EXPECT_EQ(tree->devices(), 3u);
  EXPECT_EQ(tree->nodes()[1].devices, (std::vector<uint32_t>{0, 2}));
  EXPECT_EQ(tree->root().devices, (std::vector<uint32_t>{0, 1, 2}));
  const std::vector<Power> floors = {Watts(150), Watts(150), Watts(300)};
  EXPECT_EQ(tree->SumsOf(floors)[1], Watts(450));
  EXPECT_FALSE(tree->CheckFloor(tree->Caps(), floors).ok());
  tree->RemoveDevice(0);
  EXPECT_EQ(tree->nodes()[1].devices, (std::vector<uint32_t>{2}));
  EXPECT_EQ(tree->root().devices, (std::vector<uint32_t>{1, 2}));
  EXPECT_EQ(tree->devices(), 3u);  // its number is not given again
  EXPECT_TRUE(tree->CheckFloor(tree->Caps(), {Power(), Watts(150), Watts(300)}).ok());
}

}  // namespace
}  // namespace scoville::scheduler
