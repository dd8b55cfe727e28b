#include "scheduler/names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

namespace scoville::scheduler {
namespace {

using ::testing::Contains;
using ::testing::Not;

TEST(NamesTest, EachHasItsOwn) {
  std::set<std::string> outcomes;
  constexpr int kLastOutcome = static_cast<int>(Outcome::kInternal);
  for (int i = 0; i <= kLastOutcome; ++i) outcomes.insert(OutcomeName(static_cast<Outcome>(i)));
  EXPECT_EQ(outcomes.size(), size_t{kLastOutcome + 1});
  EXPECT_THAT(outcomes, Not(Contains("unknown")));

  std::set<std::string> refusals;
  constexpr int kLastReason = static_cast<int>(RefusalReason::kHopeless);
  for (int i = 0; i <= kLastReason; ++i) {
    refusals.insert(RefusalReasonName(static_cast<RefusalReason>(i)));
  }
  EXPECT_EQ(refusals.size(), size_t{kLastReason + 1});
  EXPECT_THAT(refusals, Not(Contains("unknown")));
  // One thing, one name, whether it refused or ended a request.
  EXPECT_STREQ(OutcomeName(Outcome::kDraining), RefusalReasonName(RefusalReason::kDraining));
  EXPECT_STREQ(OutcomeName(Outcome::kDeadlineExceeded),
               RefusalReasonName(RefusalReason::kDeadlineExceeded));
}

}  // namespace
}  // namespace scoville::scheduler
