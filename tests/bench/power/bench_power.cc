// Nanoseconds of one decision of the cap governor and of one temperature;
// tests/bench/power/README.md says what each line is.
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "device/power/cap_governor.h"
#include "device/power/thermal_model.h"
#include "tests/support/nanoseconds.h"

namespace scoville::device {
namespace {

constexpr Power kTail = Watts(106);
constexpr int kStates = 13;

std::unique_ptr<CapGovernor> Governor(Power cap) {
  CapGovernorOptions options;
  options.limits = {{cap, Seconds(1)}, {Watts(875), Milliseconds(10)}};
  options.tail = kTail;
  auto governor = CapGovernor::Create(options);
  CHECK(governor.ok());
  return *std::move(governor);
}

// Decode steps of 4 ms at 447 W as the cap admits them, for three seconds; returns when the last
// ended.
TimePoint Fill(CapGovernor& governor, absl::Span<const PowerPhase> step) {
  TimePoint now;
  while (now < TimePoint() + Seconds(3)) {
    now = governor.FirstAdmissible(now, step).at;
    governor.OnStepBegin(now, step);
    now += TotalDuration(step);
    governor.OnStepEnd(now);
  }
  return now;
}

void Run() {
  const PowerPhase step[] = {{Microseconds(800), Watts(120)}, {Microseconds(3200), Watts(447)}};
  {
    auto governor = Governor(Watts(700));
    const TimePoint now = Fill(*governor, step);
    tests::ReportNanoseconds("fast_path", 2'000'000, [&](int64_t i) {
      return governor->Admissible(now + Duration(i), step) ? 1 : 0;
    });
  }
  auto governor = Governor(Watts(300));
  const TimePoint now = Fill(*governor, step);
  const TimePoint fits = governor->FirstAdmissible(now, step).at;
  tests::ReportNanoseconds("slow_path", 200'000, [&](int64_t i) {
    return governor->Admissible(fits + Duration(i % 1000), step) ? 1 : 0;
  });
  tests::ReportNanoseconds("first_fit", 100'000, [&](int64_t i) {
    return governor->FirstAdmissible(now + Duration(i % 1000), step).at.ns() % 2;
  });

  std::vector<std::vector<PowerPhase>> phases;
  std::vector<StepCandidate> candidates;
  for (int s = 0; s < kStates; ++s) {
    phases.push_back(
        {{Microseconds(800), Watts(110)}, {Microseconds(3300 - 8 * s), Watts(447 + s)}});
  }
  for (int s = 0; s < kStates; ++s) {
    StepCandidate c;
    c.state = s;
    c.phases = phases[static_cast<size_t>(s)];
    c.duration = TotalDuration(c.phases);
    c.energy = TotalEnergy(c.phases);
    c.tokens = 64;
    candidates.push_back(c);
  }
  const TimePoint last = governor->FirstAdmissible(now, candidates[0].phases).at;
  tests::ReportNanoseconds("choose", 20'000, [&](int64_t i) {
    return governor->Choose(last + Duration(i % 100), candidates).candidate;
  });

  ThermalModel chip(ThermalLimits{}, 1, kStates - 1, TimePoint(), kTail);
  chip.SetPower(TimePoint(), Watts(447));
  tests::ReportNanoseconds("heat", 1'000'000, [&](int64_t i) {
    return chip.At(TimePoint() + Microseconds(i)).junction > 50 ? 1 : 0;
  });
}

}  // namespace
}  // namespace scoville::device

int main() {
  scoville::device::Run();
  return 0;
}
