// Ends that come early: of a request, of a client, of the daemon. Tokens are made up, so that
// answers are long without the host having to compute them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/library/error_detail.h"
#include "tests/e2e/daemon_test.h"

namespace scoville::tests {
namespace {

using testing::HasSubstr;

constexpr uint32_t kForAges = 8000;  // tokens; seconds of the emulated device

class LifecycleTest : public DaemonTest {
 protected:
  void SetUp() override { StartDaemon({.executor = "synthetic"}); }
};

TEST_F(LifecycleTest, CancelFreesItsBlocks) {
  uint64_t used = 0;
  const auto answer = client().Generate(LongRequest(kForAges), {}, [&](const v1::Chunk&) {
    used = UsedBlocks(Pool());
    return used == 0;  // once it is seen to hold some, go
  });
  EXPECT_EQ(answer.status().code(), absl::StatusCode::kCancelled) << answer.status();
  EXPECT_GT(used, 0u);
  EXPECT_TRUE(BecomesIdle());
}

TEST_F(LifecycleTest, DisconnectFreesItsBlocks) {
  client::CallCanceller canceller;
  std::thread gone([&] {
    client::Client other(client::ClientOptions{.address = daemon().address()});
    client::CallOptions options;
    options.canceller = &canceller;
    (void)other.Generate(LongRequest(kForAges), options, nullptr);
  });
  const absl::Time end = absl::Now() + absl::Seconds(10);
  while (UsedBlocks(Pool()) == 0 && absl::Now() < end) {
    absl::SleepFor(absl::Milliseconds(2));
  }
  EXPECT_GT(UsedBlocks(Pool()), 0u);
  canceller.Cancel();
  gone.join();
  EXPECT_TRUE(BecomesIdle());
}

TEST_F(LifecycleTest, DeadlineEndsARunningRequest) {
  client::CallOptions options;
  options.timeout = Milliseconds(300);
  uint64_t tokens = 0;
  const auto answer = client().Generate(LongRequest(kForAges), options, [&](const v1::Chunk& c) {
    tokens += c.tokens();
    return true;
  });
  EXPECT_EQ(answer.status().code(), absl::StatusCode::kDeadlineExceeded) << answer.status();
  EXPECT_GT(tokens, 0u);
  EXPECT_LT(tokens, kForAges);
  EXPECT_TRUE(BecomesIdle());
}

TEST_F(LifecycleTest, ExplainKnowsALiveRequest) {
  client::CallOptions options;
  options.request_id = "long-one";
  v1::ExplainRequest explain;
  explain.set_request_id("long-one");
  absl::StatusOr<v1::ExplainResponse> seen = absl::UnknownError("not asked");
  (void)client().Generate(LongRequest(kForAges), options, [&](const v1::Chunk&) {
    seen = client().Explain(explain, {});
    return false;
  });
  ASSERT_TRUE(seen.ok()) << seen.status();
  EXPECT_EQ(seen->request().request_id(), "long-one");
  EXPECT_EQ(seen->request().phase(), v1::REQUEST_PHASE_DECODE);
  EXPECT_GT(seen->request().output_tokens(), 0u);
}

TEST_F(LifecycleTest, WatchPoolShowsAnInstantPerInterval) {
  v1::WatchPoolRequest request;
  request.set_interval_ns(100'000'000);
  std::vector<v1::PoolState> states;
  const absl::Status status = client().WatchPool(request, {}, [&](const v1::PoolState& state) {
    states.push_back(state);
    return states.size() < 3;
  });
  ASSERT_TRUE(status.ok()) << status;
  for (size_t i = 1; i < states.size(); ++i) {
    EXPECT_GT(states[i].generation(), states[i - 1].generation());
    EXPECT_GT(states[i].uptime_ns(), states[i - 1].uptime_ns());
  }
}

TEST_F(LifecycleTest, SigtermLetsARunningRequestFinish) {
  bool signalled = false;
  uint64_t tokens = 0;
  const auto answer = client().Generate(LongRequest(500), {}, [&](const v1::Chunk& chunk) {
    tokens += chunk.tokens();
    if (!signalled) {
      signalled = true;
      daemon().Signal(SIGTERM);
    }
    return true;
  });
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(tokens, 500u);
  EXPECT_EQ(daemon().Wait(Seconds(10)), 0);
}

TEST_F(LifecycleTest, DrainRefusesWhatComesLater) {
  absl::Status late;
  bool refused = false;
  const auto answer = client().Generate(LongRequest(kForAges), {}, [&](const v1::Chunk&) {
    daemon().Signal(SIGTERM);
    const absl::Time end = absl::Now() + absl::Seconds(5);
    while (!refused && absl::Now() < end) {
      late = client().Generate(LongRequest(1), {}, nullptr).status();
      refused = !late.ok();
    }
    return false;
  });
  EXPECT_EQ(answer.status().code(), absl::StatusCode::kCancelled);
  EXPECT_TRUE(refused);
  EXPECT_EQ(late.code(), absl::StatusCode::kUnavailable) << late;
  EXPECT_EQ(client::DetailOf(late).reason, "SERVER_DRAINING") << late;
  EXPECT_TRUE(client::DetailOf(late).retry_after.has_value());
  EXPECT_EQ(daemon().Wait(Seconds(10)), 0);
}

TEST_F(LifecycleTest, SecondDaemonOnATakenPortSaysSo) {
  const auto start_second = [](int grpc_port, int http_port) {
    return RunProgram({ProgramPath("scovilled"), "--executor=synthetic",
                       absl::StrCat("--grpc-listen=127.0.0.1:", grpc_port),
                       absl::StrCat("--http-listen=127.0.0.1:", http_port)},
                      "", {{"XDG_CACHE_HOME", "/nowhere"}});
  };
  const ProgramResult same_grpc = start_second(daemon().grpc_port(), FreePort());
  EXPECT_EQ(same_grpc.exit_code, 1) << same_grpc.err;
  EXPECT_THAT(same_grpc.err, HasSubstr(absl::StrCat("127.0.0.1:", daemon().grpc_port())));
  const ProgramResult same_http = start_second(FreePort(), daemon().http_port());
  EXPECT_EQ(same_http.exit_code, 1) << same_http.err;
  EXPECT_THAT(same_http.err, HasSubstr(absl::StrCat("127.0.0.1:", daemon().http_port())));
  EXPECT_TRUE(client().ListModels({}).ok());  // the first is unharmed
}

}  // namespace
}  // namespace scoville::tests
