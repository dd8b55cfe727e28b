#include "sim/tenants.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace scoville::sim {
namespace {

scheduler::RequestRecord Record(const char* tenant, int64_t prompt, int64_t first_s) {
  scheduler::RequestRecord r;
  r.tenant = tenant;
  r.prompt_tokens = prompt;
  r.output_tokens = 1;
  r.first_token = r.last_token = r.end = TimePoint() + Seconds(first_s);
  return r;
}

TEST(TenantsTest, SharesAreKeptAndConversationsStayTogether) {
  const std::vector<TenantMix> mix = {{.name = "a", .share = 3}, {.name = "b", .share = 1}};
  std::vector<client::WorkloadRequest> requests(10'000);
  const std::vector<size_t> drawn = DrawTenants(5, mix, requests);
  EXPECT_NEAR(static_cast<double>(std::count(drawn.begin(), drawn.end(), 1)), 2'500, 200);
  EXPECT_EQ(drawn, DrawTenants(5, mix, requests));
  EXPECT_NE(drawn, DrawTenants(6, mix, requests));
  for (size_t i = 0; i < requests.size(); ++i) {
    requests[i].blocks.ids = {0, static_cast<uint32_t>(i % 50)};
  }
  const std::vector<size_t> talks = DrawTenants(5, mix, requests);
  for (size_t i = 50; i < talks.size(); ++i) {
    EXPECT_EQ(talks[i], talks[i % 50]);
  }
}

TEST(TenantsTest, EqualServiceUnderContentionIsOneAndStarvationIsNot) {
  // Both want 2 x 100 in the first window, and half of all is served there.
  const std::vector<scheduler::RequestRecord> fair = {Record("a", 100, 5), Record("a", 100, 15),
                                                      Record("b", 100, 5), Record("b", 100, 15)};
  EXPECT_NEAR(JainIndex(fair, {}), 1, 1e-9);
  const std::vector<scheduler::RequestRecord> starved = {
      Record("a", 100, 5), Record("a", 100, 5), Record("b", 100, 15), Record("b", 100, 15)};
  EXPECT_NEAR(JainIndex(starved, {}), 0.5, 1e-9);
}

TEST(TenantsTest, ATenantThatWantsLittleIsServedFairlyWithLittle) {
  const std::vector<scheduler::RequestRecord> records = {
      Record("flood", 100, 5), Record("flood", 100, 5), Record("flood", 400, 15),
      Record("small", 10, 5)};
  EXPECT_NEAR(JainIndex(records, {}), 1, 1e-9);
}

TEST(TenantsTest, WeightsMoveTheFairShare) {
  const std::vector<scheduler::RequestRecord> records = {Record("a", 298, 5), Record("a", 298, 15),
                                                         Record("b", 98, 5), Record("b", 298, 15)};
  EXPECT_NEAR(JainIndex(records, {{"a", 3.0}}), 1, 1e-9);
  EXPECT_LT(JainIndex(records, {}), 0.95);
}

}  // namespace
}  // namespace scoville::sim
