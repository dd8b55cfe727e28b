#include "device/power/cap_policy.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"

namespace scoville::device {

namespace {

// Sign of (a / b) - (c / d) for b, d > 0.
int CompareRatios(__int128 a, __int128 b, __int128 c, __int128 d) {
  const __int128 left = a * d;
  const __int128 right = c * b;
  return left < right ? -1 : (left > right ? 1 : 0);
}

int64_t Pace(const StepCandidate& c) {
  return std::max<int64_t>(1, std::max(c.duration, c.pace).value());
}

int CompareSpeed(const StepCandidate& a, const StepCandidate& b) {
  return CompareRatios(a.tokens, Pace(a), b.tokens, Pace(b));
}

int CompareJoulesPerToken(const StepCandidate& a, const StepCandidate& b) {
  return CompareRatios(a.energy.total_picojoules(), std::max<int64_t>(1, a.tokens),
                       b.energy.total_picojoules(), std::max<int64_t>(1, b.tokens));
}

std::string Clock(int64_t megahertz, int state) {
  return megahertz > 0 ? absl::StrFormat("%d MHz", megahertz) : absl::StrFormat("state %d", state);
}

std::string Span(Duration d) {
  const double seconds = ToSeconds(d);
  return seconds >= 1 ? absl::StrFormat("%g s", seconds) : absl::StrFormat("%g ms", seconds * 1e3);
}

}  // namespace

bool Preferred(CapMode mode, const StepCandidate& a, const StepCandidate& b) {
  int order = 0;  // above zero: a
  if (mode == CapMode::kPerf) {
    order = CompareSpeed(a, b);
  } else if (a.meets_slack != b.meets_slack) {
    order = a.meets_slack ? 1 : -1;
  } else if (a.meets_slack) {
    order = -CompareJoulesPerToken(a, b);
  } else {
    order = CompareSpeed(a, b);
  }
  return order != 0 ? order > 0 : a.state < b.state;
}

int MostPreferred(CapMode mode, absl::Span<const StepCandidate> candidates) {
  CHECK(!candidates.empty());
  int best = 0;
  for (int i = 1; i < static_cast<int>(candidates.size()); ++i) {
    if (Preferred(mode, candidates[i], candidates[best])) {
      best = i;
    }
  }
  return best;
}

std::string CapDecision::Sentence(TimePoint now, absl::Span<const StepCandidate> candidates) const {
  if (!why.constrained) {
    return "";
  }
  const std::string cause = absl::StrFormat(
      "%s would bring the mean over %s to %.1f W, the cap is %.1f W and %.1f W of it are left: ",
      Clock(why.wanted_megahertz, why.wanted_state), Span(why.window), ToWatts(why.would_be),
      ToWatts(why.cap), ToWatts(why.headroom));
  switch (kind) {
    case Kind::kRun: {
      const StepCandidate& chosen = candidates[candidate];
      return absl::StrCat(cause, "runs at ", Clock(chosen.clock_megahertz, chosen.state));
    }
    case Kind::kWait:
      return absl::StrCat(cause, "no state fits for another ", Span(until - now));
    case Kind::kNever:
      return absl::StrCat(cause, "no state fits even after a rest, the step must be smaller");
  }
  CHECK(false);
}

}  // namespace scoville::device
