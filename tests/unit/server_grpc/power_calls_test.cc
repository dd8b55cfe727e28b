#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "tests/unit/server_grpc/server_fixture.h"

namespace scoville::tests {
namespace {

using ::testing::HasSubstr;

// Two idle devices under the default profile.
class PowerCallsTest : public ::testing::Test {
 protected:
  static FixtureOptions Options() {
    FixtureOptions options;
    options.executor = device::ExecutorKind::kSynthetic;
    return options;
  }

  v1::GetPowerBudgetResponse Get() {
    grpc::ClientContext context;
    v1::GetPowerBudgetResponse response;
    EXPECT_TRUE(f.pool->GetPowerBudget(&context, {}, &response).ok());
    return response;
  }
  grpc::Status Set(const v1::SetPowerBudgetRequest& request, v1::SetPowerBudgetResponse* response) {
    grpc::ClientContext context;
    return f.pool->SetPowerBudget(&context, request, response);
  }
  grpc::Status Cap(uint32_t device, int64_t milliwatts, v1::SetDevicePowerCapResponse* response) {
    grpc::ClientContext context;
    v1::SetDevicePowerCapRequest request;
    request.set_device(device);
    request.set_cap_milliwatts(milliwatts);
    return f.pool->SetDevicePowerCap(&context, request, response);
  }

  ServerFixture f{Options()};
};

TEST_F(PowerCallsTest, ADryRunAnswersAndChangesNothing) {
  const v1::GetPowerBudgetResponse before = Get();
  ASSERT_EQ(before.nodes_size(), 1);
  EXPECT_FALSE(before.nodes(0).has_budget_milliwatts());
  ASSERT_EQ(before.devices_size(), 2);
  EXPECT_EQ(before.ladder_size(), 7);
  EXPECT_EQ(before.devices(0).cap_milliwatts(), 700'000);

  v1::SetPowerBudgetRequest request;
  request.set_milliwatts(1'000'000);
  request.set_ramp_milliwatts_per_second(100'000'000);
  request.set_dry_run(true);
  v1::SetPowerBudgetResponse dry;
  ASSERT_TRUE(Set(request, &dry).ok());
  EXPECT_TRUE(dry.would_apply());
  EXPECT_EQ(dry.usable_milliwatts(), 950'000);  // 5 % in reserve
  EXPECT_EQ(dry.before_milliwatts(), 1'400'000);
  EXPECT_LE(dry.after_milliwatts(), 950'000);
  EXPECT_FALSE(Get().nodes(0).has_budget_milliwatts());
  EXPECT_EQ(Get().devices(0).cap_milliwatts(), 700'000);

  request.set_dry_run(false);
  v1::SetPowerBudgetResponse real;
  ASSERT_TRUE(Set(request, &real).ok());
  EXPECT_EQ(real.SerializeAsString(), dry.SerializeAsString());
  v1::GetPowerBudgetResponse now = Get();
  EXPECT_EQ(now.nodes(0).budget_milliwatts(), 1'000'000);
  // Idle devices, so the old caps are soon out of every window; the books never exceed the limit.
  for (int i = 0; i < 100 && !now.settled(); ++i) {
    EXPECT_LE(now.nodes(0).counted_milliwatts(), now.nodes(0).in_force_milliwatts());
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    now = Get();
  }
  EXPECT_TRUE(now.settled());
  EXPECT_LE(now.nodes(0).counted_milliwatts(), 950'000);
  EXPECT_EQ(now.devices(0).cap_milliwatts() + now.devices(1).cap_milliwatts(),
            real.after_milliwatts());
}

TEST_F(PowerCallsTest, SaysWhichFieldIsWrong) {
  v1::SetPowerBudgetResponse response;
  v1::SetPowerBudgetRequest request;
  const auto field = [&] { return FieldOf(Set(request, &response)); };
  EXPECT_EQ(field(), "milliwatts");
  request.set_milliwatts(-5);
  EXPECT_EQ(field(), "milliwatts");
  request.set_milliwatts(1'000'000);
  request.set_by_ns(0);
  EXPECT_EQ(field(), "by_ns");
  request.set_by_ns(-1);
  EXPECT_EQ(field(), "by_ns");
  request.clear_by_ns();
  request.set_ramp_milliwatts_per_second(-1);
  EXPECT_EQ(field(), "ramp_milliwatts_per_second");
  request.clear_ramp_milliwatts_per_second();
  request.set_basis(static_cast<v1::PowerBasis>(7));
  EXPECT_EQ(field(), "basis");
  request.clear_basis();
  request.set_node("rack-7");
  EXPECT_EQ(field(), "node");
  request.clear_node();

  // Sound by itself, but below what the devices can be capped to: the sum is shown.
  request.set_milliwatts(1'000);
  const grpc::Status low = Set(request, &response);
  EXPECT_EQ(low.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(FieldOf(low), "milliwatts");
  EXPECT_THAT(low.error_message(), HasSubstr("the least caps of its 2 devices sum to"));
  EXPECT_FALSE(Get().nodes(0).has_budget_milliwatts());
}

TEST_F(PowerCallsTest, ADeadlineThatCannotBeMetIsAnAnswer) {
  v1::SetPowerBudgetRequest request;
  request.set_milliwatts(1'000'000);
  request.set_by_ns(1'000);
  v1::SetPowerBudgetResponse response;
  ASSERT_TRUE(Set(request, &response).ok());
  EXPECT_TRUE(response.reachable());
  EXPECT_FALSE(response.in_time());
  EXPECT_FALSE(response.would_apply());
  EXPECT_GT(response.arrival_ns(), 1'000);
  EXPECT_EQ(response.lowest_by_deadline_milliwatts(), 1'400'000);
  EXPECT_FALSE(Get().nodes(0).has_budget_milliwatts());
}

TEST_F(PowerCallsTest, CapsOneDevice) {
  v1::SetDevicePowerCapResponse response;
  ASSERT_TRUE(Cap(1, 300'000, &response).ok());
  EXPECT_EQ(response.ceiling_milliwatts(), 300'000);
  EXPECT_EQ(response.cap_milliwatts(), 300'000);
  EXPECT_EQ(Get().devices(1).ceiling_milliwatts(), 300'000);
  EXPECT_EQ(Get().devices(0).cap_milliwatts(), 700'000);
  EXPECT_EQ(FieldOf(Cap(2, 300'000, &response)), "device");
  EXPECT_EQ(FieldOf(Cap(0, 1'000, &response)), "cap_milliwatts");
  EXPECT_EQ(FieldOf(Cap(0, 700'000'000, &response)), "cap_milliwatts");
}

}  // namespace
}  // namespace scoville::tests
