// Profiles drawn from the ranges of a profile's own numbers: how far a figure could be off.
//
// Every number that has a range is drawn from it, independently of the others: likeliest at its
// value, less and less likely towards the ends (a triangle), whole numbers rounded; the overlap
// exponent keeps its value every other time, and so does, always, a number whose range has no end.
// Draws whose numbers contradict each other are drawn
// again. The choice between matrix rates of mixed widths is not drawn.
//
// Units: SI. Ownership: values. Threading: pure functions of (profile, seed). Errors: a profile of
// which no draw holds together.
#ifndef SCOVILLE_SIM_POWER_PROFILE_SAMPLES_H_
#define SCOVILLE_SIM_POWER_PROFILE_SAMPLES_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "device/physics/profile.h"

namespace scoville::sim::power {

// The numbers that can be drawn: those whose range is more than a point.
std::vector<device::NamedNumber> UncertainNumbers(const device::Profile& profile);

absl::StatusOr<std::vector<device::Profile>> SampleProfiles(const device::Profile& profile,
                                                            int64_t count, uint64_t seed);

// What a figure is over the samples. By nearest rank.
struct Band {
  double low = 0;   // 5th percentile
  double high = 0;  // 95th
};

// Values that are not finite count as missing; none left: not finite.
Band BandOf(std::vector<double> values);

}  // namespace scoville::sim::power

#endif  // SCOVILLE_SIM_POWER_PROFILE_SAMPLES_H_
