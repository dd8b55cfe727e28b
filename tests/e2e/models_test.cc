// Several models in one daemon: each with its own devices, loaded and unloaded while others stream.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/library/error_detail.h"
#include "scoville/v1/power.pb.h"
#include "tests/e2e/daemon_test.h"

namespace scoville::tests {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

// One answer that is read on a thread of its own.
class Stream {
 public:
  Stream(const std::string& address, const std::string& model, uint32_t tokens)
      : client_({.address = address}), request_(LongRequest(tokens)) {
    request_.set_model(model);
    thread_ = std::thread([this] {
      const auto answer = client_.Generate(request_, {}, [this](const v1::Chunk& chunk) {
        tokens_ += chunk.tokens();
        return true;
      });
      status_ = answer.status();
    });
  }
  ~Stream() { Join().IgnoreError(); }

  bool Began() {
    for (int i = 0; i < 2000 && tokens_ == 0; ++i) {
      absl::SleepFor(absl::Milliseconds(1));
    }
    return tokens_ > 0;
  }
  absl::Status Join() {
    if (thread_.joinable()) {
      thread_.join();
    }
    return status_;
  }
  uint64_t tokens() const { return tokens_; }

 private:
  client::Client client_;
  v1::GenerateRequest request_;
  std::atomic<uint64_t> tokens_{0};
  absl::Status status_;
  std::thread thread_;
};

class ModelsTest : public DaemonTest {
 protected:
  void SetUp() override {
    std::ofstream(path_) << "deployments:\n"
                            "  - {name: alpha, pool: {devices: 1}}\n"
                            "  - {name: beta, pool: {devices: 2, kv_blocks: 2048}}\n";
    StartDaemon({.executor = "synthetic", .more_flags = {"--config=" + path_}});
  }
  ~ModelsTest() override { unlink(path_.c_str()); }

  std::vector<std::string> Models() {
    std::vector<std::string> out;
    const auto models = client().ListModels({});
    EXPECT_TRUE(models.ok()) << models.status();
    for (const v1::Model& model : models->models()) {
      out.push_back(absl::StrCat(model.id(), " ", model.state()));
    }
    return out;
  }
  absl::Status Ask(const std::string& model, uint32_t tokens = 4) {
    v1::GenerateRequest request = LongRequest(tokens);
    request.set_model(model);
    return client().Generate(request, {}, nullptr).status();
  }
  absl::Status Load(const std::string& model) {
    v1::LoadModelRequest request;
    request.set_model(model);
    request.set_devices(1);
    return client().LoadModel(request, {}).status();
  }
  absl::StatusOr<v1::UnloadModelResponse> Unload(const std::string& model) {
    v1::UnloadModelRequest request;
    request.set_model(model);
    return client().UnloadModel(request, {});
  }
  absl::StatusOr<v1::ScaleModelResponse> Scale(const std::string& model, uint32_t devices,
                                               const std::string& node = "") {
    v1::ScaleModelRequest request;
    request.set_model(model);
    request.set_devices(devices);
    request.set_budget_node(node);
    return client().ScaleModel(request, {});
  }
  static std::string Reason(const absl::Status& status) { return client::DetailOf(status).reason; }
  bool IsGone(const std::string& model) {
    for (int i = 0; i < 3000; ++i) {
      bool there = false;
      for (const std::string& line : Models()) {
        there = there || line.substr(0, line.find(' ')) == model;
      }
      if (!there) {
        return true;
      }
      absl::SleepFor(absl::Milliseconds(10));
    }
    return false;
  }
  // The text of /readyz once its status is as asked; waits for the next heartbeats.
  std::string ReadyText(int status) {
    HttpAnswer answer;
    for (int i = 0; i < 500; ++i) {
      answer = HttpGet(daemon().http_port(), "/readyz");
      if (answer.status == status) {
        return answer.body;
      }
      absl::SleepFor(absl::Milliseconds(10));
    }
    return absl::StrCat("status ", answer.status);
  }

  const std::string path_ = absl::StrCat(testing::TempDir(), "/models-", getpid(), ".yaml");
};

TEST_F(ModelsTest, EachAnswersByItsNameOnItsOwnDevices) {
  EXPECT_THAT(Models(), ElementsAre("alpha ready", "beta ready"));
  const std::string list = HttpGet(daemon().http_port(), "/v1/models").body;
  EXPECT_THAT(list, HasSubstr("\"alpha\""));
  EXPECT_THAT(list, HasSubstr("\"beta\""));
  EXPECT_EQ(HttpGet(daemon().http_port(), "/v1/models/beta").status, 200);
  EXPECT_EQ(HttpGet(daemon().http_port(), "/v1/models/gamma").status, 404);

  EXPECT_TRUE(Ask("alpha", 5).ok());
  EXPECT_TRUE(Ask("beta", 7).ok());
  EXPECT_EQ(daemon().Metric("scoville_tokens_total", "model=\"alpha\",phase=\"output\""), 5);
  EXPECT_EQ(daemon().Metric("scoville_tokens_total", "model=\"beta\",phase=\"output\""), 7);
  EXPECT_EQ(daemon().Metric("scoville_energy_unattributed_joules"), 0);

  const absl::Status unnamed = Ask("");
  EXPECT_EQ(Reason(unnamed), "INVALID_FIELD");
  EXPECT_THAT(std::string(unnamed.message()), HasSubstr("'alpha', 'beta'"));
  EXPECT_EQ(Reason(Ask("gamma")), "MODEL_NOT_FOUND");

  std::vector<std::string> devices;
  const auto pool = Pool();
  for (const v1::Device& device : pool.devices()) {
    devices.push_back(absl::StrCat(device.model(), " ", device.id()));
  }
  EXPECT_THAT(devices, ElementsAre("alpha 0", "beta 0", "beta 1"));
}

TEST_F(ModelsTest, OneComesWhileAnotherStreamsAndOneGoesWithoutDroppingAStream) {
  constexpr uint32_t kTokens = 6000;
  Stream alpha(daemon().address(), "alpha", kTokens);
  Stream beta(daemon().address(), "beta", kTokens);
  ASSERT_TRUE(alpha.Began());
  ASSERT_TRUE(beta.Began());

  ASSERT_TRUE(Load("gamma").ok());
  EXPECT_EQ(Reason(Load("gamma")), "WRONG_STATE");
  EXPECT_TRUE(Ask("gamma").ok());

  const auto unloading = Unload("beta");
  ASSERT_TRUE(unloading.ok()) << unloading.status();
  EXPECT_EQ(unloading->live_requests(), 1u);
  const absl::Status late = Ask("beta");
  EXPECT_EQ(Reason(late), "MODEL_NOT_READY");
  EXPECT_EQ(Reason(Unload("beta").status()), "WRONG_STATE");
  EXPECT_LT(beta.tokens(), kTokens);

  EXPECT_TRUE(beta.Join().ok()) << beta.Join();
  EXPECT_EQ(beta.tokens(), kTokens);
  EXPECT_TRUE(IsGone("beta"));
  EXPECT_EQ(Reason(Ask("beta")), "MODEL_NOT_FOUND");
  EXPECT_TRUE(alpha.Join().ok()) << alpha.Join();
  EXPECT_EQ(alpha.tokens(), kTokens);

  EXPECT_THAT(Models(), ElementsAre("alpha ready", "gamma ready"));
  const std::string metrics = HttpGet(daemon().http_port(), "/metrics").body;
  EXPECT_THAT(metrics, Not(HasSubstr("model=\"beta\"")));
  EXPECT_EQ(MetricOf(metrics, "scoville_energy_unattributed_joules"), 0);
  EXPECT_EQ(MetricOf(metrics, "scoville_tokens_total", "model=\"alpha\",phase=\"output\""),
            kTokens);
  // It may come back, as new.
  EXPECT_TRUE(Load("beta").ok());
  EXPECT_TRUE(Ask("beta").ok());
}

TEST_F(ModelsTest, DevicesComeAndGoWhileStreamsRun) {
  constexpr uint32_t kTokens = 4000;
  const auto text_of = [&] {
    v1::GenerateRequest request = LongRequest(kTokens);
    request.set_model("beta");
    std::string text;
    const auto answer = client().Generate(request, {}, [&](const v1::Chunk& chunk) {
      absl::StrAppend(&text, chunk.text());
      return true;
    });
    EXPECT_TRUE(answer.ok()) << answer.status();
    return text;
  };
  const std::string undisturbed = text_of();
  std::vector<std::unique_ptr<Stream>> streams;
  for (int i = 0; i < 6; ++i) {
    streams.push_back(std::make_unique<Stream>(daemon().address(), "beta", kTokens));
    ASSERT_TRUE(streams.back()->Began());
  }
  const auto up = Scale("beta", 4);
  ASSERT_TRUE(up.ok()) << up.status();
  EXPECT_EQ(up->devices(), 4u);
  EXPECT_THAT(up->added(), ElementsAre(2u, 3u));
  EXPECT_EQ(daemon().Metric("scoville_pool_devices", "model=\"beta\",state=\"ready\""), 4);
  streams.push_back(std::make_unique<Stream>(daemon().address(), "beta", kTokens));
  ASSERT_TRUE(streams.back()->Began());
  const auto down = Scale("beta", 1);
  ASSERT_TRUE(down.ok()) << down.status();
  EXPECT_THAT(down->removed(), ElementsAre(3u, 2u, 1u));
  EXPECT_EQ(text_of(), undisturbed);
  for (const auto& stream : streams) {
    EXPECT_TRUE(stream->Join().ok()) << stream->Join();
    EXPECT_EQ(stream->tokens(), kTokens);
  }
  std::vector<v1::DeviceState> states;
  const auto pool = Pool();
  for (const v1::Device& device : pool.devices()) {
    if (device.model() == "beta") {
      states.push_back(device.state());
    }
  }
  EXPECT_THAT(states, ElementsAre(v1::DEVICE_STATE_READY, v1::DEVICE_STATE_REMOVED,
                                  v1::DEVICE_STATE_REMOVED, v1::DEVICE_STATE_REMOVED));
  const std::string metrics = HttpGet(daemon().http_port(), "/metrics").body;
  EXPECT_EQ(MetricOf(metrics, "scoville_pool_devices", "model=\"beta\",state=\"removed\""), 3);
  EXPECT_EQ(MetricOf(metrics, "scoville_energy_unattributed_joules", "model=\"beta\""), 0);
  EXPECT_EQ(MetricOf(metrics, "scoville_tokens_total", "model=\"beta\",phase=\"output\""),
            9 * kTokens);
  // A device that has gone is no fault, and nothing can be done with it.
  EXPECT_THAT(ReadyText(200), HasSubstr("ok"));
  v1::DrainDeviceRequest drain;
  drain.set_device(3);
  drain.set_model("beta");
  const absl::Status gone = client().DrainDevice(drain, {}).status();
  EXPECT_EQ(Reason(gone), "DEVICE_NOT_FOUND");
  EXPECT_THAT(std::string(gone.message()), HasSubstr("was removed"));
}

TEST_F(ModelsTest, WhatCannotBeScaledIsSaidAndChangesNothing) {
  EXPECT_EQ(Reason(Scale("gamma", 2).status()), "MODEL_NOT_FOUND");
  EXPECT_EQ(Reason(Scale("", 2).status()), "INVALID_FIELD");  // two models
  const absl::Status none = Scale("beta", 0).status();
  EXPECT_EQ(Reason(none), "INVALID_FIELD");
  EXPECT_THAT(std::string(none.message()), HasSubstr("unloaded"));
  EXPECT_EQ(Reason(Scale("beta", 5000).status()), "INVALID_FIELD");
  v1::SetPowerBudgetRequest budget;
  budget.set_model("beta");
  budget.set_milliwatts(500'000);
  ASSERT_TRUE(client().SetPowerBudget(budget, {}).ok());
  const absl::Status full = Scale("beta", 50).status();
  EXPECT_EQ(Reason(full), "WRONG_STATE");
  EXPECT_THAT(std::string(full.message()), HasSubstr("least caps of its 50 devices sum to"));
  EXPECT_EQ(Reason(Scale("beta", 3, "rack").status()), "INVALID_FIELD");
  const auto same = Scale("beta", 2);
  ASSERT_TRUE(same.ok()) << same.status();
  EXPECT_EQ(same->added_size() + same->removed_size(), 0);
  // Refused ones have used up no number.
  const auto more = Scale("beta", 3);
  ASSERT_TRUE(more.ok()) << more.status();
  EXPECT_THAT(more->added(), ElementsAre(2u));
  EXPECT_TRUE(Ask("beta").ok());
}

TEST_F(ModelsTest, BudgetsAndDevicesAreOfTheModelThatIsNamed) {
  v1::SetPowerBudgetRequest budget;
  budget.set_milliwatts(800'000);
  EXPECT_EQ(Reason(client().SetPowerBudget(budget, {}).status()), "INVALID_FIELD");
  budget.set_model("beta");
  ASSERT_TRUE(client().SetPowerBudget(budget, {}).ok());
  EXPECT_EQ(daemon().Metric("scoville_power_budget_watts", "model=\"beta\""), 800);
  v1::GetPowerBudgetRequest ask;
  ask.set_model("alpha");
  const auto alpha = client().GetPowerBudget(ask, {});
  ASSERT_TRUE(alpha.ok()) << alpha.status();
  EXPECT_FALSE(alpha->nodes(0).has_budget_milliwatts());
  EXPECT_EQ(alpha->devices_size(), 1);

  v1::DrainDeviceRequest drain;
  drain.set_device(1);
  drain.set_model("alpha");
  EXPECT_EQ(Reason(client().DrainDevice(drain, {}).status()), "DEVICE_NOT_FOUND");
  drain.set_model("beta");
  const auto drained = client().DrainDevice(drain, {});
  ASSERT_TRUE(drained.ok()) << drained.status();
  EXPECT_EQ(drained->device().state(), v1::DEVICE_STATE_DRAINED);
  EXPECT_EQ(daemon().Metric("scoville_pool_devices", "model=\"beta\",state=\"drained\""), 1);
  EXPECT_TRUE(Ask("beta").ok());
}

TEST_F(ModelsTest, ReadinessSaysThatNothingIsServed) {
  ASSERT_TRUE(Unload("alpha").ok());
  ASSERT_TRUE(IsGone("alpha"));
  EXPECT_TRUE(Ask("").ok());  // beta is the only one
  ASSERT_TRUE(Unload("beta").ok());
  ASSERT_TRUE(IsGone("beta"));
  EXPECT_THAT(ReadyText(503), HasSubstr("no model is served"));
  EXPECT_EQ(HttpGet(daemon().http_port(), "/healthz").status, 200);
  EXPECT_EQ(Reason(Ask("")), "MODEL_NOT_READY");
  ASSERT_TRUE(Load("delta").ok());
  EXPECT_THAT(ReadyText(200), HasSubstr("ok"));
  EXPECT_TRUE(Ask("").ok());
}

TEST_F(ModelsTest, WhatCannotBeLoadedIsSaidAndChangesNothing) {
  v1::LoadModelRequest request;
  request.set_model("gamma");
  request.set_path("/no/such/model.gguf");
  const auto missing = client().LoadModel(request, {});
  EXPECT_EQ(Reason(missing.status()), "INVALID_FIELD");
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("/no/such/model.gguf"));
  request.set_card("no-such-card");
  EXPECT_EQ(Reason(client().LoadModel(request, {}).status()), "INVALID_FIELD");
  request.clear_source();
  request.set_executor("magical");
  EXPECT_THAT(std::string(client().LoadModel(request, {}).status().message()),
              HasSubstr("one of functional, synthetic"));
  request.set_executor("synthetic");
  request.set_profile("no-such-chip");
  EXPECT_FALSE(client().LoadModel(request, {}).ok());
  EXPECT_EQ(Reason(Unload("gamma").status()), "MODEL_NOT_FOUND");
  EXPECT_THAT(Models(), ElementsAre("alpha ready", "beta ready"));
  EXPECT_TRUE(Ask("alpha").ok());
}

}  // namespace
}  // namespace scoville::tests
