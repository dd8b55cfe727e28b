// Joules of requests beside the devices' meters.
#ifndef SCOVILLE_TESTS_SIMULATION_ENERGY_BOOKS_H_
#define SCOVILLE_TESTS_SIMULATION_ENERGY_BOOKS_H_

#include <gtest/gtest.h>

#include "tests/support/core_fixture.h"

namespace scoville::tests {

// Of the requests that have ended. Precondition: all have.
inline device::EnergyBuckets EnergyOfRequests(const LoggingObserver& observer) {
  device::EnergyBuckets sum;
  for (const scheduler::RequestRecord& record : observer.ended) {
    sum.prefill += record.prefill_energy;
    sum.decode += record.decode_energy;
    sum.waste += record.waste_energy;
  }
  return sum;
}

// To the picojoule, bucket by bucket: what requests paid and what was wasted for them, with the
// idle energy, is what the meters say.
inline void ExpectJoulesAddUp(const LoggingObserver& observer,
                              const device::EnergyBuckets& metered) {
  device::EnergyBuckets requests = EnergyOfRequests(observer);
  EXPECT_EQ(requests.prefill, metered.prefill);
  EXPECT_EQ(requests.decode, metered.decode);
  EXPECT_EQ(requests.waste, metered.waste);
  requests.idle = metered.idle;
  EXPECT_EQ(requests.total(), metered.total());
  // The steps alone say the same.
  device::EnergyBuckets steps;
  for (const device::StepRecord& step : observer.steps) {
    steps += step.energy;
  }
  EXPECT_EQ(steps.prefill, metered.prefill);
  EXPECT_EQ(steps.decode, metered.decode);
  EXPECT_EQ(steps.waste, metered.waste);
}

}  // namespace scoville::tests

#endif  // SCOVILLE_TESTS_SIMULATION_ENERGY_BOOKS_H_
