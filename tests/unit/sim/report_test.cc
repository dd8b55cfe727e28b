#include "sim/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/random.h"

namespace scoville::sim {
namespace {

using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::Not;

Energy Joules(int64_t joules) {
  return Energy::FromPicojoules(__int128{joules} * 1'000'000'000'000);
}

scheduler::RequestRecord Record(uint64_t id, int64_t arrival_us, int64_t scheduled_us,
                                int64_t first_us, int64_t last_us, int64_t tokens) {
  scheduler::RequestRecord r;
  r.id = RequestId{id};
  r.outcome = scheduler::Outcome::kLength;
  r.prompt_tokens = 10;
  r.output_tokens = tokens;
  r.was_scheduled = true;
  r.arrival = TimePoint() + Microseconds(arrival_us);
  r.scheduled = TimePoint() + Microseconds(scheduled_us);
  r.first_token = TimePoint() + Microseconds(first_us);
  r.last_token = TimePoint() + Microseconds(last_us);
  r.end = r.last_token;
  return r;
}

// Two seconds of a device, three requests offered, two of them ended with all their tokens.
SimulationResult SmallResult() {
  SimulationResult result;
  result.name = "small";
  result.seed = 7;
  result.model = "m";
  result.profile.name = "p";
  result.profile.hash = "0123456789abcdef0123456789abcdef";
  result.profile.weakest = "assumed";
  result.profile.chips = 2;
  result.slo = {Milliseconds(2), Milliseconds(1)};
  result.offered = 4;
  result.end = TimePoint() + Seconds(2);
  result.events = 1'234;
  RunObserver& records = result.records;
  records.requests.push_back(Record(1, 0, 500, 1'000, 3'000, 3));    // meets both
  records.requests.push_back(Record(2, 0, 1'500, 2'500, 2'500, 1));  // first token too late
  scheduler::RequestRecord cancelled = Record(3, 0, 100, 0, 0, 0);
  cancelled.outcome = scheduler::Outcome::kCancelled;
  records.requests.push_back(cancelled);
  records.admitted = 3;
  records.refusals[static_cast<size_t>(scheduler::RefusalReason::kQueueFull)] = 1;
  records.steps = 40;
  records.throttled_steps = 2;
  records.preemptions = 1;
  records.input_tokens = 30;
  records.output_tokens = 4;
  records.recomputed_tokens = 5;
  records.itl_ns.Add(1'000'000, 2);
  device::DeviceStatus device;
  device.busy_time = Seconds(1);
  device.idle_time = Seconds(1);
  device.kv_blocks_total = 8;
  device.energy = {Joules(10), Joules(60), Joules(25), Joules(5)};
  device.terms = {Joules(20), Joules(30), Joules(1), Joules(49)};
  device.stalls.compute = Milliseconds(250);
  device.stalls.memory = Milliseconds(750);
  result.devices = {device};
  result.peak_kv_blocks = {4};
  return result;
}

TEST(ReportTest, SumsAndRatiosFollowFromTheRecords) {
  const Report r = MakeReport(SmallResult(), 0.5);
  EXPECT_EQ(r.offered, 4);
  EXPECT_EQ(r.completed, 2);
  EXPECT_EQ(r.slo_met, 1);
  EXPECT_TRUE(r.has_slo);
  EXPECT_EQ(r.outcomes.at("length"), 2);
  EXPECT_EQ(r.outcomes.at("cancelled"), 1);
  EXPECT_EQ(r.refusals.at("queue_full"), 1);
  EXPECT_DOUBLE_EQ(r.virtual_seconds, 2);
  EXPECT_DOUBLE_EQ(r.output_tokens_per_second, 2);
  EXPECT_DOUBLE_EQ(r.total_tokens_per_second, 17);
  EXPECT_DOUBLE_EQ(r.goodput, 0.5);
  EXPECT_DOUBLE_EQ(r.device_joules, 100);
  EXPECT_DOUBLE_EQ(r.mean_watts, 50);
  EXPECT_DOUBLE_EQ(r.output_tokens_per_joule, 0.04);
  EXPECT_DOUBLE_EQ(r.total_tokens_per_joule, 0.34);
  EXPECT_DOUBLE_EQ(r.joules_per_output_token, 25);
  EXPECT_DOUBLE_EQ(r.joules_per_request, 50);
  EXPECT_EQ(r.energy.total(), r.terms.total());
  EXPECT_DOUBLE_EQ(r.utilisation, 0.5);
  EXPECT_DOUBLE_EQ(r.peak_kv_share, 0.5);
  EXPECT_DOUBLE_EQ(r.stalls.at("compute"), 0.25);
  EXPECT_DOUBLE_EQ(r.stalls.at("memory"), 0.75);
  EXPECT_EQ(r.ttft.count, 2);
  EXPECT_DOUBLE_EQ(r.ttft.mean, 0.00175);
  EXPECT_DOUBLE_EQ(r.ttft.max, 0.0025);
  EXPECT_EQ(r.tpot.count, 1);  // one token has no gap
  EXPECT_DOUBLE_EQ(r.tpot.p50, 0.001);
  EXPECT_EQ(r.queue.count, 3);
  EXPECT_DOUBLE_EQ(r.queue.p50, 0.0005);
  EXPECT_EQ(r.itl.count, 2);
}

TEST(ReportTest, AnEmptyRunHasNoFiguresAndDividesByNothing) {
  SimulationResult result;
  result.name = "empty";
  const Report r = MakeReport(result, 0);
  EXPECT_EQ(r.output_tokens_per_joule, 0);
  EXPECT_EQ(r.joules_per_request, 0);
  EXPECT_EQ(r.ttft.count, 0);
  EXPECT_FALSE(r.has_slo);
  for (const std::string& out : {ToText(r, false), ToJson(r)}) {
    EXPECT_THAT(out, Not(HasSubstr(" nan")));
    EXPECT_THAT(out, Not(HasSubstr("inf")));
    EXPECT_THAT(out, Not(HasSubstr("null")));
  }
}

// The least value that at least the share `q` of all values does not pass.
double Naive(std::vector<int64_t> ns, double q) {
  std::sort(ns.begin(), ns.end());
  for (int64_t candidate : ns) {
    const auto covered =
        std::count_if(ns.begin(), ns.end(), [&](int64_t v) { return v <= candidate; });
    if (static_cast<double>(covered) >= q * static_cast<double>(ns.size())) {
      return static_cast<double>(candidate) * 1e-9;
    }
  }
  return 0;
}

TEST(ReportTest, PercentilesAreTheNearestRank) {
  for (uint64_t count : {1, 2, 3, 9, 10, 11, 99, 100, 101, 250}) {
    SimulationResult result;
    std::vector<int64_t> ttft;
    for (uint64_t i = 0; i < count; ++i) {
      const auto us = static_cast<int64_t>(1 + RandomBelow(count, 1, i, 50));  // with ties
      ttft.push_back(us * 1'000);
      result.records.requests.push_back(Record(i + 1, 0, 0, us, us, 1));
    }
    const Percentiles p = MakeReport(result, 0).ttft;
    EXPECT_DOUBLE_EQ(p.p50, Naive(ttft, 0.5)) << count;
    EXPECT_DOUBLE_EQ(p.p90, Naive(ttft, 0.9)) << count;
    EXPECT_DOUBLE_EQ(p.p99, Naive(ttft, 0.99)) << count;
    EXPECT_DOUBLE_EQ(p.max, Naive(ttft, 1)) << count;
    EXPECT_EQ(p.count, static_cast<int64_t>(count));
  }
}

std::vector<std::string> Keys(const nlohmann::ordered_json& json) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : json.items()) {
    keys.push_back(key);
  }
  return keys;
}

// Programs read these: a key may be added, not renamed.
TEST(ReportTest, JsonKeysAreStable) {
  const auto json = nlohmann::ordered_json::parse(ToJson(MakeReport(SmallResult(), 0.5)));
  EXPECT_THAT(Keys(json),
              IsSupersetOf({"scenario", "power_source", "model", "profile", "seed", "event_hash",
                            "events", "virtual_seconds", "host_seconds", "requests", "service",
                            "latency", "tokens", "energy", "devices"}));
  EXPECT_EQ(json["power_source"], "emulated");
  EXPECT_THAT(Keys(json["requests"]), IsSupersetOf({"offered", "completed", "outcomes", "refusals",
                                                    "slo_met", "goodput_per_second"}));
  EXPECT_THAT(Keys(json["latency"]), IsSupersetOf({"queue", "ttft", "tpot", "itl", "e2e"}));
  EXPECT_THAT(Keys(json["latency"]["ttft"]),
              IsSupersetOf({"mean_s", "p50_s", "p90_s", "p99_s", "max_s", "count"}));
  EXPECT_THAT(Keys(json["tokens"]), IsSupersetOf({"input", "output", "recomputed",
                                                  "output_per_second", "total_per_second"}));
  EXPECT_THAT(Keys(json["energy"]),
              IsSupersetOf({"device_joules", "mean_device_watts", "output_tokens_per_device_joule",
                            "total_tokens_per_device_joule", "device_joules_per_output_token",
                            "device_joules_per_completed_request", "by_bucket", "by_term"}));
  EXPECT_THAT(Keys(json["energy"]["by_bucket"]),
              ::testing::ElementsAre("prefill", "decode", "idle", "waste"));
  EXPECT_THAT(Keys(json["energy"]["by_term"]),
              ::testing::ElementsAre("compute", "memory", "link", "static"));
  EXPECT_EQ(json["energy"]["by_bucket"]["decode"]["microjoules"], 60'000'000);
  EXPECT_EQ(json["latency"]["ttft"]["max_s"], 0.0025);
}

TEST(ReportTest, EachRequestIsOneLineWithNullsForWhatNeverWas) {
  const std::string lines = RequestsToJsonLines(SmallResult());
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 3);
  const size_t third = lines.find("\"id\":3");
  ASSERT_NE(third, std::string::npos);
  const auto json = nlohmann::json::parse(lines.substr(third - 1));
  EXPECT_EQ(json["outcome"], "cancelled");
  EXPECT_TRUE(json["first_token_ns"].is_null());
  EXPECT_EQ(json["scheduled_ns"], 100'000);
}

constexpr const char* kGolden =
    R"(small                                                                   EMULATED
  m on 1 device of 2 chips, 2.00 s of virtual time
  profile p (0123456789ab), weakest number behind a figure: assumed

Requests ───────────────────────────────────────────────────────────────────────
  offered                           4
    ended: cancelled                1    25.0 %  ██████
    ended: length                   2    50.0 %  ████████████
    refused: queue full             1    25.0 %  ██████
  met the targets              33.3 %   TTFT <= 2.00 ms, mean ITL <= 1.00 ms
  goodput                        0.50   requests/s that met the targets

Latency ────────────────────────────────────────────────────────────────────────
                               mean        p50        p90        p99        max
  waiting in the queue       700 us     500 us    1.50 ms    1.50 ms    1.50 ms
  time to first token       1.75 ms    1.00 ms    2.50 ms    2.50 ms    2.50 ms
  time per output token     1.00 ms    1.00 ms    1.00 ms    1.00 ms    1.00 ms
  between two tokens        1.00 ms    1.00 ms    1.00 ms    1.00 ms    1.00 ms
  end to end                2.75 ms    2.50 ms    3.00 ms    3.00 ms    3.00 ms

Throughput ─────────────────────────────────────────────────────────────────────
  output tokens/s                2.00   4 tokens
  input tokens/s                 15.0   30 tokens
  total tokens/s                 17.0   34 tokens

Energy, emulated ───────────────────────────────────────────────────────────────
  output tokens/s/W              0.04   output tokens per device joule
                                 0.04   output tokens per wall joule (host and rack included)
  total tokens/s/W               0.34   input and output tokens per device joule
  mean power                   50.0 W   device power, 1 device of 2 chips
  per output token             25.0 J   device, idle and waste included
  per completed request        50.0 J
  device energy                 100 J   = what for = what by, to the picojoule
    for: prefill               10.0 J    10.0 %  ██▍
         decode                60.0 J    60.0 %  ██████████████▍
         idle                  25.0 J    25.0 %  ██████
         waste                 5.00 J     5.0 %  █▎
    by:  compute               20.0 J    20.0 %  ████▊
         memory                30.0 J    30.0 %  ███████▎
         links                 1.00 J     1.0 %  ▎
         static                49.0 J    49.0 %  ███████████▊

Devices ────────────────────────────────────────────────────────────────────────
  steps                            40   2 slowed by the cap
  preemptions                       1   5 tokens computed again
  peak KV in use                         50.0 %  ████████████
  busy                                   50.0 %  ████████████
    of it: compute                       25.0 %  ██████
    of it: memory                        75.0 %  ██████████████████
    of it: comm                           0.0 %
    of it: fixed                          0.0 %
    of it: host                           0.0 %
    of it: throttle                       0.0 %

Run ────────────────────────────────────────────────────────────────────────────
  host time                    500 ms   4.00 times real time, 1,234 events
  event hash             00000000000000000000000000000000   seed 7
)";

// Without the blanks at the ends of lines, which nobody sees.
std::string Trimmed(const std::string& text) {
  std::string out;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    absl::StrAppend(&out, out.empty() ? "" : "\n", absl::StripTrailingAsciiWhitespace(line));
  }
  return out;
}

TEST(ReportTest, TheTextIsWrittenAsItIsHere) {
  EXPECT_EQ(Trimmed(ToText(MakeReport(SmallResult(), 0.5), false)), kGolden);
}

TEST(ReportTest, ColourAddsEscapesOnly) {
  const Report report = MakeReport(SmallResult(), 0.5);
  std::string coloured = ToText(report, true);
  int escapes = 0;
  for (size_t at; (at = coloured.find("\033[")) != std::string::npos; ++escapes) {
    coloured.erase(at, coloured.find('m', at) - at + 1);
  }
  EXPECT_GT(escapes, 10);
  EXPECT_EQ(coloured, ToText(report, false));
}

}  // namespace
}  // namespace scoville::sim
