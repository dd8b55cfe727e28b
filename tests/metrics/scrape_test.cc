// The /metrics of a real daemon with real traffic: promtool's judgement, sums that must agree, and
// a set of series that traffic does not change.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/support/daemon_process.h"
#include "tests/unit/server_http/raw_client.h"
#include "tests/unit/server_metrics/promtool.h"

namespace scoville::tests {
namespace {

using ::testing::HasSubstr;

class ScrapeTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto daemon = DaemonProcess::Start(DaemonOptions());
    ASSERT_TRUE(daemon.ok()) << daemon.status();
    daemon_ = daemon->release();
  }
  static void TearDownTestSuite() { delete std::exchange(daemon_, nullptr); }

  static std::string Scrape() { return HttpGet(daemon_->http_port(), "/metrics").body; }

  static std::string Complete(const std::string& body) {
    RawClient client(static_cast<uint16_t>(daemon_->http_port()));
    client.Send(
        absl::StrCat("POST /v1/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                     "Content-Length: ",
                     body.size(), "\r\n\r\n", body));
    return client.ReadAll();
  }
  static void Traffic() {
    for (int i = 1; i <= 5; ++i) {
      EXPECT_THAT(Complete(absl::StrCat(R"({"prompt": "one two three", "ignore_eos": true,)",
                                        R"("max_tokens": )", 4 * i, "}")),
                  HasSubstr("200 OK"));
    }
    EXPECT_THAT(Complete(R"({"prompt": "x", "max_tokens": 1000000})"), HasSubstr("400 "));
    HttpGet(daemon_->http_port(), "/no/such/path");
  }

  // The lines of the native series: promtool's lint takes no colon in a name.
  static std::string Native(const std::string& text) {
    std::string out;
    for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
      if (!absl::StartsWith(line, "vllm:") && !absl::StartsWith(line, "# HELP vllm:") &&
          !absl::StartsWith(line, "# TYPE vllm:")) {
        absl::StrAppend(&out, line, "\n");
      }
    }
    return out;
  }
  static std::map<std::string, double> SeriesOf(const std::string& text) {
    std::map<std::string, double> out;
    for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
      const size_t blank = line.rfind(' ');
      double value = 0;
      if (line[0] != '#') {
        EXPECT_TRUE(absl::SimpleAtod(line.substr(blank + 1), &value)) << line;
        EXPECT_TRUE(out.emplace(line.substr(0, blank), value).second) << "twice: " << line;
      }
    }
    return out;
  }
  static double Sum(const std::map<std::string, double>& series, const std::string& name) {
    double sum = 0;
    for (const auto& [key, value] : series) {
      sum += absl::StartsWith(key, name + "{") ? value : 0;
    }
    return sum;
  }

  static DaemonProcess* daemon_;
};

DaemonProcess* ScrapeTest::daemon_ = nullptr;

TEST_F(ScrapeTest, PromtoolAcceptsTheNativeSeries) {
  Traffic();
  const std::string native = Native(Scrape());
  EXPECT_THAT(native, HasSubstr("scoville_tokens_total{"));
  EXPECT_TRUE(PromtoolAccepts(native));
}

TEST_F(ScrapeTest, JoulesAndTokensAgreeBetweenSeries) {
  Traffic();
  const std::map<std::string, double> series = SeriesOf(Scrape());
  EXPECT_EQ(Sum(series, "scoville_energy_unattributed_joules"), 0);
  const double buckets = Sum(series, "scoville_device_energy_joules_total");
  EXPECT_GT(buckets, 0);
  EXPECT_NEAR(buckets, Sum(series, "scoville_device_energy_term_joules_total"), buckets * 1e-12);
  const double tokens = Sum(series, "scoville_device_tokens_total");
  EXPECT_GT(tokens, 0);
  EXPECT_EQ(tokens, Sum(series, "scoville_tokens_total"));
  EXPECT_EQ(Sum(series, "scoville_time_to_first_token_seconds_count"),
            Sum(series, "scoville_requests_total"));
}

TEST_F(ScrapeTest, CountersNeverDecrease) {
  const std::map<std::string, double> before = SeriesOf(Scrape());
  Traffic();
  const std::map<std::string, double> after = SeriesOf(Scrape());
  for (const auto& [name, value] : before) {
    const absl::string_view family = absl::string_view(name).substr(0, name.find('{'));
    if (absl::EndsWith(family, "_total") || absl::EndsWith(family, "_count") ||
        absl::EndsWith(family, "_bucket")) {
      EXPECT_GE(after.at(name), value) << name;
    }
  }
}

TEST_F(ScrapeTest, TrafficAddsNoSeries) {
  const auto names = [](const std::map<std::string, double>& series) {
    std::set<std::string> out;
    for (const auto& [name, value] : series) {
      out.insert(name);
    }
    return out;
  };
  const std::set<std::string> before = names(SeriesOf(Scrape()));
  Traffic();
  EXPECT_EQ(names(SeriesOf(Scrape())), before);
}

TEST_F(ScrapeTest, ProbesSayOkAndNothingElseIsServed) {
  EXPECT_EQ(HttpGet(daemon_->http_port(), "/healthz").status, 200);
  EXPECT_EQ(HttpGet(daemon_->http_port(), "/readyz").status, 200);
  EXPECT_EQ(HttpGet(daemon_->http_port(), "/health").status, 200);
  EXPECT_THAT(HttpGet(daemon_->http_port(), "/version").body, HasSubstr("\"emulated\":true"));
  EXPECT_EQ(HttpGet(daemon_->http_port(), "/../etc/passwd").status, 404);
}

}  // namespace
}  // namespace scoville::tests
