// The power sweeps: each varies one thing and says what becomes of rate, watts and joules per
// token, with a band over sampled profiles where the study has any.
//
// A steady state: the same step over and over, priced by the daemon's physics; no queue, no change
// of length. Units: as their tables say; joules are the device's, tokens are output tokens unless
// a name says total. Ownership: values. Threading: one thread. Errors: InvalidArgument for options
// that make no sense.
#ifndef SCOVILLE_SIM_POWER_SWEEPS_H_
#define SCOVILLE_SIM_POWER_SWEEPS_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "base/units.h"
#include "sim/power/power_report.h"

namespace scoville::sim::power {

struct CapSweepOptions {
  std::vector<double> caps;  // watts per chip; empty: from just above idle to the TDP
  Duration window = Seconds(1);
};

absl::StatusOr<PowerReport> CapSweep(const Study& study, const CapSweepOptions& options);
// Every clock state.
absl::StatusOr<PowerReport> ClockSweep(const Study& study);
// Powers of two up to what fits.
absl::StatusOr<PowerReport> BatchSweep(const Study& study);
// Where prefill and decode stand below the chip's roofs.
absl::StatusOr<PowerReport> Roofline(const Study& study);
// Each number of the profile at the ends of its range.
absl::StatusOr<PowerReport> Sensitivity(const Study& study);

}  // namespace scoville::sim::power

#endif  // SCOVILLE_SIM_POWER_SWEEPS_H_
