#include "client/library/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "client/library/error_detail.h"
#include "client/library/target.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "tests/unit/client/fake_daemon.h"

namespace scoville::client {
namespace {

// Serialized details as the daemon sends them.
std::string Details(const std::string& reason, int64_t retry_ms) {
  google::rpc::Status status;
  google::rpc::ErrorInfo info;
  info.set_reason(reason);
  info.set_domain("scoville");
  (*info.mutable_metadata())["limit"] = "1024";
  status.add_details()->PackFrom(info);
  google::rpc::RetryInfo retry;
  retry.mutable_retry_delay()->set_nanos(static_cast<int32_t>(retry_ms * 1'000'000));
  status.add_details()->PackFrom(retry);
  google::rpc::BadRequest bad;
  auto* violation = bad.add_field_violations();
  violation->set_field("sampling.top_p");
  violation->set_description("1.5 is above 1");
  status.add_details()->PackFrom(bad);
  return status.SerializeAsString();
}

class ClientTest : public testing::Test {
 protected:
  FakeDaemon daemon_;
  Client client_{ClientOptions{.address = daemon_.address()}};
};

TEST_F(ClientTest, StreamsChunksThenTheFinalMessage) {
  std::string text;
  CallOptions options;
  options.request_id = "mine";
  const auto answer = client_.Chat(v1::ChatRequest(), options, [&](const v1::Chunk& chunk) {
    text += chunk.text();
    return true;
  });
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(text, "word0 word1 word2 ");
  EXPECT_EQ(answer->usage().completion_tokens(), 3u);
  EXPECT_EQ(daemon_.last_request_id, "mine");
}

TEST_F(ClientTest, AStreamWithoutItsFinalMessageIsAnError) {
  daemon_.no_final = true;
  const auto answer = client_.Generate(v1::GenerateRequest(), {}, nullptr);
  EXPECT_EQ(answer.status().code(), absl::StatusCode::kInternal);
}

TEST_F(ClientTest, CallbackEndsTheCall) {
  daemon_.endless = true;
  int seen = 0;
  const auto answer =
      client_.Chat(v1::ChatRequest(), {}, [&](const v1::Chunk&) { return ++seen < 5; });
  EXPECT_EQ(answer.status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(seen, 5);
}

// Whatever the daemon's end of it was, and though it came first.
TEST_F(ClientTest, CallbackEndsACallThatHasEndedMeanwhile) {
  daemon_.chunks = 1;
  const auto answer = client_.Generate({}, {}, [](const v1::Chunk&) {
    absl::SleepFor(absl::Milliseconds(200));
    return false;
  });
  EXPECT_EQ(answer.status().code(), absl::StatusCode::kCancelled) << answer.status();
}

TEST_F(ClientTest, CancellerEndsTheCallFromAnotherThread) {
  daemon_.endless = true;
  CallCanceller canceller;
  CallOptions options;
  options.canceller = &canceller;
  std::thread other([&] {
    absl::SleepFor(absl::Milliseconds(50));
    canceller.Cancel();
  });
  const auto answer = client_.Chat(v1::ChatRequest(), options, nullptr);
  other.join();
  EXPECT_EQ(answer.status().code(), absl::StatusCode::kCancelled);
  // It stays cancelled: what is started afterwards ends at once.
  EXPECT_EQ(client_.Chat(v1::ChatRequest(), options, nullptr).status().code(),
            absl::StatusCode::kCancelled);
}

TEST_F(ClientTest, TimeoutIsTheCallsDeadline) {
  daemon_.endless = true;
  CallOptions options;
  options.timeout = Milliseconds(50);
  const auto answer = client_.Chat(v1::ChatRequest(), options, nullptr);
  EXPECT_EQ(answer.status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(ClientTest, KeepsTheDaemonsDetails) {
  daemon_.status = grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "1,024 requests wait",
                                Details("QUEUE_FULL", 250));
  const auto answer = client_.Chat(v1::ChatRequest(), {}, nullptr);
  ASSERT_EQ(answer.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(answer.status().message(), "1,024 requests wait");
  const ErrorDetail detail = DetailOf(answer.status());
  EXPECT_EQ(detail.reason, "QUEUE_FULL");
  EXPECT_EQ(detail.metadata.at("limit"), "1024");
  EXPECT_EQ(detail.retry_after, Milliseconds(250));
  ASSERT_EQ(detail.fields.size(), 1u);
  EXPECT_EQ(detail.fields[0].field, "sampling.top_p");
  EXPECT_EQ(detail.request_id, "fake-1");
  EXPECT_FALSE(IsUnreachable(answer.status()));
}

TEST_F(ClientTest, WatchesUntilTheCallbackHasEnough) {
  uint64_t last = 0;
  const absl::Status status =
      client_.WatchPool(v1::WatchPoolRequest(), {}, [&](const v1::PoolState& state) {
        last = state.generation();
        return last < 3;
      });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(last, 3u);
}

TEST_F(ClientTest, UnaryCall) {
  v1::TokenizeRequest request;
  request.set_text("AB");
  const auto response = client_.Tokenize(request, {});
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_THAT(response->token_ids(), testing::ElementsAre(65, 66));
}

TEST(Client, SaysThatNothingListens) {
  std::string address;
  {
    const FakeDaemon gone;
    address = gone.address();
  }
  Client client(ClientOptions{.address = address});
  const auto models = client.ListModels({});
  EXPECT_EQ(models.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(IsUnreachable(models.status()));
}

TEST(ErrorDetail, BrokenDetailsLeaveCodeAndMessage) {
  const absl::Status status =
      MakeCallStatus(absl::StatusCode::kInternal, "it broke", "\xFF\xFFnot a message", "");
  EXPECT_EQ(status.message(), "it broke");
  EXPECT_EQ(DetailOf(status).reason, "");
  EXPECT_EQ(DetailOf(absl::OkStatus()).reason, "");
}

TEST(Target, LiteralsGoPastTheResolver) {
  EXPECT_EQ(GrpcTarget("127.0.0.1:50051"), "ipv4:127.0.0.1:50051");
  EXPECT_EQ(GrpcTarget("10.0.0.7"), "ipv4:10.0.0.7:50051");
  EXPECT_EQ(GrpcTarget("[::1]:9"), "ipv6:[::1]:9");
  EXPECT_EQ(GrpcTarget("[::1]"), "ipv6:[::1]:50051");
  EXPECT_EQ(GrpcTarget("pepper.example"), "dns:///pepper.example:50051");
  EXPECT_EQ(GrpcTarget("pepper.example:1"), "dns:///pepper.example:1");
  EXPECT_EQ(GrpcTarget("unix:/run/scoville.sock"), "unix:/run/scoville.sock");
  EXPECT_EQ(GrpcTarget("dns:///a:1"), "dns:///a:1");
  EXPECT_TRUE(IsLoopback("127.0.0.1:50051"));
  EXPECT_FALSE(IsLoopback("10.0.0.7:50051"));
}

}  // namespace
}  // namespace scoville::client
