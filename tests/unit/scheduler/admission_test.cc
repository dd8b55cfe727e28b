#include "scheduler/admission.h"

#include <gtest/gtest.h>

namespace scoville::scheduler {
namespace {

class AdmissionTest : public testing::Test {
 protected:
  AdmissionTest() {
    options_.context = 1000;
    options_.vocabulary = 50;
    options_.max_queued = {4, 100, 0, Duration()};
    view_.device_ready = true;
    view_.largest_device_tokens = 800;
    view_.now = TimePoint(5);
    ends_.Idle(TimePoint(0));
    view_.ends = &ends_;
    request_.prompt = {1, 2, 3};
    request_.max_tokens = 10;
  }

  std::optional<RefusalReason> Reason() {
    const std::optional<Refusal> refusal = Admit(request_, options_, view_);
    if (!refusal) return std::nullopt;
    EXPECT_FALSE(refusal->message.empty());
    return refusal->reason;
  }

  DrainRate ends_{DrainOptions{.first_rate = 2}};
  SchedulerOptions options_;
  AdmissionView view_;
  Request request_;
};

TEST_F(AdmissionTest, TakesWhatFits) {
  EXPECT_EQ(Reason(), std::nullopt);
  EXPECT_EQ(LastToken(request_, options_, 800), 13);
  request_.max_tokens = 0;
  EXPECT_EQ(Reason(), std::nullopt);
  EXPECT_EQ(LastToken(request_, options_, 800), 800);
}

TEST_F(AdmissionTest, RefusesWhatCanNeverRun) {
  request_.max_tokens = 998;
  EXPECT_EQ(Reason(), RefusalReason::kContextLengthExceeded);
  request_.max_tokens = 900;
  EXPECT_EQ(Reason(), RefusalReason::kNeverFits);
  request_.max_tokens = 1;
  request_.prompt.clear();
  EXPECT_EQ(Reason(), RefusalReason::kInvalid);
  request_.prompt = {50};
  EXPECT_EQ(Reason(), RefusalReason::kInvalid);
  request_.prompt = {-1};
  EXPECT_EQ(Reason(), RefusalReason::kInvalid);
}

TEST_F(AdmissionTest, RefusesWhatShouldNotEnterNow) {
  view_.queued.requests = 4;
  const std::optional<Refusal> full = Admit(request_, options_, view_);
  ASSERT_TRUE(full);
  EXPECT_EQ(full->reason, RefusalReason::kQueueFull);
  EXPECT_EQ(full->retry_after, ends_.RetryAfter(view_.now, 5, 0));
  EXPECT_EQ(full->bound, "requests");
  view_.queued = {1, 98, 0, Duration()};
  EXPECT_EQ(Reason(), RefusalReason::kQueueFull);
  view_.queued.tokens = 97;
  EXPECT_EQ(Reason(), std::nullopt);
  request_.deadline = TimePoint(5);
  EXPECT_EQ(Reason(), RefusalReason::kDeadlineExceeded);
  view_.draining = true;
  EXPECT_EQ(Reason(), RefusalReason::kDraining);
  view_.draining = false;
  view_.device_ready = false;
  EXPECT_EQ(Reason(), RefusalReason::kNoDevice);
}

TEST_F(AdmissionTest, ALimitNamesItselfAndComputesWhenToComeBack) {
  request_.tenant = "acme";
  request_.service_class = ServiceClass::kBatch;
  request_.bytes = 50;
  view_.queued = {3, 30, 300, Seconds(3)};
  view_.queued_of_class = {2, 20, 200, Seconds(2)};
  view_.queued_of_tenant = {1, 10, 100, Seconds(1)};
  view_.work = Seconds(1);
  EXPECT_EQ(Reason(), std::nullopt);

  options_.max_queued_by_class[2].bytes = 249;
  auto refusal = Admit(request_, options_, view_);
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->reason, RefusalReason::kQuota);
  EXPECT_EQ(refusal->bound, "class batch bytes");
  EXPECT_EQ(refusal->needed, 250);
  EXPECT_EQ(refusal->limit, 249);
  EXPECT_EQ(refusal->message,
            "200 bytes of class batch wait and 50 more would pass the limit of 249");
  // One of the class's two has to leave, and one of the others leaves in that time on average.
  EXPECT_EQ(refusal->retry_after, ends_.RetryAfter(view_.now, 1, 0));
  options_.max_queued_by_class[2].bytes = 60;
  EXPECT_EQ(Admit(request_, options_, view_)->retry_after, ends_.RetryAfter(view_.now, 3, 0));
  options_.max_queued_by_class[2].bytes = 250;
  EXPECT_EQ(Reason(), std::nullopt);

  options_.max_queued_by_tenant.requests = 1;
  EXPECT_EQ(Admit(request_, options_, view_)->bound, "tenant acme requests");
  // A name's own limits take the place of the others.
  options_.max_queued_of_tenant["acme"].time = Seconds(2);
  EXPECT_EQ(Reason(), std::nullopt);
  options_.max_queued_of_tenant["acme"].time = Milliseconds(1999);
  refusal = Admit(request_, options_, view_);
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->bound, "tenant acme time");
  EXPECT_EQ(refusal->needed, Seconds(2).value());
  view_.devices = 2;
  EXPECT_EQ(Reason(), std::nullopt);
  options_.max_queued.time = Milliseconds(1500);
  EXPECT_EQ(Reason(), RefusalReason::kQueueFull);
  EXPECT_TRUE(LimitsTime(options_));
  EXPECT_FALSE(LimitsTime(SchedulerOptions()));
}

}  // namespace
}  // namespace scoville::scheduler
