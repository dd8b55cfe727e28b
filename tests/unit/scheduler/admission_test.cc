#include "scheduler/admission.h"

#include <gtest/gtest.h>

namespace scoville::scheduler {
namespace {

class AdmissionTest : public testing::Test {
 protected:
  AdmissionTest() {
    options_.context = 1000;
    options_.vocabulary = 50;
    options_.max_queued_requests = 4;
    options_.max_queued_tokens = 100;
    view_.device_ready = true;
    view_.largest_device_tokens = 800;
    view_.now = TimePoint(5);
    view_.retry_after = Seconds(2);
    request_.prompt = {1, 2, 3};
    request_.max_tokens = 10;
  }

  std::optional<RefusalReason> Reason() {
    const std::optional<Refusal> refusal = Admit(request_, options_, view_);
    if (!refusal) return std::nullopt;
    EXPECT_FALSE(refusal->message.empty());
    return refusal->reason;
  }

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
  view_.queued_requests = 4;
  const std::optional<Refusal> full = Admit(request_, options_, view_);
  ASSERT_TRUE(full);
  EXPECT_EQ(full->reason, RefusalReason::kQueueFull);
  EXPECT_EQ(full->retry_after, Seconds(2));
  view_.queued_requests = 1;
  view_.queued_tokens = 98;
  EXPECT_EQ(Reason(), RefusalReason::kQueueFull);
  view_.queued_tokens = 97;
  EXPECT_EQ(Reason(), std::nullopt);
  request_.deadline = TimePoint(5);
  EXPECT_EQ(Reason(), RefusalReason::kDeadlineExceeded);
  view_.draining = true;
  EXPECT_EQ(Reason(), RefusalReason::kDraining);
  view_.draining = false;
  view_.device_ready = false;
  EXPECT_EQ(Reason(), RefusalReason::kNoDevice);
}

}  // namespace
}  // namespace scoville::scheduler
