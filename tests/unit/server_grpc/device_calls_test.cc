#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>

#include "tests/unit/server_grpc/server_fixture.h"

namespace scoville::tests {
namespace {

using ::testing::HasSubstr;

class DeviceCallsTest : public ::testing::Test {
 protected:
  static FixtureOptions Options(bool faults) {
    FixtureOptions options;
    options.executor = device::ExecutorKind::kSynthetic;
    options.grpc.fault_injection = faults;
    return options;
  }

  grpc::Status Drain(uint32_t device, bool migrate, v1::Device* out) {
    grpc::ClientContext context;
    v1::DrainDeviceRequest request;
    request.set_device(device);
    request.set_migrate(migrate);
    v1::DrainDeviceResponse response;
    const grpc::Status status = f.pool->DrainDevice(&context, request, &response);
    *out = response.device();
    return status;
  }
  grpc::Status Return(uint32_t device, v1::Device* out) {
    grpc::ClientContext context;
    v1::ReturnDeviceRequest request;
    request.set_device(device);
    v1::ReturnDeviceResponse response;
    const grpc::Status status = f.pool->ReturnDevice(&context, request, &response);
    *out = response.device();
    return status;
  }
  grpc::Status Fence(uint32_t device, v1::Device* out) {
    grpc::ClientContext context;
    v1::FenceDeviceRequest request;
    request.set_device(device);
    v1::FenceDeviceResponse response;
    const grpc::Status status = f.pool->FenceDevice(&context, request, &response);
    *out = response.device();
    return status;
  }
  grpc::Status Inject(const v1::InjectFaultRequest& request, v1::Device* out) {
    grpc::ClientContext context;
    v1::InjectFaultResponse response;
    const grpc::Status status = f.pool->InjectFault(&context, request, &response);
    *out = response.device();
    return status;
  }
  static v1::InjectFaultRequest Fault(uint32_t device, v1::FaultKind kind) {
    v1::InjectFaultRequest request;
    request.set_device(device);
    request.set_kind(kind);
    return request;
  }
  v1::PoolState Pool() {
    grpc::ClientContext context;
    v1::GetPoolRequest request;
    request.set_include_requests(true);
    v1::GetPoolResponse response;
    EXPECT_TRUE(f.pool->GetPool(&context, request, &response).ok());
    return response.pool();
  }

  static v1::GenerateRequest Request(uint32_t tokens) {
    v1::GenerateRequest request;
    request.set_text("a few words");
    request.mutable_stop()->set_max_tokens(tokens);
    request.mutable_stop()->set_ignore_eos(true);
    request.mutable_sampling()->set_seed(5);
    request.mutable_output()->set_token_ids(true);
    return request;
  }

  // One call whose first chunk has come, so that it runs somewhere.
  struct Stream {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReader<v1::GenerateResponse>> reader;
    std::vector<uint32_t> token_ids;
    v1::Final final;

    bool Read() {
      v1::GenerateResponse response;
      if (!reader->Read(&response)) return false;
      token_ids.insert(token_ids.end(), response.chunk().token_ids().begin(),
                       response.chunk().token_ids().end());
      if (response.has_final()) final = response.final();
      return true;
    }
  };
  std::unique_ptr<Stream> Start(uint32_t tokens) {
    auto stream = std::make_unique<Stream>();
    stream->reader = f.completions->Generate(&stream->context, Request(tokens));
    EXPECT_TRUE(stream->Read());
    return stream;
  }

  ServerFixture f{Options(/*faults=*/true)};
  v1::Device seen;
};

TEST_F(DeviceCallsTest, ADrainedDeviceTakesNothingUntilItReturns) {
  ASSERT_TRUE(Drain(1, false, &seen).ok());
  EXPECT_EQ(seen.state(), v1::DEVICE_STATE_DRAINED);
  EXPECT_EQ(seen.id(), 1u);
  for (int i = 0; i < 4; ++i) {
    const Answer answer = Generate(f.completions.get(), Request(4));
    ASSERT_TRUE(answer.status.ok());
    EXPECT_THAT(answer.final->devices(), testing::ElementsAre(0u));
  }
  EXPECT_EQ(Pool().devices(1).steps(), 0u);
  ASSERT_TRUE(Return(1, &seen).ok());
  EXPECT_EQ(seen.state(), v1::DEVICE_STATE_READY);
}

TEST_F(DeviceCallsTest, AMigratingDrainMovesTheStreamAndItsTokensStayTheSame) {
  const Answer undisturbed = Generate(f.completions.get(), Request(3000));
  ASSERT_TRUE(undisturbed.status.ok());
  auto stream = Start(3000);
  const v1::PoolState before = Pool();
  ASSERT_EQ(before.requests_size(), 1);
  const uint32_t at = before.requests(0).device();
  ASSERT_TRUE(Drain(at, true, &seen).ok());
  while (stream->Read()) {
  }
  ASSERT_TRUE(stream->reader->Finish().ok());
  EXPECT_EQ(stream->token_ids, undisturbed.token_ids);
  const v1::PoolState after = Pool();
  EXPECT_EQ(after.migrations(), 1u);
  EXPECT_EQ(after.devices_lost(), 0u);
  EXPECT_EQ(after.devices(static_cast<int>(at)).state(), v1::DEVICE_STATE_DRAINED);
}

TEST_F(DeviceCallsTest, AFencedDeviceIsLostAndItsStreamGoesOnElsewhere) {
  auto stream = Start(3000);
  const uint32_t at = Pool().requests(0).device();
  ASSERT_TRUE(Fence(at, &seen).ok());
  EXPECT_EQ(seen.state(), v1::DEVICE_STATE_LOST);
  const grpc::Status drain = Drain(at, false, &seen);
  EXPECT_EQ(drain.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(ReasonOf(drain), "WRONG_STATE");
  while (stream->Read()) {
  }
  ASSERT_TRUE(stream->reader->Finish().ok());
  EXPECT_EQ(stream->token_ids.size(), 3000u);
  EXPECT_EQ(Pool().devices_lost(), 1u);
  ASSERT_TRUE(Return(at, &seen).ok());
  EXPECT_EQ(seen.state(), v1::DEVICE_STATE_READY);
}

TEST_F(DeviceCallsTest, AKilledDeviceIsNoticedByItsSilence) {
  auto stream = Start(3000);
  const uint32_t at = Pool().requests(0).device();
  ASSERT_TRUE(Inject(Fault(at, v1::FAULT_KIND_KILL), &seen).ok());
  while (stream->Read()) {
  }
  ASSERT_TRUE(stream->reader->Finish().ok());
  EXPECT_EQ(stream->token_ids.size(), 3000u);
  EXPECT_EQ(Pool().devices(static_cast<int>(at)).state(), v1::DEVICE_STATE_LOST);
  // A lost device cannot get worse.
  EXPECT_EQ(ReasonOf(Inject(Fault(at, v1::FAULT_KIND_HANG), &seen)), "WRONG_STATE");
}

TEST_F(DeviceCallsTest, ASlowDeviceShowsItsPaceAndLostPagesAreCounted) {
  v1::InjectFaultRequest slow = Fault(0, v1::FAULT_KIND_SLOW);
  slow.set_percent(300);
  ASSERT_TRUE(Inject(slow, &seen).ok());
  ASSERT_TRUE(Drain(1, false, &seen).ok());
  ASSERT_TRUE(Generate(f.completions.get(), Request(200)).status.ok());
  EXPECT_GT(Pool().devices(0).pace_percent(), 150u);

  v1::InjectFaultRequest pages = Fault(0, v1::FAULT_KIND_LOSE_PAGES);
  pages.set_first_page(10);
  pages.set_pages(20);
  ASSERT_TRUE(Inject(pages, &seen).ok());
  EXPECT_EQ(seen.kv_blocks_bad(), 20u);
  EXPECT_EQ(seen.kv_blocks_total(), 1004u);
}

TEST_F(DeviceCallsTest, SaysWhatIsWrongWithACommand) {
  const grpc::Status missing = Drain(2, false, &seen);
  EXPECT_EQ(missing.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(ReasonOf(missing), "DEVICE_NOT_FOUND");
  EXPECT_THAT(missing.error_message(), HasSubstr("no device 2, the pool has 0 to 1"));
  EXPECT_EQ(ReasonOf(Return(9, &seen)), "DEVICE_NOT_FOUND");
  EXPECT_EQ(ReasonOf(Fence(9, &seen)), "DEVICE_NOT_FOUND");

  EXPECT_EQ(FieldOf(Inject(Fault(0, v1::FAULT_KIND_UNSPECIFIED), &seen)), "kind");
  v1::InjectFaultRequest request = Fault(0, v1::FAULT_KIND_SLOW);
  request.set_percent(99);
  EXPECT_EQ(FieldOf(Inject(request, &seen)), "percent");
  request = Fault(0, v1::FAULT_KIND_LOSE_PAGES);
  EXPECT_EQ(FieldOf(Inject(request, &seen)), "pages");
  request.set_first_page(1024);
  request.set_pages(1);
  EXPECT_EQ(FieldOf(Inject(request, &seen)), "pages");
}

TEST_F(DeviceCallsTest, RequestsAndDevicesTellWhatTheSchedulerKnows) {
  ASSERT_TRUE(Drain(0, false, &seen).ok());
  ASSERT_TRUE(Drain(1, false, &seen).ok());
  grpc::ClientContext context;
  auto reader = f.completions->Generate(&context, Request(4));
  v1::PoolState pool;
  for (int i = 0; i < 500 && pool.requests_size() == 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    pool = Pool();
  }
  ASSERT_EQ(pool.requests_size(), 1);
  const v1::LiveRequest& waiting = pool.requests(0);
  EXPECT_EQ(waiting.wait(), v1::WAIT_REASON_DEVICE);
  EXPECT_FALSE(waiting.has_wait_bound_ns());
  EXPECT_EQ(waiting.unbounded(), "no device takes work");
  EXPECT_THAT(pool.waiting_by_class(), testing::ElementsAre(0u, 1u, 0u));
  ASSERT_TRUE(Return(0, &seen).ok());
  v1::GenerateResponse response;
  while (reader->Read(&response)) {
  }
  EXPECT_TRUE(reader->Finish().ok());
  const v1::PoolState after = Pool();
  EXPECT_GT(after.devices(0).prefix_query_tokens(), 0u);
  EXPECT_EQ(after.devices(0).pace_percent(), 100u);
}

TEST(FaultsTest, AreRefusedUnlessEnabled) {
  FixtureOptions options;
  options.executor = device::ExecutorKind::kSynthetic;
  ServerFixture f(options);
  grpc::ClientContext context;
  v1::InjectFaultRequest request;
  request.set_kind(v1::FAULT_KIND_KILL);
  v1::InjectFaultResponse response;
  const grpc::Status status = f.pool->InjectFault(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(ReasonOf(status), "FAULTS_DISABLED");
  EXPECT_THAT(status.error_message(), HasSubstr("--enable-fault-injection"));
}

}  // namespace
}  // namespace scoville::tests
