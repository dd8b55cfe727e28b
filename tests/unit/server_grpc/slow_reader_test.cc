#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "tests/unit/server_grpc/server_fixture.h"

namespace scoville::tests {
namespace {

// A client whose stream takes a few bytes at a time, so that what it does not read stays with the
// server instead of vanishing into buffers.
grpc::ChannelArguments NarrowChannel() {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 128);
  return arguments;
}

v1::GenerateRequest LongRequest() {
  v1::GenerateRequest request;
  request.set_text("slow");
  request.set_request_id("slow");
  request.mutable_stop()->set_max_tokens(6000);
  request.mutable_stop()->set_ignore_eos(true);
  request.mutable_output()->set_token_ids(true);
  return request;
}

FixtureOptions Options(Duration timeout) {
  FixtureOptions options;
  options.executor = device::ExecutorKind::kSynthetic;
  options.engine.scheduler.slow_reader_timeout = timeout;
  return options;
}

// Waits until the pool says that the reader is behind.
bool BecomesPaused(ServerFixture& f) {
  for (int i = 0; i < 500; ++i) {
    grpc::ClientContext context;
    v1::GetPoolRequest request;
    request.set_include_requests(true);
    v1::GetPoolResponse response;
    if (!f.pool->GetPool(&context, request, &response).ok()) return false;
    if (response.pool().paused() == 1) {
      return response.pool().requests(0).wait() == v1::WAIT_REASON_CLIENT;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return false;
}

TEST(SlowReaderTest, PausesTheSequenceAndGoesOnWhenItIsRead) {
  ServerFixture f(Options(Seconds(60)));
  auto stub = v1::Completions::NewStub(f.Channel(NarrowChannel()));
  grpc::ClientContext context;
  auto reader = stub->Generate(&context, LongRequest());
  ASSERT_TRUE(BecomesPaused(f));
  v1::GenerateResponse response;
  size_t tokens = 0;
  v1::Final final;
  while (reader->Read(&response)) {
    tokens += response.chunk().tokens();
    if (response.has_final()) final = response.final();
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(tokens, 6000u);
  EXPECT_GT(final.timings().client_stall_ns(), 0u);
  EXPECT_TRUE(f.ReturnsToBaseline());
}

TEST(SlowReaderTest, CutsAReaderThatNeverReads) {
  ServerFixture f(Options(Milliseconds(200)));
  auto stub = v1::Completions::NewStub(f.Channel(NarrowChannel()));
  grpc::ClientContext context;
  auto reader = stub->Generate(&context, LongRequest());
  // The blocks come back although the client reads nothing.
  bool freed = false;
  ASSERT_TRUE(BecomesPaused(f));
  for (int i = 0; i < 500 && !freed; ++i) {
    freed = f.UsedBlocks() == 0;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_TRUE(freed);
  v1::GenerateResponse response;
  while (reader->Read(&response)) {
  }
  const grpc::Status status = reader->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(ReasonOf(status), "SLOW_CONSUMER");
  EXPECT_TRUE(f.ReturnsToBaseline());
}

}  // namespace
}  // namespace scoville::tests
