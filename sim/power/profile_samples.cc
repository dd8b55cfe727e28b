#include "sim/power/profile_samples.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/random.h"
#include "base/status_macros.h"

namespace scoville::sim::power {

namespace {

constexpr int kMostTries = 1000;  // of one sample

double DrawOverlap(const device::ProfileNumber& number, double u) {
  std::vector<double> others;
  for (const double p : {1.0, 2.0, 4.0, std::numeric_limits<double>::infinity()}) {
    if (p >= *number.low && p <= *number.high && p != number.value) {
      others.push_back(p);
    }
  }
  if (u < 0.5 || others.empty()) {
    return number.value;
  }
  const size_t index = static_cast<size_t>((2 * u - 1) * static_cast<double>(others.size()));
  return others[std::min(index, others.size() - 1)];
}

double Draw(const device::NamedNumber& named, double u) {
  if (absl::EndsWith(named.key, "overlap")) {
    return DrawOverlap(named.number, u);
  }
  const double low = *named.number.low;
  const double high = *named.number.high;
  if (!std::isfinite(low) || !std::isfinite(high)) {
    return named.number.value;  // there is no drawing from a range without end
  }
  const double rise = named.number.value - low;
  const double fall = high - named.number.value;
  const double drawn = u * (high - low) < rise ? low + std::sqrt(u * (high - low) * rise)
                                               : high - std::sqrt((1 - u) * (high - low) * fall);
  return named.whole ? std::round(drawn) : drawn;
}

}  // namespace

std::vector<device::NamedNumber> UncertainNumbers(const device::Profile& profile) {
  std::vector<device::NamedNumber> numbers;
  for (device::NamedNumber& named : device::ProfileNumbers(profile)) {
    if (named.number.low && named.number.high && *named.number.low < *named.number.high) {
      numbers.push_back(std::move(named));
    }
  }
  return numbers;
}

absl::StatusOr<std::vector<device::Profile>> SampleProfiles(const device::Profile& profile,
                                                            int64_t count, uint64_t seed) {
  const std::vector<device::NamedNumber> numbers = UncertainNumbers(profile);
  std::vector<device::Profile> samples;
  uint64_t attempt = 0;
  std::string why;
  while (static_cast<int64_t>(samples.size()) < count) {
    if (attempt >= static_cast<uint64_t>(kMostTries) * (samples.size() + 1)) {
      return absl::InvalidArgumentError(
          absl::StrCat(profile.name, ": of ", attempt, " draws from its ranges only ",
                       samples.size(), " hold together; narrow the ranges (", why, ")"));
    }
    std::vector<std::pair<std::string, double>> values;
    for (size_t i = 0; i < numbers.size(); ++i) {
      values.emplace_back(numbers[i].key, Draw(numbers[i], RandomUniform(seed, i, attempt)));
    }
    ++attempt;
    if (absl::StatusOr<device::Profile> sample = device::WithNumbers(profile, values);
        sample.ok()) {
      samples.push_back(*std::move(sample));
    } else {
      why = std::string(sample.status().message());
    }
  }
  return samples;
}

Band BandOf(std::vector<double> values) {
  values.erase(std::remove_if(values.begin(), values.end(),
                              [](double value) { return !std::isfinite(value); }),
               values.end());
  if (values.empty()) {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    return {nan, nan};
  }
  std::sort(values.begin(), values.end());
  const auto rank = [&](double share) {
    const double at = std::ceil(share * static_cast<double>(values.size())) - 1;
    return values[static_cast<size_t>(std::max(at, 0.0))];
  };
  return {rank(0.05), rank(0.95)};
}

}  // namespace scoville::sim::power
