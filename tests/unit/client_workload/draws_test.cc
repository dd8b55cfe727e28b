#include "client/workload/draws.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "client/workload/workload.h"

namespace scoville::client {
namespace {

TEST(Draws, LogarithmAndExponentialAgreeWithTheLibrary) {
  for (uint64_t i = 0; i < 20'000; ++i) {
    const double x = 1400 * RandomUniform(1, 1, i) - 700;
    const double e = std::exp(x);
    EXPECT_NEAR(PortableExp(x) / e, 1, 1e-15) << x;
    EXPECT_NEAR(PortableLog(e), x, 1e-15 * std::max(1.0, std::abs(x))) << e;
  }
  EXPECT_EQ(PortableLog(1), 0);
  EXPECT_EQ(PortableExp(0), 1);
  EXPECT_NEAR(PortableLog(0x1p-1074), std::log(0x1p-1074), 1e-12);
}

TEST(Draws, NormalQuantileHasKnownValues) {
  EXPECT_NEAR(NormalQuantile(0.5), 0, 1e-12);
  EXPECT_NEAR(NormalQuantile(0.975), 1.959963984540054, 5e-9);
  EXPECT_NEAR(NormalQuantile(0.01), -2.326347874040841, 5e-9);
  EXPECT_NEAR(NormalQuantile(1e-9), -5.997807015008, 2e-8);
}

// Mean and variance of a gamma distribution are both its shape.
TEST(Draws, GammaHasTheMomentsOfItsShape) {
  constexpr int kDraws = 200'000;
  for (const double shape : {0.01, 0.1, 0.5, 1.0, 2.5, 16.0, 1e4}) {
    double sum = 0;
    double squares = 0;
    for (uint64_t i = 0; i < kDraws; ++i) {
      const double x = DrawGamma(7, 1, i, shape);
      ASSERT_GE(x, 0);
      sum += x;
      squares += (x - shape) * (x - shape);
    }
    // Standard deviations of the two averages, five of them allowed.
    const double mean_sd = std::sqrt(shape / kDraws);
    const double variance_sd = std::sqrt((2 * shape * shape + 6 * shape) / kDraws);
    EXPECT_NEAR(sum / kDraws, shape, 5 * mean_sd) << shape;
    EXPECT_NEAR(squares / kDraws, shape, 5 * variance_sd) << shape;
  }
}

TEST(Draws, AreFunctionsOfSeedStreamAndIndex) {
  EXPECT_EQ(DrawGamma(1, 2, 3, 0.5), DrawGamma(1, 2, 3, 0.5));
  EXPECT_NE(DrawGamma(1, 2, 3, 0.5), DrawGamma(2, 2, 3, 0.5));
  EXPECT_NE(DrawGamma(1, 2, 3, 0.5), DrawGamma(1, 3, 3, 0.5));
  EXPECT_NE(DrawGamma(1, 2, 3, 0.5), DrawGamma(1, 2, 4, 0.5));
}

TEST(GammaArrivals, HaveTheRateAndTheVariationAskedFor) {
  for (const double cv : {0.3, 1.0, 3.0}) {
    WorkloadOptions options;
    options.seed = 5;
    options.requests = 100'000;
    options.arrivals.kind = ArrivalKind::kGamma;
    options.arrivals.requests_per_second = 50;
    options.arrivals.cv = cv;
    const auto requests = GenerateWorkload(options);
    ASSERT_TRUE(requests.ok());
    double sum = 0;
    double squares = 0;
    TimePoint before;
    for (const WorkloadRequest& request : *requests) {
      const double gap = ToSeconds(request.arrival - before);
      before = request.arrival;
      sum += gap;
      squares += gap * gap;
    }
    const double mean = sum / 100'000;
    EXPECT_NEAR(mean, 0.02, 0.02 * 5 * cv / std::sqrt(1e5)) << cv;
    EXPECT_NEAR(std::sqrt(squares / 100'000 - mean * mean) / mean, cv, 0.05 * cv);
  }
}

TEST(ClosedLoop, EachUserFollowsItself) {
  WorkloadOptions options;
  options.requests = 10;
  options.arrivals.kind = ArrivalKind::kClosedLoop;
  options.arrivals.users = 4;
  options.arrivals.think = Milliseconds(3);
  const auto requests = GenerateWorkload(options);
  ASSERT_TRUE(requests.ok());
  for (int64_t i = 0; i < 10; ++i) {
    const WorkloadRequest& request = (*requests)[static_cast<size_t>(i)];
    EXPECT_EQ(request.after, i < 4 ? -1 : i - 4);
    EXPECT_EQ(request.think, Milliseconds(3));
  }
  options.arrivals.users = 0;
  EXPECT_FALSE(GenerateWorkload(options).ok());
}

TEST(DrawCancels, HitsTheShareWithinTheTime) {
  std::vector<WorkloadRequest> requests(10'000);
  DrawCancels(3, 0.25, Milliseconds(10), &requests);
  int hit = 0;
  for (const WorkloadRequest& request : requests) {
    hit += request.cancel_after > Duration();
    EXPECT_LE(request.cancel_after, Milliseconds(10));
  }
  EXPECT_NEAR(hit, 2500, 250);
}

TEST(ChangeSpeed, DividesArrivals) {
  std::vector<WorkloadRequest> requests(2);
  requests[1].arrival = TimePoint(1'000'000'001);
  ChangeSpeed(4, &requests);
  EXPECT_EQ(requests[0].arrival, TimePoint());
  EXPECT_EQ(requests[1].arrival, TimePoint(250'000'000));
}

}  // namespace
}  // namespace scoville::client
