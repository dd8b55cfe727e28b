// No window ever passes its cap under the predictive governor, whatever happens; and the test would
// see it if one did, since it sees the windows that rapl and pi break.
//
// SCOVILLE_CAP_SEQUENCES sets how many sequences of 100 steps are walked for each policy.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "tests/unit/device_power/cap_walk.h"

namespace scoville::device {
namespace {

constexpr int64_t kStepsPerSequence = 100;
constexpr int64_t kQuickSequences = 500;

int64_t Sequences() {
  const char* asked = std::getenv("SCOVILLE_CAP_SEQUENCES");
  return asked == nullptr ? kQuickSequences : std::atoll(asked);
}

struct Tally {
  WalkCounts counts;
  int64_t broken = 0;  // sequences with a window above its cap
  double worst_share = -1e9;
  double worst_watts = -1e9;
  __int128 worst_picojoules = 0;
  uint64_t worst_seed = 0;

  void Add(uint64_t seed, const WalkResult& result) {
    counts += result.counts;
    bool above = false;
    for (const WindowExcess& worst : result.worst) {
      above = above || worst.picojoules > 0;
      worst_watts = std::max(worst_watts, worst.watts());
      const double share = worst.watts() / ToWatts(worst.cap);
      if (share > worst_share) {
        worst_share = share;
        worst_picojoules = worst.picojoules;
        worst_seed = seed;
      }
    }
    broken += above ? 1 : 0;
  }

  double tokens_per_second() const {
    return static_cast<double>(counts.tokens) / (static_cast<double>(counts.seconds_ns) * 1e-9);
  }

  void Print(const char* name) const {
    std::printf("%-16s %9lld %9lld %10.1f %9.2f%% %9.1f %8lld %7lld %7lld %7lld %7lld %7lld\n",
                name, static_cast<long long>(counts.steps), static_cast<long long>(broken),
                worst_watts, worst_share * 100, tokens_per_second(),
                static_cast<long long>(counts.waits), static_cast<long long>(counts.split),
                static_cast<long long>(counts.skipped), static_cast<long long>(counts.aborts),
                static_cast<long long>(counts.cap_changes), static_cast<long long>(counts.trips));
  }
};

Tally Walk(PolicyKind kind, CapMode mode, bool tight, int64_t sequences) {
  Tally tally;
  for (int64_t i = 0; i < sequences && !testing::Test::HasFailure(); ++i) {
    const uint64_t seed = static_cast<uint64_t>(i);
    SCOPED_TRACE(i);
    CapWalk walk(seed, kind, mode, tight);
    tally.Add(seed, walk.Run(kStepsPerSequence));
  }
  return tally;
}

void PrintHeader(int64_t sequences, const char* caps) {
  std::printf("%lld sequences, %s; the highest window mean above its cap\n",
              static_cast<long long>(sequences), caps);
  std::printf("%-16s %9s %9s %10s %10s %9s %8s %7s %7s %7s %7s %7s\n", "policy", "steps", "broken",
              "watts", "of cap", "tokens/s", "waits", "split", "skipped", "aborts", "changes",
              "trips");
}

TEST(PropertyCapHolds, PredictiveNeverBreaksAWindowUnderTightCaps) {
  const int64_t sequences = Sequences();
  const Tally perf = Walk(PolicyKind::kPredictive, CapMode::kPerf, true, sequences);
  const Tally eff = Walk(PolicyKind::kPredictive, CapMode::kEff, true, sequences);
  PrintHeader(sequences, "caps from just above idle on");
  perf.Print("predictive perf");
  eff.Print("predictive eff");
  std::printf("waits that had to be asked for again: perf %lld, eff %lld\n",
              static_cast<long long>(perf.counts.inexact_waits),
              static_cast<long long>(eff.counts.inexact_waits));
  EXPECT_LE(perf.worst_picojoules, 0) << "seed " << perf.worst_seed;
  EXPECT_EQ(perf.broken, 0);
  EXPECT_EQ(eff.broken, 0) << "seed " << eff.worst_seed;
  // What is meant to happen in the sequences does.
  for (const Tally* t : {&perf, &eff}) {
    EXPECT_GT(t->counts.waits, 0);
    EXPECT_GT(t->counts.split, 0);
    EXPECT_GT(t->counts.aborts, 0);
    EXPECT_GT(t->counts.cap_changes, 0);
    EXPECT_GT(t->counts.throttled, 0);
    EXPECT_GT(t->counts.trips, 0);
  }
}

TEST(PropertyCapHolds, TheOthersOvershootOrAreSlower) {
  const int64_t sequences = Sequences();
  const Tally perf = Walk(PolicyKind::kPredictive, CapMode::kPerf, false, sequences);
  const Tally eff = Walk(PolicyKind::kPredictive, CapMode::kEff, false, sequences);
  const Tally fixed = Walk(PolicyKind::kStatic, CapMode::kPerf, false, sequences);
  const Tally rapl = Walk(PolicyKind::kRapl, CapMode::kPerf, false, sequences);
  const Tally pi = Walk(PolicyKind::kPi, CapMode::kPerf, false, sequences);
  PrintHeader(sequences, "caps no lower than the worst step at the lowest clock");
  perf.Print("predictive perf");
  eff.Print("predictive eff");
  fixed.Print("static");
  rapl.Print("rapl");
  pi.Print("pi");
  EXPECT_EQ(perf.broken, 0) << "seed " << perf.worst_seed;
  EXPECT_EQ(eff.broken, 0) << "seed " << eff.worst_seed;
  EXPECT_EQ(fixed.broken, 0) << "seed " << fixed.worst_seed;
  EXPECT_GT(rapl.broken, 0);
  EXPECT_GT(pi.broken, 0);
  EXPECT_GT(perf.tokens_per_second(), fixed.tokens_per_second());
}

}  // namespace
}  // namespace scoville::device
