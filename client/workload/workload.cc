#include "client/workload/workload.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "base/random.h"
#include "base/status_macros.h"

namespace scoville::client {

namespace {

// One stream of random numbers for each thing that is drawn.
enum Stream : uint64_t { kArrivals = 1, kPrompts = 2, kOutputs = 3, kSeeds = 4, kTokens = 5 };

absl::Status CheckLength(const LengthOptions& length, const char* what) {
  const bool fixed_bad = length.kind == LengthKind::kFixed && length.value < 1;
  const bool range_bad =
      length.kind != LengthKind::kFixed && (length.low < 1 || length.high < length.low);
  const bool shape_bad = length.kind == LengthKind::kLogNormal &&
                         !(length.median >= 1 && length.sigma >= 0 && length.sigma <= 10);
  if (fixed_bad || range_bad || shape_bad) {
    return absl::InvalidArgumentError(absl::StrCat(
        what,
        " lengths must be at least 1 token, with low <= high, median >= 1 and sigma from 0 to 10"));
  }
  return absl::OkStatus();
}

// Inverse of the normal distribution's integral (Acklam's rational approximation, relative error
// below 1.2e-9).
double NormalQuantile(double p) {
  constexpr double a[] = {-3.969683028665376e+01, 2.209460984245205e+02,  -2.759285104469687e+02,
                          1.383577518672690e+02,  -3.066479806614716e+01, 2.506628277459239e+00};
  constexpr double b[] = {-5.447609879822406e+01, 1.615858368580409e+02, -1.556989798598866e+02,
                          6.680131188771972e+01, -1.328068155288572e+01};
  constexpr double c[] = {-7.784894002430293e-03, -3.223964580411365e-01, -2.400758277161838e+00,
                          -2.549732539343734e+00, 4.374664141464968e+00,  2.938163982698783e+00};
  constexpr double d[] = {7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00,
                          3.754408661907416e+00};
  constexpr double kTail = 0.02425;
  const auto tail = [&](double q) {
    return (((((c[0] * q + c[1]) * q + c[2]) * q + c[3]) * q + c[4]) * q + c[5]) /
           ((((d[0] * q + d[1]) * q + d[2]) * q + d[3]) * q + 1);
  };
  if (p < kTail) {
    return tail(std::sqrt(-2 * std::log(p)));
  }
  if (p > 1 - kTail) {
    return -tail(std::sqrt(-2 * std::log(1 - p)));
  }
  const double q = p - 0.5;
  const double r = q * q;
  return (((((a[0] * r + a[1]) * r + a[2]) * r + a[3]) * r + a[4]) * r + a[5]) * q /
         (((((b[0] * r + b[1]) * r + b[2]) * r + b[3]) * r + b[4]) * r + 1);
}

// In (0, 1): both ends would be infinite below.
double OpenUniform(uint64_t seed, uint64_t stream, uint64_t index) {
  return std::max(RandomUniform(seed, stream, index), 0x1.0p-53);
}

int64_t DrawLength(const LengthOptions& length, uint64_t seed, uint64_t stream, uint64_t index) {
  switch (length.kind) {
    case LengthKind::kFixed:
      return length.value;
    case LengthKind::kUniform:
      return length.low +
             static_cast<int64_t>(RandomBelow(seed, stream, index,
                                              static_cast<uint64_t>(length.high - length.low + 1)));
    case LengthKind::kLogNormal: {
      const double z = NormalQuantile(OpenUniform(seed, stream, index));
      const double value = length.median * std::exp(length.sigma * z);
      return std::clamp(static_cast<int64_t>(std::min(value, 1e15)), length.low, length.high);
    }
  }
  return length.value;
}

}  // namespace

absl::StatusOr<std::vector<WorkloadRequest>> GenerateWorkload(const WorkloadOptions& options) {
  if (options.requests < 0) {
    return absl::InvalidArgumentError("the number of requests must not be negative");
  }
  const bool paced = options.arrivals.kind != ArrivalKind::kBurst;
  const double rate = options.arrivals.requests_per_second;
  if (paced && !(rate > 0 && rate <= 1e9)) {
    return absl::InvalidArgumentError("requests per second must be above 0 and at most 1e9");
  }
  RETURN_IF_ERROR(CheckLength(options.prompt, "prompt"));
  RETURN_IF_ERROR(CheckLength(options.output, "output"));
  std::vector<WorkloadRequest> out;
  out.reserve(static_cast<size_t>(options.requests));
  double seconds = 0;
  for (int64_t i = 0; i < options.requests; ++i) {
    const uint64_t index = static_cast<uint64_t>(i);
    if (options.arrivals.kind == ArrivalKind::kPoisson) {
      seconds += -std::log(OpenUniform(options.seed, kArrivals, index)) / rate;
    } else if (options.arrivals.kind == ArrivalKind::kFixed) {
      seconds = static_cast<double>(i) / rate;
    }
    if (seconds > 9e9) {
      return absl::InvalidArgumentError("the workload lasts longer than 285 years");
    }
    WorkloadRequest request;
    request.arrival = TimePoint(static_cast<int64_t>(seconds * 1e9));
    request.prompt_tokens = DrawLength(options.prompt, options.seed, kPrompts, index);
    request.output_tokens = DrawLength(options.output, options.seed, kOutputs, index);
    request.seed = RandomBits(options.seed, kSeeds, index);
    out.push_back(request);
  }
  return out;
}

std::vector<int32_t> SyntheticPrompt(uint64_t seed, int64_t tokens, int64_t vocabulary) {
  std::vector<int32_t> out(static_cast<size_t>(tokens));
  for (int64_t i = 0; i < tokens; ++i) {
    out[static_cast<size_t>(i)] = static_cast<int32_t>(
        RandomBelow(seed, kTokens, static_cast<uint64_t>(i), static_cast<uint64_t>(vocabulary)));
  }
  return out;
}

}  // namespace scoville::client
