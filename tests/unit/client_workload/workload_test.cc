#include "client/workload/workload.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace scoville::client {
namespace {

constexpr int64_t kDraws = 40'000;

ArrivalOptions Arrivals(ArrivalKind kind, double rate) {
  ArrivalOptions arrivals;
  arrivals.kind = kind;
  arrivals.requests_per_second = rate;
  return arrivals;
}

WorkloadOptions Many(LengthOptions prompt, uint64_t seed = 3) {
  WorkloadOptions options;
  options.requests = kDraws;
  options.seed = seed;
  options.arrivals = Arrivals(ArrivalKind::kPoisson, 50.0);
  options.prompt = prompt;
  return options;
}

std::vector<WorkloadRequest> Generate(const WorkloadOptions& options) {
  auto workload = GenerateWorkload(options);
  EXPECT_TRUE(workload.ok()) << workload.status();
  return workload.ok() ? *std::move(workload) : std::vector<WorkloadRequest>();
}

struct Moments {
  double mean = 0;
  double deviation = 0;
};

template <typename F>
Moments Measure(const std::vector<WorkloadRequest>& workload, F value) {
  double sum = 0;
  double squares = 0;
  for (const WorkloadRequest& r : workload) {
    sum += value(r);
    squares += value(r) * value(r);
  }
  const double n = static_cast<double>(workload.size());
  return {sum / n, std::sqrt(squares / n - (sum / n) * (sum / n))};
}

TEST(WorkloadTest, PoissonGapsHaveTheRatesMeanAndDeviation) {
  const auto workload = Generate(Many({}));
  double sum = 0;
  double squares = 0;
  TimePoint last;
  for (const WorkloadRequest& r : workload) {
    EXPECT_GE(r.arrival, last);
    const double gap = ToSeconds(r.arrival - last);
    sum += gap;
    squares += gap * gap;
    last = r.arrival;
  }
  const double n = static_cast<double>(kDraws);
  const double mean = sum / n;
  const double variance = squares / n - mean * mean;
  // An exponential of rate 50: mean and deviation 0.02; the variance's own deviation is sqrt(8/n).
  EXPECT_NEAR(mean, 0.02, 5 * 0.02 / std::sqrt(n));
  EXPECT_NEAR(variance, 0.0004, 5 * 0.0004 * std::sqrt(8 / n));
}

TEST(WorkloadTest, FixedGapsDoNotDriftAndABurstComesAtOnce) {
  WorkloadOptions options = Many({});
  options.arrivals = Arrivals(ArrivalKind::kFixed, 8.0);
  const auto fixed = Generate(options);
  for (size_t i = 0; i < fixed.size(); ++i) {
    ASSERT_EQ(fixed[i].arrival.ns(), static_cast<int64_t>(i) * 125'000'000);
  }
  options.arrivals = Arrivals(ArrivalKind::kBurst, 0);
  for (const WorkloadRequest& r : Generate(options)) {
    ASSERT_EQ(r.arrival, TimePoint());
  }
}

TEST(WorkloadTest, UniformLengthsCoverBothEndsEvenly) {
  const auto workload = Generate(Many({.kind = LengthKind::kUniform, .low = 10, .high = 19}));
  std::vector<int64_t> counts(10, 0);
  for (const WorkloadRequest& r : workload) {
    ASSERT_GE(r.prompt_tokens, 10);
    ASSERT_LE(r.prompt_tokens, 19);
    ++counts[static_cast<size_t>(r.prompt_tokens - 10)];
  }
  const double expected = kDraws / 10.0;
  for (int64_t count : counts) {
    EXPECT_NEAR(static_cast<double>(count), expected, 5 * std::sqrt(expected * 0.9));
  }
}

TEST(WorkloadTest, LogNormalLogarithmsHaveTheParameters) {
  const auto workload = Generate(Many({.kind = LengthKind::kLogNormal,
                                       .low = 1,
                                       .high = 10'000'000,
                                       .median = 5'000,
                                       .sigma = 0.8}));
  const Moments m = Measure(workload, [](const WorkloadRequest& r) {
    // Lengths are cut to whole tokens, half a token on average.
    return std::log(static_cast<double>(r.prompt_tokens) + 0.5);
  });
  const double n = static_cast<double>(kDraws);
  EXPECT_NEAR(m.mean, std::log(5'000.0), 5 * 0.8 / std::sqrt(n));
  EXPECT_NEAR(m.deviation, 0.8, 5 * 0.8 / std::sqrt(2 * n));
}

TEST(WorkloadTest, LogNormalLengthsAreClampedToBothBounds) {
  const auto workload = Generate(
      Many({.kind = LengthKind::kLogNormal, .low = 60, .high = 240, .median = 120, .sigma = 2.0}));
  int64_t at_low = 0;
  int64_t at_high = 0;
  for (const WorkloadRequest& r : workload) {
    ASSERT_GE(r.prompt_tokens, 60);
    ASSERT_LE(r.prompt_tokens, 240);
    at_low += r.prompt_tokens == 60 ? 1 : 0;
    at_high += r.prompt_tokens == 240 ? 1 : 0;
  }
  EXPECT_GT(at_low, kDraws / 5);  // 36 % lie at or below half the median
  EXPECT_GT(at_high, kDraws / 5);
}

TEST(WorkloadTest, ARequestsDrawsDoNotDependOnHowManyFollow) {
  WorkloadOptions options =
      Many({.kind = LengthKind::kLogNormal, .low = 1, .high = 4'096, .median = 300, .sigma = 1});
  options.output = {.kind = LengthKind::kUniform, .low = 1, .high = 500};
  const auto all = Generate(options);
  options.requests = 100;
  const auto few = Generate(options);
  ASSERT_EQ(few.size(), 100u);
  for (size_t i = 0; i < few.size(); ++i) {
    EXPECT_EQ(few[i].arrival, all[i].arrival);
    EXPECT_EQ(few[i].prompt_tokens, all[i].prompt_tokens);
    EXPECT_EQ(few[i].output_tokens, all[i].output_tokens);
    EXPECT_EQ(few[i].seed, all[i].seed);
  }
}

TEST(WorkloadTest, EachThingDrawnHasItsOwnStream) {
  WorkloadOptions options = Many({.kind = LengthKind::kUniform, .low = 1, .high = 1'000});
  options.output = options.prompt;
  const auto workload = Generate(options);
  options.prompt = {.kind = LengthKind::kFixed, .value = 5};
  const auto fixed_prompts = Generate(options);
  int64_t equal = 0;
  for (size_t i = 0; i < workload.size(); ++i) {
    equal += workload[i].prompt_tokens == workload[i].output_tokens ? 1 : 0;
    // Another prompt distribution moves nothing else.
    ASSERT_EQ(workload[i].output_tokens, fixed_prompts[i].output_tokens);
    ASSERT_EQ(workload[i].arrival, fixed_prompts[i].arrival);
  }
  EXPECT_NEAR(static_cast<double>(equal), 40.0, 5 * std::sqrt(40.0));
}

TEST(WorkloadTest, SeedsGiveDifferentWorkloads) {
  const LengthOptions length{.kind = LengthKind::kUniform, .low = 1, .high = 1'000'000};
  const auto a = Generate(Many(length, 3));
  const auto b = Generate(Many(length, 4));
  int64_t equal = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    equal += a[i].prompt_tokens == b[i].prompt_tokens ? 1 : 0;
  }
  EXPECT_LT(equal, 10);
}

TEST(WorkloadTest, RefusesWhatMakesNoSense) {
  const auto refused = [](auto change) {
    WorkloadOptions options;
    options.requests = 1;
    change(options);
    return GenerateWorkload(options).status().code() == absl::StatusCode::kInvalidArgument;
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE(refused([](WorkloadOptions&) {}));
  EXPECT_TRUE(refused([](WorkloadOptions& o) { o.requests = -1; }));
  EXPECT_TRUE(refused([](WorkloadOptions& o) { o.arrivals.requests_per_second = 0; }));
  EXPECT_TRUE(refused([&](WorkloadOptions& o) { o.arrivals.requests_per_second = nan; }));
  EXPECT_TRUE(refused([](WorkloadOptions& o) { o.prompt.value = 0; }));
  EXPECT_TRUE(refused(
      [](WorkloadOptions& o) { o.output = {.kind = LengthKind::kUniform, .low = 9, .high = 8}; }));
  EXPECT_TRUE(refused(
      [](WorkloadOptions& o) { o.output = {.kind = LengthKind::kUniform, .low = 0, .high = 8}; }));
  EXPECT_TRUE(refused(
      [&](WorkloadOptions& o) { o.output = {.kind = LengthKind::kLogNormal, .median = nan}; }));
  EXPECT_TRUE(refused(
      [](WorkloadOptions& o) { o.output = {.kind = LengthKind::kLogNormal, .sigma = -1}; }));
  EXPECT_TRUE(refused([](WorkloadOptions& o) {
    o.requests = 1'000'000;
    o.arrivals = Arrivals(ArrivalKind::kFixed, 1e-6);  // 30,000 years
  }));
}

TEST(WorkloadTest, PromptsAreKeyedBySeedAndPosition) {
  const auto a = SyntheticPrompt(1, 1'000, 300);
  const auto longer = SyntheticPrompt(1, 2'000, 300);
  const auto b = SyntheticPrompt(2, 1'000, 300);
  ASSERT_EQ(a.size(), 1'000u);
  EXPECT_TRUE(std::equal(a.begin(), a.end(), longer.begin()));
  EXPECT_NE(a, b);
  for (int32_t token : longer) {
    ASSERT_GE(token, 0);
    ASSERT_LT(token, 300);
  }
}

}  // namespace
}  // namespace scoville::client
