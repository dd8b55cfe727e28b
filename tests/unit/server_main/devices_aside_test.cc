// Devices and models that come and go beside running streams: what is done on the engine's thread,
// and what is not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <fstream>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "scheduler/core/scale_pool.h"
#include "server/engine/engine.h"
#include "server/log/logger.h"
#include "server/main/model_loader.h"
#include "tests/simulation/tiny_core.h"
#include "tests/support/answer_sink.h"

namespace scoville::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using tests::AnswerSink;

// Longer than anything here takes; a test that waits so long has failed.
constexpr auto kLong = std::chrono::seconds(20);
constexpr int64_t kTokens = 300;

class DevicesAside : public ::testing::Test {
 protected:
  using Answers = std::vector<std::unique_ptr<AnswerSink::Answer>>;

  static std::shared_ptr<const model::LoadedModel> Model(const std::string& id) {
    std::shared_ptr<model::LoadedModel> model = tests::LoadTinyModel();
    model->id = id;
    return model;
  }
  static EngineOptions Options(int32_t devices) {
    EngineOptions options;
    options.pool.executor = device::ExecutorKind::kFunctional;
    options.pool.devices = devices;
    options.pool.kv_blocks = 512;
    return options;
  }
  std::shared_ptr<Deployment> Add(const std::string& id, int32_t devices) {
    auto deployment = engine_->Add(Options(devices), Model(id));
    CHECK_EQ(deployment.status(), absl::OkStatus());
    engine_->SetReady(*deployment);
    return *std::move(deployment);
  }
  static std::vector<int32_t> Prompt(const model::LoadedModel& model, uint64_t seed) {
    return tests::TinyTokens(model, tests::SomeText(seed, 10));
  }
  Answers Ask(const std::shared_ptr<Deployment>& deployment, int n) {
    Answers answers;
    for (int i = 0; i < n; ++i) {
      answers.push_back(std::make_unique<AnswerSink::Answer>());
      auto request = std::make_shared<scheduler::Request>();
      request->prompt = Prompt(deployment->model(), static_cast<uint64_t>(i));
      request->max_tokens = kTokens;
      request->sampling.seed = static_cast<uint64_t>(i);
      request->sampling.logprobs = 2;
      request->sink = std::make_unique<AnswerSink>(answers.back().get());
      CHECK(engine_->Post([deployment, request] {
        CHECK(!deployment->scheduler().Submit(std::move(*request)).refusal);
      }));
    }
    return answers;
  }
  // What the same requests say on one device on virtual time.
  static std::vector<std::vector<uint64_t>> Undisturbed(int n) {
    const auto model = Model("alone");
    tests::TinyCore core(*model, {.kv_blocks = 512});
    std::vector<std::shared_ptr<tests::SinkLog>> logs;
    for (int i = 0; i < n; ++i) {
      const auto seed = static_cast<uint64_t>(i);
      logs.push_back(
          core.Submit({.prompt = Prompt(*model, seed), .max_tokens = kTokens, .seed = seed})[0]);
    }
    core.loop.Run();
    std::vector<std::vector<uint64_t>> bits;
    for (const auto& log : logs) {
      bits.push_back(tests::Bits(log->sampled));
    }
    return bits;
  }
  static std::vector<std::vector<uint64_t>> BitsOf(const Answers& answers) {
    std::vector<std::vector<uint64_t>> bits;
    for (const auto& answer : answers) {
      EXPECT_TRUE(scheduler::IsCompletion(answer->end.get_future().get().outcome));
      bits.push_back(tests::Bits(answer->tokens));
    }
    return bits;
  }
  void OnEngine(const std::function<void()>& fn) {
    std::promise<void> done;
    ASSERT_TRUE(engine_->Post([&] {
      fn();
      done.set_value();
    }));
    done.get_future().wait();
  }

  std::unique_ptr<Engine> engine_ = Engine::Start(2);
};

TEST_F(DevicesAside, StreamsAreTheSameWhilePoolsGrowAndShrink) {
  constexpr int kStreams = 8;
  Logger log(LogLevel::kError, LogFormat::kText);
  ModelLoader loader(ServerConfig(), "", engine_.get(), &log);
  const auto deployment = Add("tiny", 2);
  const Answers answers = Ask(deployment, kStreams);
  int64_t added = 0;
  int64_t removed = 0;
  bool ran_throughout = false;
  for (const int64_t devices : {6, 1, 4, 2, 5, 1}) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    OnEngine([&] {
      ran_throughout = !deployment->scheduler().idle();
      const auto scaled = loader.Scale(*deployment, devices, "");
      ASSERT_TRUE(scaled.ok()) << scaled.status();
      added += static_cast<int64_t>(scaled->added.size());
      removed += static_cast<int64_t>(scaled->removed.size());
    });
  }
  EXPECT_TRUE(ran_throughout);
  EXPECT_EQ(added, 4 + 3 + 3);
  EXPECT_EQ(removed, 5 + 2 + 4);
  EXPECT_EQ(BitsOf(answers), Undisturbed(kStreams));
  size_t left = 0;
  for (int i = 0; i < 1000 && left != 1; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    OnEngine([&] { left = deployment->pool().devices().size(); });
  }
  EXPECT_EQ(left, 1u);
  EXPECT_EQ(BitsOf(Ask(deployment, 2)), Undisturbed(2));
}

// Each batches its own steps, and both share the lanes.
TEST_F(DevicesAside, TwoModelsWithWeightsComputeAtOnce) {
  constexpr int kStreams = 4;
  const auto one = Add("one", 2);
  const auto two = Add("two", 1);
  const Answers first = Ask(one, kStreams);
  const Answers second = Ask(two, kStreams);
  const auto expected = Undisturbed(kStreams);
  EXPECT_EQ(BitsOf(first), expected);
  EXPECT_EQ(BitsOf(second), expected);
}

// Says where it ends, and does not end before it may.
class SlowToEnd final : public device::Executor {
 public:
  SlowToEnd(std::promise<std::thread::id>* where, std::shared_future<void> may_end)
      : where_(where), may_end_(std::move(may_end)) {}
  ~SlowToEnd() override {
    where_->set_value(std::this_thread::get_id());
    may_end_.wait_for(kLong);
  }
  void Execute(absl::Span<const device::SequenceStep>, Done) override {}

 private:
  std::promise<std::thread::id>* const where_;
  const std::shared_future<void> may_end_;
};

TEST_F(DevicesAside, TheEngineDoesNotWaitForTheEndOfADevice) {
  SimulatedEventLoop loop;
  tests::Core core;  // for a pricer
  std::promise<std::thread::id> where;
  std::promise<void> may_end;
  auto made =
      device::Device::Create(&loop, &core.pricer, core.device_options,
                             std::make_unique<SlowToEnd>(&where, may_end.get_future().share()));
  ASSERT_TRUE(made.ok()) << made.status();
  std::thread::id engine_thread;
  OnEngine([&] {
    engine_thread = std::this_thread::get_id();
    engine_->Discard(*std::move(made));
  });
  std::promise<void> turned;
  ASSERT_TRUE(engine_->Post([&] { turned.set_value(); }));
  EXPECT_EQ(turned.get_future().wait_for(kLong / 2), std::future_status::ready);
  EXPECT_NE(where.get_future().get(), engine_thread);
  may_end.set_value();
  engine_.reset();  // waits for it
}

TEST_F(DevicesAside, AModelThatIsUnloadedBeforeItsDevicesAreMadeIsNotServed) {
  const auto beside = Add("beside", 1);
  std::promise<void> go;
  const std::shared_future<void> may_go(go.get_future());
  ASSERT_TRUE(engine_->Post([may_go] { may_go.wait_for(kLong); }));
  absl::Status loaded;
  std::thread loading([&] { loaded = engine_->Add(Options(1), Model("loading")).status(); });
  std::shared_ptr<Deployment> found;
  for (int i = 0; i < 5000 && found == nullptr; ++i) {
    found = engine_->Find("loading");
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  // Whoever finds it can say what it is, though the engine is busy elsewhere.
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->facts().executor, "functional");
  EXPECT_NE(found->facts().profile, "");
  std::promise<void> gone;
  EXPECT_TRUE(engine_->Remove(found, [&] { gone.set_value(); }));
  EXPECT_FALSE(engine_->Remove(found, [] {}));
  go.set_value();
  loading.join();
  EXPECT_EQ(gone.get_future().wait_for(kLong), std::future_status::ready);
  EXPECT_FALSE(loaded.ok());
  EXPECT_EQ(engine_->Find("loading"), nullptr);
  // And it may come again.
  EXPECT_THAT(BitsOf(Ask(Add("loading", 1), 1)), Undisturbed(1));
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

// Bytes of addresses in use.
uint64_t AddressSpace() {
  uint64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

TEST_F(DevicesAside, WithoutMemoryForMoreNothingChanges) {
  EngineOptions options = Options(2);
  options.pool.kv_blocks = 131'072;  // of 8 KiB
  auto added = engine_->Add(options, Model("tiny"));
  ASSERT_TRUE(added.ok()) << added.status();
  const std::shared_ptr<Deployment> deployment = *added;
  const Answers answers = Ask(deployment, 4);
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_AS, &before), 0);
  // Room for two more, and four are asked for.
  const rlimit tight = {AddressSpace() + (uint64_t{2600} << 20), before.rlim_max};
  absl::Status full;
  OnEngine([&] {
    ASSERT_EQ(setrlimit(RLIMIT_AS, &tight), 0);
    full = scheduler::ScalePool(&deployment->pool(), &deployment->scheduler(), 6, "").status();
    ASSERT_EQ(setrlimit(RLIMIT_AS, &before), 0);
  });
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(full.message()), HasSubstr("device 4: KV pages: cannot reserve"));
  OnEngine([&] {
    EXPECT_EQ(deployment->pool().devices().size(), 2u);
    EXPECT_EQ(deployment->scheduler().Status().devices.size(), 2u);
    const auto more = scheduler::ScalePool(&deployment->pool(), &deployment->scheduler(), 3, "");
    ASSERT_TRUE(more.ok()) << more.status();
    EXPECT_THAT(more->added, ElementsAre(DeviceId{2}));
  });
  EXPECT_EQ(BitsOf(answers), Undisturbed(4));
}

#endif

}  // namespace
}  // namespace scoville::server
