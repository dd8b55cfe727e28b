#include "device/power/step_hindrance.h"

#include "absl/strings/str_format.h"
#include "base/status_macros.h"

namespace scoville::device {

std::string StepHindrance::Sentence() const {
  switch (kind) {
    case Kind::kNone:
      return "";
    case Kind::kCap:
      return decision.Sentence(when, {&chosen, 1});
    case Kind::kSpacing:
      return absl::StrFormat(
          "steps in a row at the highest clock would pass the cap of %.1f W: %d MHz gives the most "
          "tokens under it",
          ToWatts(cap), chosen.clock_megahertz);
    case Kind::kHot:
      return absl::StrFormat("the chip is at %.1f C: clocks above %d MHz wait until it cools",
                             celsius, chosen.clock_megahertz);
    case Kind::kTripped:
      return absl::StrFormat("stopped at %.1f C, works again below %.1f C", celsius, works_below);
    case Kind::kWouldTrip:
      return "every clock would heat the chip to its trip temperature";
  }
  CHECK(false);
}

}  // namespace scoville::device
