// The cap under the live daemon, from what anyone can scrape: energy over device time between two
// scrapes is never above what windows at their cap allow.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/e2e/daemon_test.h"

namespace scoville::tests {
namespace {

constexpr double kCapWatts = 160;
constexpr double kWindowSeconds = 0.2;

struct Sample {
  double joules = 0;
  double seconds = 0;
};

class PowerCapTest : public DaemonTest {
 protected:
  // Energy and device time of the one device, from one scrape.
  Sample Scrape() {
    const std::string body = HttpGet(daemon().http_port(), "/metrics").body;
    return {MetricOf(body, "scoville_device_energy_joules_total"),
            MetricOf(body, "scoville_device_stall_seconds_total")};
  }
};

TEST_F(PowerCapTest, NoIntervalBetweenScrapesIsAboveTheCap) {
  // A timed 8-billion-parameter model draws far more than the cap while it decodes for 48 readers.
  StartDaemon({.executor = "synthetic",
               .devices = 1,
               .more_flags = {"--model-card=llama-3.1-8b",
                              absl::StrCat("--cap-per-device=", kCapWatts, "W"),
                              absl::StrCat("--set=pool.cap_window=", kWindowSeconds * 1e3, "ms")}});
  std::vector<std::thread> readers;
  for (int i = 0; i < 48; ++i) {
    readers.emplace_back([this] {
      client::Client other(client::ClientOptions{.address = daemon().address()});
      client::CallOptions options;
      options.timeout = Seconds(6);
      (void)other.Generate(LongRequest(8000), options, nullptr);
    });
  }
  std::vector<Sample> samples;
  const absl::Time end = absl::Now() + absl::Seconds(5);
  while (absl::Now() < end) {
    samples.push_back(Scrape());
    absl::SleepFor(absl::Milliseconds(150));
  }
  for (std::thread& reader : readers) {
    reader.join();
  }
  double highest = 0;
  for (size_t from = 0; from < samples.size(); ++from) {
    for (size_t to = from + 1; to < samples.size(); ++to) {
      const double seconds = samples[to].seconds - samples[from].seconds;
      if (seconds < kWindowSeconds) {
        continue;
      }
      const double watts = (samples[to].joules - samples[from].joules) / seconds;
      // An interval is covered by so many whole windows.
      const double windows = std::ceil(seconds / kWindowSeconds - 1e-9);
      EXPECT_LE(watts, kCapWatts * windows * kWindowSeconds / seconds + 1e-6);
      if (seconds > 10 * kWindowSeconds) {
        highest = std::max(highest, watts);
      }
    }
  }
  EXPECT_GT(highest, 0.8 * kCapWatts);  // the cap binds, so it was put to the test
  EXPECT_LE(highest, 1.1 * kCapWatts);
  EXPECT_GT(daemon().Metric("scoville_device_stall_seconds_total", "cause=\"throttle\"") +
                daemon().Metric("scoville_device_stall_seconds_total", "cause=\"cap_wait\""),
            0);
}

}  // namespace
}  // namespace scoville::tests
