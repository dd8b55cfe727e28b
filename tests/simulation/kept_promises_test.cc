// What was promised of pages is kept when devices come, go and lose some: bytes follow their
// sequences, every row gets the blocks that are kept for it, and what becomes free wakes somebody.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "tests/support/core_fixture.h"
#include "tests/support/page_oracle.h"

namespace scoville::tests {
namespace {

using scheduler::Outcome;
using scheduler::ServiceClass;

constexpr size_t kBatch = static_cast<size_t>(ServiceClass::kBatch);
constexpr size_t kStandard = static_cast<size_t>(ServiceClass::kStandard);

void RunAll(Core& core) {
  while (core.loop.RunOne()) {
    core.scheduler->CheckInvariants();
    for (const auto& device : core.devices) {
      device->kv().CheckInvariants();
    }
  }
}

// Prompts that begin alike in nothing, unless `number` is the same.
scheduler::Request Prompt(Core& core, int32_t number, int64_t tokens, int64_t output,
                          std::shared_ptr<SinkLog> log) {
  scheduler::Request request = core.NewRequest(tokens, output, std::move(log));
  request.prompt.assign(static_cast<size_t>(tokens), 1'000 + number);
  return request;
}

// A prompt that is cached to its last token gets a page of its own to write into; that page has its
// bytes even if the sequence leaves before its first step.
TEST(KeptPromises, AFullHitThatMovesBeforeItsFirstStepTakesItsBytesAlong) {
  Core core({.devices = 2, .kv_blocks = 100, .prefix_cache = true, .executor = PageOracle::Make});
  ASSERT_TRUE(core.scheduler->DrainDevice(DeviceId{1}, /*migrate=*/false).ok());
  auto first = std::make_shared<SinkLog>();
  auto busy = std::make_shared<SinkLog>();
  auto hit = std::make_shared<SinkLog>();
  core.scheduler->Submit(Prompt(core, 1, 320, 3, first));
  RunAll(core);
  core.scheduler->Submit(Prompt(core, 2, 320, 50, busy));
  while (!core.devices[0]->busy()) {
    ASSERT_TRUE(core.loop.RunOne());
  }
  core.scheduler->Submit(Prompt(core, 1, 320, 20, hit));
  ASSERT_TRUE(core.scheduler->ReturnDevice(DeviceId{1}).ok());
  ASSERT_TRUE(core.scheduler->DrainDevice(DeviceId{0}, /*migrate=*/true).ok());
  const auto requests = core.scheduler->Requests(10);
  EXPECT_TRUE(std::any_of(requests.begin(), requests.end(),
                          [](const auto& r) { return r.moving_from.has_value(); }));
  RunAll(core);
  ASSERT_TRUE(hit->end);
  EXPECT_EQ(hit->tokens.size(), 20u);
  EXPECT_EQ(hit->end->recomputed_tokens, 0);
}

TEST(KeptPromises, NothingIsFoundOnADeviceThatWasLostNotEvenWhatWasKeptForLater) {
  CoreOptions options{.devices = 1, .prefix_cache = true, .pin_quota_blocks = 100};
  options.scheduler.prefix_ttl = Seconds(3'600);
  Core core(options);
  auto first = std::make_shared<SinkLog>();
  core.scheduler->Submit(Prompt(core, 1, 320, 3, first));
  core.loop.RunUntil(TimePoint() + Seconds(1));
  ASSERT_TRUE(first->end);
  ASSERT_GT(core.devices[0]->Status().kv_blocks_pinned, 0);
  ASSERT_TRUE(core.scheduler->FenceDevice(DeviceId{0}).ok());
  ASSERT_TRUE(core.scheduler->ReturnDevice(DeviceId{0}).ok());
  EXPECT_EQ(core.devices[0]->Status().kv_blocks_pinned, 0);
  auto again = std::make_shared<SinkLog>();
  core.scheduler->Submit(Prompt(core, 1, 320, 3, again));
  core.loop.RunUntil(core.loop.Now() + Seconds(1));
  ASSERT_TRUE(again->end);
  EXPECT_EQ(again->end->cached_tokens, 0);
}

// On an idle device the keep of prefixes gives way, also to the page of its own of a full hit.
TEST(KeptPromises, AFullHitOnADeviceFullOfKeptPrefixesIsServed) {
  CoreOptions options{.devices = 1, .kv_blocks = 8, .prefix_cache = true, .pin_quota_blocks = 100};
  options.executor = PageOracle::Make;
  options.scheduler.prefix_ttl = Seconds(3'600);
  Core core(options);
  // One block is kept, then the seven others; the last token of an output is not computed.
  for (const int64_t prompt : {16, 7 * 16}) {
    auto log = std::make_shared<SinkLog>();
    core.scheduler->Submit(Prompt(core, static_cast<int32_t>(prompt), prompt, 1, log));
    core.loop.RunUntil(core.loop.Now() + Seconds(1));
    ASSERT_TRUE(log->end);
  }
  ASSERT_EQ(core.devices[0]->Status().kv_blocks_pinned, 8);
  auto whole = std::make_shared<SinkLog>();
  core.scheduler->Submit(Prompt(core, 7 * 16, 7 * 16, 16, whole));
  core.loop.RunUntil(core.loop.Now() + Seconds(1));
  ASSERT_TRUE(whole->end);
  EXPECT_EQ(whole->end->outcome, Outcome::kLength);
}

// Two whose every block is kept for them, on a device that then holds less than both may need.
TEST(KeptPromises, OfTwoGuaranteedRowsOneLeavesADeviceThatLostTheBlocksKeptForThem) {
  for (const int32_t devices : {1, 2}) {
    CoreOptions options{.devices = devices, .kv_blocks = 100};
    options.scheduler.guaranteed[kStandard] = true;
    Core core(options);
    std::vector<std::shared_ptr<SinkLog>> logs;
    if (devices == 2) {
      ASSERT_TRUE(core.scheduler->DrainDevice(DeviceId{1}, false).ok());
    }
    for (int i = 0; i < 2; ++i) {
      logs.push_back(std::make_shared<SinkLog>());
      core.scheduler->Submit(Prompt(core, i, 100, 45 * 16 - 100, logs.back()));
    }
    while (logs[1]->tokens.size() < 5) {
      ASSERT_TRUE(core.loop.RunOne());
    }
    if (devices == 2) {
      ASSERT_TRUE(core.scheduler->ReturnDevice(DeviceId{1}).ok());
    }
    // Of those that nobody uses: the last ones.
    std::vector<uint32_t> pages(30);
    std::iota(pages.begin(), pages.end(), 70);
    ASSERT_TRUE(core.scheduler->LosePages(DeviceId{0}, pages).ok());
    RunAll(core);
    for (const auto& log : logs) {
      ASSERT_TRUE(log->end) << devices << " devices";
      EXPECT_EQ(log->end->outcome, Outcome::kLength);
    }
  }
}

// Rows of a lower class make room for it, but not one whose every block is kept for it.
TEST(KeptPromises, ARowDoesNotJoinWhereItWouldHaveToWaitForAGuaranteedOneOfALowerClass) {
  CoreOptions options{.devices = 1, .kv_blocks = 100};
  options.scheduler.guaranteed[kBatch] = true;
  Core core(options);
  auto batch = std::make_shared<SinkLog>();
  scheduler::Request first = Prompt(core, 1, 160, 50 * 16, batch);
  first.service_class = ServiceClass::kBatch;
  core.scheduler->Submit(std::move(first));
  while (batch->tokens.empty()) {
    ASSERT_TRUE(core.loop.RunOne());
  }
  // 30 blocks now and 60 in the end, of 40 that can be had.
  auto log = std::make_shared<SinkLog>();
  scheduler::Request second = Prompt(core, 2, 30 * 16, 30 * 16, log);
  second.service_class = ServiceClass::kInteractive;
  const RequestId id = core.scheduler->Submit(std::move(second)).id;
  int64_t idle_while_placed = 0;
  size_t had = 0;
  while (!log->end && core.loop.RunOne()) {
    const auto status = core.scheduler->Explain(id);
    if (status && status->phase == scheduler::Phase::kDecode) {
      idle_while_placed = log->tokens.size() == had ? idle_while_placed + 1 : 0;
      had = log->tokens.size();
      ASSERT_LT(idle_while_placed, 50) << "stands still with " << had << " tokens";
    }
  }
  RunAll(core);
  ASSERT_TRUE(log->end && batch->end);
}

// Pages that sequences on their way out still hold are waited for; when they have gone, whoever
// waited goes on.
TEST(KeptPromises, WhatAMoveFreesAtItsSourceWakesWhoWaitsForItThere) {
  CoreOptions options{.devices = 2, .kv_blocks = 100};
  options.scheduler.join = scheduler::JoinPolicy::kPromptFits;
  {
    // A link that is only just quicker than computing again.
    const Core core(options);
    const device::Device& device = *core.devices[0];
    device::StepShape shape;
    shape.Add(device::SequenceWork{device::StepRole::kPrefill, 0, 70 * 16, 1, 0}, device.rules());
    const double compute = ToSeconds(device.power().SustainedStep(shape));
    const double bytes = ToSeconds(device.LinkTime(70)) *
                         static_cast<double>(core.device_options.host_tier.bytes_per_second);
    options.link_bytes_per_second = static_cast<int64_t>(bytes / (0.9 * compute));
  }
  Core core(options);
  ASSERT_TRUE(core.scheduler->DrainDevice(DeviceId{1}, false).ok());
  auto mover = std::make_shared<SinkLog>();
  core.scheduler->Submit(Prompt(core, 1, 70 * 16 - 8, 200, mover));
  while (mover->tokens.empty()) {
    ASSERT_TRUE(core.loop.RunOne());
  }
  ASSERT_TRUE(core.scheduler->ReturnDevice(DeviceId{1}).ok());
  ASSERT_TRUE(core.scheduler->DrainDevice(DeviceId{0}, true).ok());
  const auto moves = [&core] {
    const auto requests = core.scheduler->Requests(10);
    return std::any_of(requests.begin(), requests.end(),
                       [](const auto& r) { return r.moving_from.has_value(); });
  };
  while (!moves()) {
    ASSERT_TRUE(core.loop.RunOne());
  }
  ASSERT_TRUE(core.scheduler->ReturnDevice(DeviceId{0}).ok());
  ASSERT_TRUE(core.scheduler->DrainDevice(DeviceId{1}, false).ok());  // nothing new goes there
  // Its prompt takes the thirty blocks that are left, and the move outlasts it.
  auto log = std::make_shared<SinkLog>();
  core.scheduler->Submit(Prompt(core, 9, 30 * 16, 300, log));
  while (log->tokens.empty()) {
    ASSERT_TRUE(core.loop.RunOne());
  }
  EXPECT_TRUE(moves());
  RunAll(core);
  ASSERT_TRUE(log->end);
  EXPECT_EQ(log->end->outcome, Outcome::kLength);
}

}  // namespace
}  // namespace scoville::tests
