#include "scheduler/router.h"

#include <gtest/gtest.h>

#include <vector>

namespace scoville::scheduler {
namespace {

TEST(RouterTest, TakesTheLeastLoadedThatFits) {
  const std::vector<DeviceLoad> devices = {
      {true, 2, 10, 90}, {true, 1, 95, 5}, {true, 1, 20, 80}, {false, 0, 0, 100}};
  EXPECT_EQ(RouteLeastLoaded(devices, {4, 50, 8}), 2);  // fewer blocks than device 1
  EXPECT_EQ(RouteLeastLoaded(devices, {85, 90, 8}), 0);
  EXPECT_EQ(RouteLeastLoaded(devices, {4, 101, 8}), -1);
  EXPECT_EQ(RouteLeastLoaded(devices, {4, 50, 1}), -1);  // all slots taken
}

TEST(RouterTest, KeepsABlockForEachRunningSequence) {
  EXPECT_TRUE(Fits({true, 2, 90, 10}, {8, 20, 8}));
  EXPECT_FALSE(Fits({true, 2, 90, 10}, {9, 20, 8}));
  EXPECT_TRUE(Fits({true, 0, 0, 10}, {10, 10, 8}));  // an empty device gives its last block
}

TEST(RouterTest, ABurstSpreadsEvenly) {
  std::vector<DeviceLoad> devices(8, DeviceLoad{true, 0, 0, 1000});
  for (int i = 0; i < 512; ++i) {
    const int32_t d = RouteLeastLoaded(devices, {4, 8, 256});
    ASSERT_GE(d, 0);
    devices[d].running += 1;
    devices[d].used_blocks += 4;
    devices[d].free_blocks -= 4;
  }
  for (const DeviceLoad& d : devices) EXPECT_EQ(d.running, 64);
}

}  // namespace
}  // namespace scoville::scheduler
