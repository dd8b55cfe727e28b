#include "server/grpc/grpc_server.h"

#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "grpc/health/v1/health.grpc.pb.h"
#include "tests/unit/server_grpc/server_fixture.h"

namespace scoville::tests {
namespace {

using std::chrono::milliseconds;
using std::chrono::system_clock;
using ::testing::HasSubstr;

v1::GenerateRequest Request(const std::string& text, uint32_t max_tokens) {
  v1::GenerateRequest request;
  request.set_text(text);
  request.mutable_sampling()->set_seed(11);
  request.mutable_stop()->set_max_tokens(max_tokens);
  request.mutable_stop()->set_ignore_eos(true);
  request.mutable_output()->set_token_ids(true);
  return request;
}

// The synthetic model's tokens take emulated time only, so a long answer lasts.
v1::GenerateRequest LongRequest() { return Request("a long one", 8000); }

class GrpcServerTest : public ::testing::Test {
 protected:
  ServerFixture f;
};

TEST_F(GrpcServerTest, GeneratesTextAndAFinalMessage) {
  v1::GenerateRequest request = Request("once upon a time", 24);
  request.set_request_id("story-1");
  const Answer answer = Generate(f.completions.get(), request);
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_EQ(answer.token_ids.size(), 24u);
  ASSERT_TRUE(answer.final.has_value());
  const v1::Final& final = *answer.final;
  ASSERT_EQ(final.choices_size(), 1);
  EXPECT_EQ(final.choices(0).finish_reason(), v1::FINISH_REASON_LENGTH);
  EXPECT_EQ(final.choices(0).tokens(), 24u);
  EXPECT_EQ(final.usage().completion_tokens(), 24u);
  EXPECT_EQ(final.seed(), 11u);
  EXPECT_EQ(final.request_id(), "story-1");
  EXPECT_EQ(final.model(), f.model->id);
  EXPECT_EQ(final.fingerprint(), f.model->fingerprint);
  EXPECT_TRUE(final.emulated());
  EXPECT_GT(final.energy().total().microjoules(), 0);
  const auto pj = [](const v1::Energy& e) { return e.microjoules() * 1'000'000 + e.picojoules(); };
  EXPECT_EQ(pj(final.energy().prefill()) + pj(final.energy().decode()), pj(final.energy().total()));
  EXPECT_LE(final.timings().first_token_ns(), final.timings().total_ns());

  // The text is what the tokens stand for.
  v1::DetokenizeRequest back;
  back.mutable_token_ids()->Assign(answer.token_ids.begin(), answer.token_ids.end());
  v1::DetokenizeResponse bytes;
  grpc::ClientContext context;
  ASSERT_TRUE(f.completions->Detokenize(&context, back, &bytes).ok());
  if (answer.text.find("\xef\xbf\xbd") == std::string::npos) {
    EXPECT_EQ(answer.text, bytes.text());
  }
  EXPECT_TRUE(f.ReturnsToBaseline());
}

TEST_F(GrpcServerTest, TheSameRequestGivesTheSameTokens) {
  const Answer first = Generate(f.completions.get(), Request("again", 16));
  const Answer second = Generate(f.completions.get(), Request("again", 16));
  ASSERT_TRUE(first.status.ok());
  EXPECT_EQ(first.token_ids, second.token_ids);
  v1::GenerateRequest other = Request("again", 16);
  other.mutable_sampling()->set_seed(12);
  EXPECT_NE(Generate(f.completions.get(), other).token_ids, first.token_ids);
}

TEST_F(GrpcServerTest, AnUnsetSeedIsDrawnAndReported) {
  v1::GenerateRequest request = Request("seed", 12);
  request.mutable_sampling()->clear_seed();
  const Answer drawn = Generate(f.completions.get(), request);
  ASSERT_TRUE(drawn.final.has_value());
  request.mutable_sampling()->set_seed(drawn.final->seed());
  EXPECT_EQ(Generate(f.completions.get(), request).token_ids, drawn.token_ids);
}

TEST_F(GrpcServerTest, ChatsThroughTheTemplate) {
  v1::ChatRequest request;
  v1::ChatMessage* message = request.add_messages();
  message->set_role("user");
  message->set_content("hello");
  request.mutable_stop()->set_max_tokens(8);
  const Answer answer = Chat(f.completions.get(), request);
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  ASSERT_TRUE(answer.final.has_value());
  EXPECT_GT(answer.final->usage().prompt_tokens(), 5u);
}

TEST_F(GrpcServerTest, LogprobsOfPromptAndOutput) {
  v1::GenerateRequest request = Request("score this prompt", 6);
  request.mutable_output()->set_logprobs(2);
  request.mutable_output()->set_prompt_logprobs(1);
  const Answer answer = Generate(f.completions.get(), request);
  ASSERT_TRUE(answer.final.has_value()) << answer.status.error_message();
  ASSERT_EQ(answer.prompt_logprobs.size() + 1, answer.final->usage().prompt_tokens());
  EXPECT_EQ(answer.chunks[0].tokens(), 0u);
  for (const v1::PositionLogprobs& position : answer.prompt_logprobs) {
    EXPECT_LE(position.chosen().logprob(), 0);
    ASSERT_EQ(position.top_size(), 1);
    EXPECT_GE(position.top(0).logprob(), position.chosen().logprob());
  }
  ASSERT_EQ(answer.logprobs.size(), 6u);
  for (size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(answer.logprobs[i].chosen().token_id(), answer.token_ids[i]);
    EXPECT_EQ(answer.logprobs[i].top_size(), 2);
  }
}

TEST_F(GrpcServerTest, StopStringsAreCutAndNamed) {
  v1::GenerateRequest request = Request("stop", 64);
  const Answer whole = Generate(f.completions.get(), request);
  ASSERT_GT(whole.text.size(), 8u);
  // Some ASCII pair of the text stops the same answer at its first appearance.
  std::string stop;
  for (size_t i = 2; i + 2 < whole.text.size() && stop.empty(); ++i) {
    if ((whole.text[i] & 0x80) == 0 && (whole.text[i + 1] & 0x80) == 0)
      stop = whole.text.substr(i, 2);
  }
  ASSERT_FALSE(stop.empty());
  request.mutable_stop()->add_strings(stop);
  const Answer cut = Generate(f.completions.get(), request);
  ASSERT_TRUE(cut.final.has_value());
  EXPECT_EQ(cut.final->choices(0).finish_reason(), v1::FINISH_REASON_STOP);
  EXPECT_EQ(cut.final->choices(0).match(), stop);
  EXPECT_EQ(cut.text, whole.text.substr(0, whole.text.find(stop)));
  request.mutable_stop()->set_keep_match(true);
  EXPECT_EQ(Generate(f.completions.get(), request).text, cut.text + stop);
}

// It ends the answer and is counted, but is no part of the text unless that is asked for.
TEST_F(GrpcServerTest, AStopTokenIsNoPartOfTheText) {
  v1::GenerateRequest request = Request("stop", 64);
  const Answer whole = Generate(f.completions.get(), request);
  size_t at = 2;
  std::string bytes;
  for (; at < whole.token_ids.size(); ++at) {
    const uint32_t token = whole.token_ids[at];
    bytes = std::string(f.model->tokenizer->TokenBytes(static_cast<int32_t>(token)));
    const auto first = std::find(whole.token_ids.begin(), whole.token_ids.end(), token);
    if (bytes.size() == 1 && (bytes[0] & 0x80) == 0 && first == whole.token_ids.begin() + at) {
      break;
    }
  }
  ASSERT_LT(at, whole.token_ids.size());
  request.mutable_stop()->add_token_ids(whole.token_ids[at]);
  const Answer cut = Generate(f.completions.get(), request);
  ASSERT_TRUE(cut.final.has_value());
  EXPECT_EQ(cut.final->choices(0).finish_reason(), v1::FINISH_REASON_STOP);
  EXPECT_EQ(cut.final->usage().completion_tokens(), at + 1);
  EXPECT_EQ(cut.token_ids.size(), at + 1);
  request.mutable_stop()->set_keep_match(true);
  EXPECT_EQ(Generate(f.completions.get(), request).text, cut.text + bytes);
}

TEST_F(GrpcServerTest, StreamIntervalPacksTokens) {
  v1::GenerateRequest request = Request("packed", 33);
  request.mutable_output()->set_stream_interval(8);
  const Answer answer = Generate(f.completions.get(), request);
  ASSERT_TRUE(answer.status.ok());
  EXPECT_EQ(answer.token_ids.size(), 33u);
  for (size_t i = 1; i + 1 < answer.chunks.size(); ++i) {
    EXPECT_GE(answer.chunks[i].tokens(), 8u) << i;
  }
}

TEST_F(GrpcServerTest, RefusesWithReasonFieldAndTrailersOnly) {
  v1::GenerateRequest request = Request("x", 4);
  request.mutable_sampling()->set_top_p(7);
  grpc::ClientContext context;
  context.AddMetadata("x-request-id", "mine");
  const Answer answer = Generate(f.completions.get(), request, &context);
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(ReasonOf(answer.status), "INVALID_FIELD");
  EXPECT_EQ(FieldOf(answer.status), "sampling.top_p");
  EXPECT_TRUE(answer.chunks.empty());
  EXPECT_EQ(context.GetServerInitialMetadata().count("x-request-id"), 0u);
  const auto& trailers = context.GetServerTrailingMetadata();
  ASSERT_EQ(trailers.count("x-request-id"), 1u);
  EXPECT_EQ(trailers.find("x-request-id")->second, "mine");
  ASSERT_EQ(trailers.count("grpc-retry-pushback-ms"), 1u);
  EXPECT_EQ(trailers.find("grpc-retry-pushback-ms")->second, "-1");
}

TEST_F(GrpcServerTest, RefusesWhatCannotBeServed) {
  v1::GenerateRequest request = Request("x", 4);
  request.set_model("another");
  Answer answer = Generate(f.completions.get(), request);
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(ReasonOf(answer.status), "MODEL_NOT_FOUND");

  answer = Generate(f.completions.get(), Request("x", 4096));
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(ReasonOf(answer.status), "CONTEXT_LENGTH_EXCEEDED");

  request = Request("x", 4);
  request.mutable_output()->set_echo_prompt(true);
  answer = Generate(f.completions.get(), request);
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(ReasonOf(answer.status), "UNSUPPORTED_FEATURE");

  // Beyond the receive limit the library answers; the server lives on.
  request = Request(std::string(9 << 20, 'x'), 4);
  answer = Generate(f.completions.get(), request);
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(Generate(f.completions.get(), Request("x", 4)).status.ok());
}

TEST_F(GrpcServerTest, TextThatIsNotUtf8FillsNoLog) {
  // Field 2 (text) of GenerateRequest, as bytes: our own library would not send them.
  const grpc::Slice slice(std::string("\x12\x02\xff\xfe"));
  const grpc::ByteBuffer request(&slice, 1);
  grpc::GenericStub stub(f.channel);
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  grpc::ByteBuffer response;
  grpc::Status status;
  ::testing::internal::CaptureStderr();
  const auto call =
      stub.PrepareUnaryCall(&context, "/scoville.v1.Completions/Tokenize", request, &queue);
  call->StartCall();
  int tag = 0;
  call->Finish(&response, &status, &tag);
  void* done = nullptr;
  bool ok = false;
  ASSERT_TRUE(queue.Next(&done, &ok));
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
  EXPECT_FALSE(status.ok());
}

TEST_F(GrpcServerTest, TokenizesAndListsModels) {
  v1::TokenizeRequest request;
  request.set_text("hello <|im_end|>");
  v1::TokenizeResponse plain;
  {
    grpc::ClientContext context;
    ASSERT_TRUE(f.completions->Tokenize(&context, request, &plain).ok());
  }
  request.set_allow_control_tokens(true);
  v1::TokenizeResponse control;
  {
    grpc::ClientContext context;
    ASSERT_TRUE(f.completions->Tokenize(&context, request, &control).ok());
  }
  EXPECT_GT(plain.token_ids_size(), control.token_ids_size());
  EXPECT_EQ(plain.tokens_size(), plain.token_ids_size());

  v1::DetokenizeRequest bad;
  bad.add_token_ids(1 << 20);
  v1::DetokenizeResponse ignored;
  {
    grpc::ClientContext context;
    const grpc::Status status = f.completions->Detokenize(&context, bad, &ignored);
    EXPECT_EQ(FieldOf(status), "token_ids[0]");
  }
  v1::ListModelsResponse models;
  {
    grpc::ClientContext context;
    ASSERT_TRUE(f.completions->ListModels(&context, {}, &models).ok());
  }
  ASSERT_EQ(models.models_size(), 1);
  EXPECT_EQ(models.models(0).id(), f.model->id);
  EXPECT_EQ(models.models(0).state(), "ready");
  EXPECT_EQ(models.models(0).context(), 512u);
  EXPECT_EQ(models.models(0).chat_template(), "chatml");
}

TEST_F(GrpcServerTest, PoolAndHealth) {
  v1::GetPoolResponse pool;
  grpc::ClientContext context;
  ASSERT_TRUE(f.pool->GetPool(&context, {}, &pool).ok());
  EXPECT_EQ(pool.pool().devices_size(), 2);
  EXPECT_TRUE(pool.pool().emulated());
  EXPECT_GT(pool.pool().budget_milliwatts(), 0);

  const auto health = grpc::health::v1::Health::NewStub(f.channel);
  const auto check = [&](const std::string& name) {
    grpc::ClientContext check_context;
    grpc::health::v1::HealthCheckRequest request;
    request.set_service(name);
    grpc::health::v1::HealthCheckResponse response;
    const grpc::Status status = health->Check(&check_context, request, &response);
    return status.ok() ? static_cast<int>(response.status()) : -status.error_code();
  };
  const std::string names[] = {"", "scoville.v1.Completions", "scoville.v1.Pool",
                               "model/" + f.model->id};
  for (const std::string& name : names) {
    EXPECT_EQ(check(name), grpc::health::v1::HealthCheckResponse::SERVING) << name;
  }
  EXPECT_EQ(check("nobody"), -grpc::StatusCode::NOT_FOUND);
  f.server->BeginDrain();
  for (const std::string& name : names) {
    EXPECT_EQ(check(name), grpc::health::v1::HealthCheckResponse::NOT_SERVING) << name;
  }
  const Answer refused = Generate(f.completions.get(), Request("x", 4));
  EXPECT_EQ(refused.status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ReasonOf(refused.status), "SERVER_DRAINING");
}

class LongStreamsTest : public ::testing::Test {
 protected:
  LongStreamsTest() : f({.executor = device::ExecutorKind::kSynthetic, .engine = {}, .grpc = {}}) {}
  ServerFixture f;
};

TEST_F(LongStreamsTest, CancelFreesTheBlocks) {
  for (int i = 0; i < 20; ++i) {
    grpc::ClientContext context;
    auto reader = f.completions->Generate(&context, LongRequest());
    v1::GenerateResponse response;
    if (i % 2 == 0) {
      ASSERT_TRUE(reader->Read(&response));
      EXPECT_GT(f.UsedBlocks(), 0);
    }
    context.TryCancel();
    while (reader->Read(&response)) {
    }
    EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  EXPECT_TRUE(f.ReturnsToBaseline());
}

TEST_F(LongStreamsTest, TheDeadlineEndsIt) {
  grpc::ClientContext context;
  context.set_deadline(system_clock::now() + milliseconds(100));
  const Answer answer = Generate(f.completions.get(), LongRequest(), &context);
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(f.ReturnsToBaseline());
}

TEST_F(LongStreamsTest, ExplainAndWatchSeeALiveRequest) {
  grpc::ClientContext context;
  v1::GenerateRequest request = LongRequest();
  request.set_request_id("watched");
  auto reader = f.completions->Generate(&context, request);
  v1::GenerateResponse response;
  ASSERT_TRUE(reader->Read(&response));

  v1::ExplainRequest explain;
  explain.set_request_id("watched");
  v1::ExplainResponse explained;
  grpc::ClientContext explain_context;
  ASSERT_TRUE(f.pool->Explain(&explain_context, explain, &explained).ok());
  EXPECT_EQ(explained.request().request_id(), "watched");
  EXPECT_EQ(explained.request().phase(), v1::REQUEST_PHASE_DECODE);

  grpc::ClientContext watch_context;
  v1::WatchPoolRequest watch;
  watch.set_interval_ns(100'000'000);
  watch.set_include_requests(true);
  auto watching = f.pool->WatchPool(&watch_context, watch);
  v1::WatchPoolResponse first;
  v1::WatchPoolResponse second;
  ASSERT_TRUE(watching->Read(&first));
  ASSERT_TRUE(watching->Read(&second));
  ASSERT_EQ(first.pool().requests_size(), 1);
  EXPECT_EQ(first.pool().requests(0).request_id(), "watched");
  EXPECT_EQ(first.pool().open_streams(), 1u);
  EXPECT_GE(second.pool().uptime_ns() - first.pool().uptime_ns(), 90'000'000);
  EXPECT_GT(second.pool().generation(), first.pool().generation());
  watch_context.TryCancel();
  EXPECT_EQ(watching->Finish().error_code(), grpc::StatusCode::CANCELLED);

  context.TryCancel();
  while (reader->Read(&response)) {
  }
  EXPECT_TRUE(f.ReturnsToBaseline());
  grpc::ClientContext gone_context;
  const grpc::Status gone = f.pool->Explain(&gone_context, explain, &explained);
  EXPECT_EQ(ReasonOf(gone), "REQUEST_NOT_FOUND");
  watch.set_interval_ns(1);
  grpc::ClientContext bad_context;
  EXPECT_EQ(FieldOf(f.pool->WatchPool(&bad_context, watch)->Finish()), "interval_ns");
}

TEST_F(LongStreamsTest, ManyStreamsWithCancelsAndDeadlinesEndClean) {
  constexpr int kClients = 16;
  constexpr int kCalls = 20;
  std::atomic<int> wrong{0};
  std::vector<std::thread> clients;
  for (int c = 0; c < kClients; ++c) {
    clients.emplace_back([&, c] {
      for (int i = 0; i < kCalls; ++i) {
        const int kind = (c * 7 + i) % 4;
        grpc::ClientContext context;
        if (kind == 1) context.set_deadline(system_clock::now() + milliseconds(i));
        auto reader = f.completions->Generate(&context, Request("many", kind == 0 ? 40 : 4000));
        v1::GenerateResponse response;
        int tokens = 0;
        while (reader->Read(&response)) {
          tokens += static_cast<int>(response.chunk().tokens());
          if (kind >= 2 && tokens > i) context.TryCancel();
        }
        const grpc::StatusCode code = reader->Finish().error_code();
        const grpc::StatusCode wanted = kind == 0   ? grpc::StatusCode::OK
                                        : kind == 1 ? grpc::StatusCode::DEADLINE_EXCEEDED
                                                    : grpc::StatusCode::CANCELLED;
        if (code != wanted || (kind == 0 && tokens != 40)) ++wrong;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(wrong.load(), 0);
  EXPECT_TRUE(f.ReturnsToBaseline());
  int64_t started = 0;
  int64_t handled = 0;
  for (const server::GrpcMethodCounts& method : f.server->counts()) {
    if (method.method != "Generate") continue;
    started += method.started;
    for (int64_t count : method.handled) handled += count;
  }
  EXPECT_EQ(started, handled);
}

TEST_F(LongStreamsTest, ShutdownEndsWhatIsOpen) {
  grpc::ClientContext context;
  auto reader = f.completions->Generate(&context, LongRequest());
  v1::GenerateResponse response;
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_FALSE(f.server->WaitForStreams(Milliseconds(20)));
  const auto begin = std::chrono::steady_clock::now();
  f.server->Shutdown();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds(3000));
  while (reader->Read(&response)) {
  }
  EXPECT_FALSE(reader->Finish().ok());
  EXPECT_EQ(f.server->open_streams(), 0);
}

TEST(GrpcServerStartTest, ATakenPortIsAClearError) {
  ServerFixture f;
  server::GrpcServerOptions options;
  options.address = f.server->address();
  const auto second =
      server::GrpcServer::Start(options, f.engine.get(), f.hub.get(), f.workers.get(), "test", {});
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(options.address));
}

}  // namespace
}  // namespace scoville::tests
