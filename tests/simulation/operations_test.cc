// A pool that anything may happen to at any instant: submits, choices, cancels, deadlines, readers
// that fall behind and never come back, token masks that come late or never, devices that die,
// hang, drag, lose pages, are fenced, drained and return, join and leave. Small pools, so that
// blocks run out all the time. After every event the parts of the scheduler and of the devices
// agree; in the end nothing is left of anything, and every request has ended once.
//
// SCOVILLE_OPERATIONS (a definition, or the environment): how many such operations.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/random.h"
#include "base/simulated_event_loop.h"
#include "base/status_macros.h"
#include "tests/simulation/operations_books.h"
#include "tests/support/core_fixture.h"
#include "tests/support/late_masks.h"
#include "tests/support/page_oracle.h"
#include "tests/unit/model_grammar/grammar_fixture.h"

namespace scoville::tests {
namespace {

constexpr int64_t kOperationsOfAWorld = 1'000;
constexpr int64_t kMostDevices = 5;

int64_t Operations() {
  const char* asked = std::getenv("SCOVILLE_OPERATIONS");
  return asked != nullptr ? std::atoll(asked) : SCOVILLE_OPERATIONS;
}

// Over a few hundred tokens. No mask is made beforehand; those that were met are forgotten at once.
std::shared_ptr<const model::CompiledConstraint> SomeConstraint() {
  static const std::shared_ptr<const model::TokenIndex> index =
      *model::TokenIndex::Create(*GrammarTokenizer());
  model::CompileLimits limits;
  limits.mask_steps = 0;
  limits.cache_bytes = 1;
  const model::ConstraintSpec spec{model::ConstraintSpec::Kind::kJsonSchema,
                                   R"({"type": "array", "items": {"type": "object",
                                   "properties": {"k1": {"type": "string", "maxLength": 12}}}})",
                                   {}};
  auto compiled = model::CompileConstraint(spec, index, limits);
  CHECK_EQ(compiled.status(), absl::OkStatus());
  return *std::move(compiled);
}

class World {
 public:
  World(uint64_t seed, Reached* reached)
      : seed_(seed),
        reached_(reached),
        profile_(device::DefaultProfile()),
        pricer_(&profile_, SmallTiming(profile_), 512),
        drawable_({100, 101, 102, 103}),
        observer_(reached) {
    const int64_t devices = Between(1, 4);
    device::DeviceOptions& options = device_options_;
    options.kv_blocks = On() ? Between(6, 20) : Between(30, 100);
    options.kv.prefix_cache = On();
    options.kv.pin_quota_blocks = On() ? Between(1, 20) : 0;
    options.host_tier.blocks = options.kv.prefix_cache && On() ? Between(4, 40) : 0;
    if (On()) {
      options.power.cap = Watts(Between(200, 700));
      options.power.cap_window = Milliseconds(Between(5, 200));
    }
    options.power.park_after = On() ? Milliseconds(Between(1, 5)) : Duration();
    std::vector<device::Device*> borrowed;
    for (int64_t i = 0; i < devices; ++i) {
      borrowed.push_back(MakeDevice());
    }
    if (On()) {
      masks_ = std::make_unique<LateMasks>(&loop_, [seed](int64_t job) {
        const uint64_t number = static_cast<uint64_t>(job);
        return RandomBelow(seed, 56, number, 40) == 0
                   ? std::nullopt
                   : std::optional(Nanoseconds(
                         1 + static_cast<int64_t>(RandomBelow(seed, 57, number, 3'000'000))));
      });
    }
    constraint_ = SomeConstraint();
    scheduler_ = std::make_unique<scheduler::Scheduler>(&loop_, borrowed, DrawOptions(), &observer_,
                                                        masks_.get());
  }

  void Run(int64_t operations) {
    for (int64_t i = 0; i < operations; ++i) {
      Operate();
      ++reached_->operations;
      Check();
      for (int64_t events = Between(0, 4); events > 0 && loop_.RunOne(); --events) {
        ++reached_->events;
        Check();
      }
    }
  }

  // Everything is mended, the readers come back, and what is left ends by itself or is ended.
  void End() {
    for (uint32_t device = 0; device < devices_.size(); ++device) {
      if (devices_[device] != nullptr) {
        Return(device);
      }
    }
    for (const auto& [id, behind] : books_.live) {
      *behind = false;
      scheduler_->ReaderCaughtUp(RequestId{id});
    }
    if (On()) {
      scheduler_->StartDrain();
      scheduler_->EndAll(scheduler::Outcome::kDraining);
    }
    while (loop_.RunOne()) {
      ++reached_->events;
      Check();
    }
    EXPECT_TRUE(scheduler_->idle());
    reached_->late_masks += masks_ != nullptr ? masks_->made() : 0;
    EXPECT_TRUE(books_.live.empty());
    EXPECT_EQ(books_.sinks, 0);
    EXPECT_EQ(books_.ended, admitted_);
    const scheduler::PoolStatus status = scheduler_->Status();
    EXPECT_EQ(status.waiting, 0);
    EXPECT_EQ(status.paused, 0);
    EXPECT_TRUE(leaving_.empty());  // whoever was to go has gone
    for (size_t i = 0; i < devices_.size(); ++i) {
      EXPECT_EQ(status.running[i], 0);
      const bool gone = status.health[i].state == device::DeviceState::kRemoved;
      EXPECT_EQ(gone, devices_[i] == nullptr);
      if (gone) {
        EXPECT_EQ(status.devices[i].power, Power());
        continue;
      }
      EXPECT_EQ(devices_[i]->kv().used_blocks(), 0);
      EXPECT_EQ(devices_[i]->kv().table_entries(), 0);
    }
    scheduler_->CheckInvariants();  // hence no booking and no deadline is left either
    if (!scheduler_->idle()) {
      scheduler_->EndAll(scheduler::Outcome::kInternal);
      loop_.Run();
    }
  }

 private:
  scheduler::SchedulerOptions DrawOptions() {
    scheduler::SchedulerOptions options;
    options.context = SmallConfig().context;
    options.vocabulary = SmallConfig().vocabulary;
    options.max_queued.requests = Between(4, 60);
    options.max_running = static_cast<int32_t>(On() ? Between(1, 6) : 64);
    options.max_step_tokens = On() ? Between(4, 40) : 512;
    options.slow_reader_timeout = Milliseconds(Between(1, 20));
    options.routing = static_cast<scheduler::RoutePolicy>(Between(0, 5));
    options.queue = static_cast<scheduler::QueuePolicy>(Between(0, 1));
    options.join = static_cast<scheduler::JoinPolicy>(On() ? 0 : Between(0, 3));
    options.victims = static_cast<scheduler::VictimPolicy>(Between(0, 1));
    options.overflow_risk = On() ? 0.02 : static_cast<double>(Between(0, 500)) / 1000;
    options.max_preemptions = static_cast<int32_t>(Between(0, 3));
    options.class_ageing = On() ? Milliseconds(Between(1, 20)) : Duration();
    options.refuse_hopeless = On();
    options.max_drafts = static_cast<int32_t>(On() ? Between(1, 5) : 0);
    options.guaranteed[0] = On();
    options.promised_prefixes = Between(0, 3) > 0;
    options.prefix_ttl = On() ? Milliseconds(Between(1, 30)) : Duration();
    options.mask_timeout = Milliseconds(Between(2, 20));
    options.itl_target = On() ? Microseconds(Between(300, 3'000)) : Duration();
    options.ttft_target = On() ? Microseconds(Between(500, 20'000)) : Duration();
    options.late_share = static_cast<int32_t>(Between(0, 4));
    options.lend_slack = On();
    return options;
  }

  void Operate() {
    const int64_t kind = Between(0, 99);
    if (kind < 45) {
      Submit();
    } else if (kind < 65) {
      Cancel();
    } else if (kind < 80) {
      TurnReader();
    } else {
      TouchDevice(static_cast<uint32_t>(Between(0, static_cast<int64_t>(devices_.size()) - 1)));
    }
  }

  scheduler::Request Draw(std::vector<std::pair<CountedSink*, bool*>>* sinks) {
    scheduler::Request request;
    const int64_t group = Between(0, 2);
    const int64_t length = Between(1, On() ? 120 : 250);
    for (int64_t i = 0; i < length; ++i) {
      // Of a group, prompts begin alike.
      request.prompt.push_back(static_cast<int32_t>(i < 90 ? group * 100 + i : Between(0, 999)));
    }
    request.tenant = absl::StrCat("t", Between(0, 2));
    request.service_class = static_cast<scheduler::ServiceClass>(Between(0, 2));
    request.max_tokens = Between(1, 40);
    request.sampling.seed = draws_;
    request.bypass_prefix_cache = Between(0, 9) == 0;
    request.cache_salt = Between(0, 4) == 0 ? "s" : "";
    request.drafts = On();
    if (On()) {
      request.stop_tokens = {100};
      request.min_tokens = Between(0, 3);
    }
    if (Between(0, 3) == 0) {
      request.constraint = constraint_;
      for (int32_t& token : request.prompt) {
        token %= 256;  // a guess has to be of the constraint's vocabulary
      }
      request.stop_tokens = {0, 1};
      request.min_tokens = 0;
    }
    if (Between(0, 2) == 0) {
      request.ttft_target = On() ? Microseconds(Between(300, 9'000)) : Duration();
      request.deadline = loop_.Now() + Nanoseconds(Between(1, 20'000'000));
    }
    auto sink = std::make_unique<CountedSink>(&books_);
    sinks->push_back({sink.get(), &sink->behind});
    request.sink = std::move(sink);
    return request;
  }

  void Submit() {
    std::vector<std::pair<CountedSink*, bool*>> sinks;
    std::vector<scheduler::Request> choices;
    choices.push_back(Draw(&sinks));
    for (int64_t more = Between(0, 5) == 0 ? Between(1, 3) : 0; more > 0; --more) {
      scheduler::Request other = Draw(&sinks);
      other.prompt = choices[0].prompt;
      other.cache_salt = choices[0].cache_salt;
      other.tenant = choices[0].tenant;
      other.service_class = choices[0].service_class;
      other.deadline = choices[0].deadline;
      other.max_tokens = choices[0].max_tokens;
      choices.push_back(std::move(other));
    }
    reached_->submitted += static_cast<int64_t>(choices.size());
    const scheduler::SubmitChoicesResult result = scheduler_->SubmitChoices(std::move(choices));
    if (result.refusal) {
      return;
    }
    for (size_t i = 0; i < result.ids.size(); ++i) {
      CHECK(books_.live.emplace(result.ids[i].value, sinks[i].second).second);
    }
    admitted_ += static_cast<int64_t>(result.ids.size());
    last_id_ = result.ids.back().value;
  }

  // One of those that live, or any id that ever was.
  void Cancel() {
    const uint64_t id = static_cast<uint64_t>(Between(0, static_cast<int64_t>(last_id_)));
    const auto at = books_.live.lower_bound(id);
    const bool stale = at == books_.live.end() || Between(0, 9) == 0;
    scheduler_->Cancel(RequestId{stale ? id : at->first});
    ++reached_->cancels;
  }

  void TurnReader() {
    if (books_.live.empty()) {
      return;
    }
    const uint64_t id = static_cast<uint64_t>(Between(0, static_cast<int64_t>(last_id_)));
    const auto at = books_.live.lower_bound(id);
    if (at == books_.live.end()) {
      return;
    }
    *at->second = !*at->second;
    if (*at->second) {
      ++reached_->congested;
    } else {
      scheduler_->ReaderCaughtUp(RequestId{at->first});
    }
  }

  device::Device* MakeDevice() {
    device_options_.id = DeviceId{static_cast<uint32_t>(devices_.size())};
    auto device =
        device::Device::Create(&loop_, &pricer_, device_options_, PageOracle::Make(&drawable_));
    CHECK(device.ok());
    devices_.push_back(*std::move(device));
    return devices_.back().get();
  }

  void AddDevice() {
    const auto there = std::count_if(devices_.begin(), devices_.end(),
                                     [](const auto& device) { return device != nullptr; });
    if (there < kMostDevices) {
      CHECK_EQ(scheduler_->AddDevice(MakeDevice()), absl::OkStatus());
      ++reached_->added;
    }
  }

  void RemoveDevice(DeviceId id) {
    const absl::Status status = scheduler_->RemoveDevice(id, [this](DeviceId gone) {
      CHECK_EQ(leaving_.erase(gone.value), size_t{1});
      devices_[gone.value].reset();
      ++reached_->removed;
    });
    CHECK_EQ(status.ok(), !leaving_.contains(id.value) && status.ok());
    if (status.ok()) {
      leaving_.insert(id.value);
    } else {
      ++reached_->not_removed;
    }
  }

  void TouchDevice(uint32_t index) {
    while (devices_[index] == nullptr) {
      index = (index + 1) % static_cast<uint32_t>(devices_.size());
    }
    device::Device& device = *devices_[index];
    const DeviceId id{index};
    switch (Between(0, 13)) {
      case 0:
        device.Kill();
        return;
      case 1:
        device.Hang();
        return;
      case 2:
        device.SlowDown(Between(100, 1'500));
        return;
      case 3:
        CHECK(scheduler_->FenceDevice(id).ok());
        return;
      case 4:
        scheduler_->DrainDevice(id, On()).IgnoreError();  // perhaps it is lost
        ++reached_->drains;
        return;
      case 5: {
        std::vector<uint32_t> pages;
        for (int64_t n = Between(1, 2); n > 0; --n) {
          pages.push_back(static_cast<uint32_t>(Between(0, device.kv().capacity_blocks() - 1)));
        }
        CHECK(scheduler_->LosePages(id, pages).ok());
        ++reached_->page_losses;
        return;
      }
      case 6:
        AddDevice();
        return;
      case 7:
        RemoveDevice(id);
        return;
      default:
        Return(index);
        return;
    }
  }

  void Return(uint32_t index) {
    const DeviceId id{index};
    if (devices_[index]->faulty()) {
      CHECK(scheduler_->FenceDevice(id).ok());  // perhaps nobody has noticed yet
    }
    CHECK_EQ(scheduler_->ReturnDevice(id).ok(), !leaving_.contains(index));
    ++reached_->returns;
  }

  void Check() {
    reached_->followed += scheduler_->Status().following > 0 ? 1 : 0;
    scheduler_->CheckInvariants();
    for (const auto& device : devices_) {
      if (device != nullptr) {
        device->kv().CheckInvariants();
      }
    }
    CHECK_EQ(books_.sinks, static_cast<int64_t>(books_.live.size()));
    CHECK_EQ(admitted_ - books_.ended, books_.sinks);
  }

  int64_t Between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(
                     RandomBelow(seed_, 55, draws_++, static_cast<uint64_t>(high - low + 1)));
  }
  bool On() { return Between(0, 1) == 1; }

  const uint64_t seed_;
  Reached* const reached_;
  uint64_t draws_ = 0;
  uint64_t last_id_ = 0;
  int64_t admitted_ = 0;
  Books books_;
  SimulatedEventLoop loop_;
  device::Profile profile_;
  device::StepPricer pricer_;
  std::vector<int32_t> drawable_;
  device::DeviceOptions device_options_;
  std::vector<std::unique_ptr<device::Device>> devices_;  // nullptr: removed
  std::set<uint32_t> leaving_;                            // told to, and not gone yet
  CountingObserver observer_;
  std::shared_ptr<const model::CompiledConstraint> constraint_;
  std::unique_ptr<LateMasks> masks_;
  std::unique_ptr<scheduler::Scheduler> scheduler_;
};

TEST(OperationsTest, NothingIsLeftBehindWhateverHappens) {
  const int64_t wanted = Operations();
  Reached reached;
  for (uint64_t seed = 1; reached.operations < wanted; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    if (std::getenv("SCOVILLE_SAY_SEEDS") != nullptr) {
      std::cerr << "seed " << seed << std::endl;
    }
    World world(seed, &reached);
    world.Run(std::min(kOperationsOfAWorld, wanted - reached.operations));
    world.End();
    if (HasFailure()) {
      break;
    }
  }
  Print(reached);
  EXPECT_EQ(reached.admitted, reached.ended);
  using scheduler::Outcome;
  for (const Outcome outcome :
       {Outcome::kStop, Outcome::kLength, Outcome::kCancelled, Outcome::kDeadlineExceeded,
        Outcome::kSlowConsumer, Outcome::kConstraint}) {
    EXPECT_GT(reached.by_outcome[static_cast<size_t>(outcome)], wanted / 2'000)
        << static_cast<int>(outcome);
  }
  EXPECT_GT(reached.late_masks, wanted / 100);
  EXPECT_GT(reached.preempted, wanted / 500);
  EXPECT_GT(reached.migrated, wanted / 200);
  EXPECT_GT(reached.losses, wanted / 200);
  EXPECT_GT(reached.followed, wanted / 200);
  EXPECT_GT(reached.added, wanted / 500);
  EXPECT_GT(reached.removed, wanted / 500);
  EXPECT_GT(reached.not_removed, wanted / 2'000);
}

}  // namespace
}  // namespace scoville::tests
