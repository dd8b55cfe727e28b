// What the scheduler refuses for a deadline or a quota, as a client of gRPC sees it.
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "tests/unit/server_grpc/server_fixture.h"

namespace scoville::tests {
namespace {

FixtureOptions Options() {
  FixtureOptions options;
  options.executor = device::ExecutorKind::kSynthetic;
  options.context = 16384;
  options.devices = 1;
  return options;
}

// A stream that is read as far as its first message.
class OpenCall {
 public:
  OpenCall(ServerFixture& f, const v1::GenerateRequest& request, bool started = true) {
    reader_ = f.completions->Generate(&context_, request);
    v1::GenerateResponse response;
    EXPECT_TRUE(!started || reader_->Read(&response));
  }
  ~OpenCall() {
    context_.TryCancel();
    reader_->Finish();
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::GenerateResponse>> reader_;
};

v1::GenerateRequest Long() {
  v1::GenerateRequest request;
  request.set_text("x");
  request.mutable_stop()->set_max_tokens(8000);
  request.mutable_stop()->set_ignore_eos(true);
  return request;
}

void WaitUntilWaiting(ServerFixture& f, int64_t count) {
  v1::GetPoolResponse pool;
  for (int i = 0; i < 500 && pool.pool().waiting() < static_cast<uint64_t>(count); ++i) {
    grpc::ClientContext context;
    ASSERT_TRUE(f.pool->GetPool(&context, {}, &pool).ok());
  }
  ASSERT_EQ(pool.pool().waiting(), static_cast<uint64_t>(count));
}

TEST(RefusalCallsTest, QuotasOfTenantAndClassSayWhenToComeBack) {
  FixtureOptions options = Options();
  options.engine.scheduler.max_running = 1;
  options.engine.scheduler.max_queued_by_tenant.requests = 2;
  options.engine.scheduler.max_queued_by_class[2].requests = 1;
  ServerFixture f(options);
  OpenCall running(f, Long());
  v1::GenerateRequest batch = Long();
  batch.mutable_scheduling()->set_service_class(v1::SERVICE_CLASS_BATCH);
  OpenCall first(f, batch, /*started=*/false);
  WaitUntilWaiting(f, 1);
  Answer answer = Generate(f.completions.get(), batch);
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(ReasonOf(answer.status), "TENANT_QUOTA");
  EXPECT_EQ(NumberOf(answer.status, "limit"), 1);
  EXPECT_GT(RetryOf(answer.status), Duration());
  OpenCall second(f, Long(), /*started=*/false);
  WaitUntilWaiting(f, 2);
  answer = Generate(f.completions.get(), Long());
  EXPECT_EQ(ReasonOf(answer.status), "TENANT_QUOTA");
  EXPECT_EQ(NumberOf(answer.status, "limit"), 2);
  EXPECT_GT(RetryOf(answer.status), Duration());
  // Another tenant has a quota of its own.
  grpc::ClientContext other;
  other.AddMetadata("x-scoville-tenant", "acme");
  const auto reader = f.completions->Generate(&other, Long());
  WaitUntilWaiting(f, 3);
  other.TryCancel();
  reader->Finish();
}

TEST(RefusalCallsTest, AHopelessDeadlineSaysWhatIsNeededAndWhetherLoadIsWhy) {
  FixtureOptions options = Options();
  options.engine.pool.max_step_tokens = 1;  // prompts take long
  ServerFixture f(options);
  v1::GenerateRequest request;
  for (uint32_t i = 0; i < 12000; ++i) {
    request.mutable_token_ids()->add_ids(i % 100 + 5);
  }
  request.mutable_stop()->set_max_tokens(1);
  const auto ask = [&](std::chrono::nanoseconds deadline) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + deadline);
    return Generate(f.completions.get(), request, &context).status;
  };
  const grpc::Status alone = ask(std::chrono::milliseconds(150));
  EXPECT_EQ(alone.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  ASSERT_EQ(ReasonOf(alone), "DEADLINE_INFEASIBLE") << alone.error_message();
  const int64_t needed = NumberOf(alone, "predicted_ns");
  EXPECT_GT(needed, NumberOf(alone, "given_ns"));
  EXPECT_GT(NumberOf(alone, "given_ns"), 0);
  // No load is in the way, so coming back does not help.
  EXPECT_EQ(RetryOf(alone), Duration());

  // Half as much again is enough, but not behind another one.
  const std::chrono::nanoseconds enough(needed + needed / 2);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + enough);
  const auto reader = f.completions->Generate(&context, request);
  request.mutable_token_ids()->set_ids(0, 7);  // else it would share that one's prompt
  grpc::Status behind;
  for (int i = 0; i < 100 && ReasonOf(behind).empty(); ++i) {
    v1::GetPoolResponse pool;
    grpc::ClientContext pool_context;
    ASSERT_TRUE(f.pool->GetPool(&pool_context, {}, &pool).ok());
    if (pool.pool().devices(0).running() + pool.pool().waiting() > 0) {
      behind = ask(enough);
    }
  }
  EXPECT_EQ(ReasonOf(behind), "DEADLINE_INFEASIBLE") << behind.error_message();
  EXPECT_GT(RetryOf(behind), Duration());
  context.TryCancel();
  reader->Finish();
  EXPECT_TRUE(f.ReturnsToBaseline());
}

}  // namespace
}  // namespace scoville::tests
