#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "server/metrics/metrics_observer.h"
#include "server/metrics/render_metrics.h"
#include "tests/support/core_fixture.h"
#include "tests/unit/server_metrics/promtool.h"

namespace scoville::server {
namespace {

using ::testing::HasSubstr;

// The series of a text, name and labels to value.
std::map<std::string, double> SeriesOf(const std::string& text) {
  std::map<std::string, double> out;
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    if (line[0] == '#') {
      continue;
    }
    const size_t space = line.rfind(' ');
    double value = 0;
    EXPECT_TRUE(absl::SimpleAtod(line.substr(space + 1), &value)) << line;
    EXPECT_TRUE(out.emplace(line.substr(0, space), value).second) << "twice: " << line;
  }
  return out;
}

std::set<std::string> NamesOf(const std::map<std::string, double>& series) {
  std::set<std::string> out;
  for (const auto& [name, value] : series) {
    out.insert(name);
  }
  return out;
}

class MetricsTest : public ::testing::Test {
 protected:
  explicit MetricsTest() : core_({.devices = 2, .kv_blocks = 64}), observer_(2) {
    // The fixture's scheduler with this observer in place of its own.
    std::vector<device::Device*> devices;
    for (const auto& device : core_.devices) {
      devices.push_back(device.get());
    }
    const scheduler::SchedulerOptions options = core_.scheduler->options();
    core_.scheduler =
        std::make_unique<scheduler::Scheduler>(&core_.loop, devices, options, &observer_);
    facts_.model = "small";
    facts_.profile = "jalapeno-gen1";
    facts_.executor = "synthetic";
  }

  MetricsSnapshot Snapshot() {
    MetricsSnapshot snapshot;
    DeploymentSnapshot deployment;
    deployment.facts = facts_;
    deployment.core.counters = observer_.counters();
    deployment.core.pool = core_.scheduler->Status();
    deployment.core.budgets = core_.scheduler->fleet().Nodes();
    snapshot.deployments.push_back(std::move(deployment));
    snapshot.process.version = "1.2.3";
    snapshot.process.http = {{"/metrics", "GET", "200", 3}};
    return snapshot;
  }

  tests::Core core_;
  MetricsObserver observer_;
  DeploymentFacts facts_;
};

TEST_F(MetricsTest, PromtoolAcceptsTheNativeSeriesBeforeAndAfterTraffic) {
  EXPECT_TRUE(tests::PromtoolAccepts(RenderNativeMetrics(Snapshot())));
  for (int i = 0; i < 5; ++i) {
    core_.scheduler->Submit(core_.NewRequest(20 + i, 10));
  }
  core_.loop.Run();
  EXPECT_TRUE(tests::PromtoolAccepts(RenderNativeMetrics(Snapshot())));
}

TEST_F(MetricsTest, NodesOfTheBudgetTreeHaveSeries) {
  scheduler::PowerRequest request;
  request.watts = Watts(1000);
  ASSERT_TRUE(core_.scheduler->fleet().Set(request).ok());
  const std::string text = RenderNativeMetrics(Snapshot());
  EXPECT_TRUE(tests::PromtoolAccepts(text));
  const std::map<std::string, double> series = SeriesOf(text);
  const std::string labels = "{model=\"small\",node=\"fleet\",level=\"fleet\"}";
  EXPECT_EQ(series.at("scoville_power_budget_watts" + labels), 1000);
  EXPECT_EQ(series.at("scoville_power_limit_watts" + labels), 950);
  EXPECT_LE(series.at("scoville_power_counted_watts" + labels), 950);
}

TEST_F(MetricsTest, PromtoolRejectsWhatIsWrong) {
  EXPECT_FALSE(tests::PromtoolAccepts("# TYPE bad counter\nbad 1\n"));
}

TEST_F(MetricsTest, CountsWhatTheCoreDid) {
  for (int i = 0; i < 6; ++i) {
    ASSERT_FALSE(core_.scheduler->Submit(core_.NewRequest(20, 10)).refusal);
  }
  ASSERT_TRUE(core_.scheduler->Submit(core_.NewRequest(100'000, 10)).refusal);
  core_.loop.Run();
  const std::map<std::string, double> series = SeriesOf(RenderMetrics(Snapshot()));
  EXPECT_EQ(series.at("scoville_tokens_total{model=\"small\",phase=\"input\"}"), 120);
  EXPECT_EQ(series.at("scoville_tokens_total{model=\"small\",phase=\"output\"}"), 60);
  EXPECT_EQ(
      series.at("scoville_requests_total{model=\"small\",tenant=\"anonymous\",outcome=\"length\"}"),
      6);
  EXPECT_EQ(
      series.at("scoville_refusals_total{model=\"small\",reason=\"context_length_exceeded\"}"), 1);
  EXPECT_EQ(series.at("scoville_time_to_first_token_seconds_count{model=\"small\","
                      "class=\"standard\"}"),
            6);
  EXPECT_EQ(series.at("scoville_inter_token_latency_seconds_count{model=\"small\"}"), 54);
  EXPECT_EQ(
      series.at("scoville_device_tokens_total{model=\"small\",device=\"0\",phase=\"output\"}") +
          series.at("scoville_device_tokens_total{model=\"small\",device=\"1\",phase=\"output\"}"),
      60);
  const std::string vllm = "{model_name=\"small\",engine=\"0\"}";
  EXPECT_EQ(series.at("vllm:generation_tokens_total" + vllm), 60);
  EXPECT_EQ(series.at("vllm:time_to_first_token_seconds_count" + vllm), 6);
  EXPECT_EQ(series.at("vllm:num_requests_running" + vllm), 0);
  EXPECT_EQ(series.at("vllm:kv_cache_usage_perc" + vllm), 0);
}

TEST_F(MetricsTest, JoulesAddUpWhileRunningAndAtRest) {
  for (int i = 0; i < 40; ++i) {
    core_.scheduler->Submit(core_.NewRequest(60, 40));
  }
  for (int turn = 0; turn < 200 && core_.loop.RunOne(); ++turn) {
    ASSERT_EQ(UnattributedEnergy(Snapshot().deployments[0].core), Energy())
        << "after event " << turn;
  }
  core_.loop.Run();
  ASSERT_TRUE(core_.scheduler->idle());
  EXPECT_EQ(UnattributedEnergy(Snapshot().deployments[0].core), Energy());
  EXPECT_EQ(observer_.counters().step_energy, observer_.counters().request_energy);

  const std::map<std::string, double> series = SeriesOf(RenderMetrics(Snapshot()));
  EXPECT_EQ(series.at("scoville_energy_unattributed_joules{model=\"small\"}"), 0);
  double buckets = 0;
  double terms = 0;
  for (const auto& [name, value] : series) {
    buckets += name.find("scoville_device_energy_joules_total") == 0 ? value : 0;
    terms += name.find("scoville_device_energy_term_joules_total") == 0 ? value : 0;
  }
  EXPECT_GT(buckets, 0);
  EXPECT_NEAR(buckets, terms, buckets * 1e-12);
}

TEST_F(MetricsTest, UnattributedEnergyIsSeen) {
  core_.scheduler->Submit(core_.NewRequest(20, 10));
  core_.loop.Run();
  CoreSnapshot core = Snapshot().deployments[0].core;
  core.counters.step_energy -= Energy::FromPicojoules(1);
  EXPECT_EQ(UnattributedEnergy(core), Energy::FromPicojoules(1));
  core = Snapshot().deployments[0].core;
  core.counters.request_energy -= Energy::FromPicojoules(7);
  EXPECT_EQ(UnattributedEnergy(core), Energy::FromPicojoules(7));
}

TEST_F(MetricsTest, ALostDeviceAndWhatMovedFromItAreCounted) {
  for (int i = 0; i < 8; ++i) {
    ASSERT_FALSE(core_.scheduler->Submit(core_.NewRequest(40, 30)).refusal);
  }
  // In the middle of a decode, so that the step under way has drawn something.
  for (int i = 0; i < 60; ++i) {
    ASSERT_TRUE(core_.loop.RunOne());
  }
  while (!core_.devices[0]->busy()) {
    ASSERT_TRUE(core_.loop.RunOne());
  }
  core_.loop.RunUntil(core_.loop.Now() + Nanoseconds(100));
  ASSERT_TRUE(core_.scheduler->FenceDevice(DeviceId{0}).ok());
  core_.loop.Run();
  const std::string text = RenderNativeMetrics(Snapshot());
  EXPECT_TRUE(tests::PromtoolAccepts(text));
  const std::map<std::string, double> series = SeriesOf(text);
  EXPECT_EQ(series.at("scoville_devices_lost_total{model=\"small\"}"), 1);
  EXPECT_GT(series.at("scoville_migrations_total{model=\"small\"}"), 0);
  const double lost = series.at("scoville_lost_step_energy_joules_total{model=\"small\"}");
  EXPECT_GT(lost, 0);
  EXPECT_GE(series.at("scoville_device_energy_joules_total{model=\"small\",device=\"0\","
                      "bucket=\"waste\"}"),
            lost);
  EXPECT_EQ(series.at("scoville_device_state{model=\"small\",device=\"0\",state=\"lost\"}"), 1);
  EXPECT_EQ(series.at("scoville_pool_devices{model=\"small\",state=\"lost\"}"), 1);
  EXPECT_EQ(series.at("scoville_energy_unattributed_joules{model=\"small\"}"), 0);
}

TEST_F(MetricsTest, SeriesOfTwoModelsAreTheirOwn) {
  ASSERT_FALSE(core_.scheduler->Submit(core_.NewRequest(20, 10)).refusal);
  core_.loop.Run();
  MetricsSnapshot two = Snapshot();
  two.deployments.push_back(two.deployments[0]);
  two.deployments[1].facts.model = "large";
  two.deployments[1].facts.number = 1;
  const std::string native = RenderNativeMetrics(two);
  EXPECT_TRUE(tests::PromtoolAccepts(native));
  const std::map<std::string, double> series = SeriesOf(native + RenderVllmMetrics(two));
  for (const std::string& name : NamesOf(SeriesOf(RenderMetrics(Snapshot())))) {
    EXPECT_EQ(series.count(name), 1u) << name;
  }
  EXPECT_EQ(series.at("scoville_tokens_total{model=\"large\",phase=\"output\"}"), 10);
  EXPECT_EQ(series.at("vllm:generation_tokens_total{model_name=\"large\",engine=\"1\"}"), 10);
}

TEST_F(MetricsTest, TrafficAddsNoSeries) {
  const std::set<std::string> before = NamesOf(SeriesOf(RenderMetrics(Snapshot())));
  for (int i = 0; i < 10'000; ++i) {
    scheduler::Request request = core_.NewRequest(1 + i % 90, 1 + i % 7);
    request.external_id = "request-" + std::to_string(i);
    request.service_class = static_cast<scheduler::ServiceClass>(i % 3);
    if (i % 11 == 0) {
      request.prompt.clear();
    }
    const scheduler::SubmitResult result = core_.scheduler->Submit(std::move(request));
    if (i % 13 == 0 && !result.refusal) {
      core_.scheduler->Cancel(result.id);
    }
    if (i % 500 == 0) {
      core_.loop.Run();
    }
  }
  core_.loop.Run();
  EXPECT_EQ(NamesOf(SeriesOf(RenderMetrics(Snapshot()))), before);
  EXPECT_LT(before.size(), 1000u);
}

TEST_F(MetricsTest, EveryPowerAndEnergySeriesSaysEmulated) {
  for (const absl::string_view line :
       absl::StrSplit(RenderNativeMetrics(Snapshot()), '\n', absl::SkipEmpty())) {
    const std::vector<std::string> words = absl::StrSplit(line, absl::MaxSplits(' ', 3));
    if (words[1] != "HELP") {
      continue;
    }
    if (words[2].find("watts") != std::string::npos ||
        words[2].find("joule") != std::string::npos ||
        words[2].find("device_stall") != std::string::npos ||
        words[2].find("hertz") != std::string::npos) {
      EXPECT_THAT(words[3], ::testing::AnyOf(HasSubstr("mulated"), HasSubstr("emulated"))) << line;
    }
  }
}

TEST_F(MetricsTest, HasTheNamesThatDashboardsAskFor) {
  const std::string text = RenderMetrics(Snapshot());
  for (const char* name : {"scoville_device_info{",
                           "scoville_device_state{",
                           "scoville_device_power_watts{",
                           "scoville_device_power_cap_watts{",
                           "scoville_device_energy_joules_total{",
                           "scoville_device_energy_term_joules_total{",
                           "scoville_device_stall_seconds_total{",
                           "scoville_device_kv_blocks{",
                           "scoville_pool_caps_watts{",
                           "scoville_pool_devices{",
                           "scoville_requests_running{",
                           "scoville_requests_waiting{",
                           "scoville_requests_queued{",
                           "scoville_migrations_total{",
                           "scoville_devices_lost_total{",
                           "scoville_lost_step_energy_joules_total{",
                           "scoville_draft_tokens_proposed_total{",
                           "scoville_draft_tokens_accepted_total{",
                           "scoville_prefix_cache_query_tokens_total{",
                           "scoville_prefix_cache_hit_tokens_total{",
                           "scoville_kv_evictions_total{",
                           "scoville_device_pace_ratio{",
                           "scoville_fault_injection_enabled ",
                           "scoville_build_info{",
                           "scoville_ready ",
                           "scoville_draining ",
                           "scoville_streams_open{",
                           "scoville_http_requests_total{",
                           "scoville_output_tokens_per_joule{",
                           "process_resident_memory_bytes ",
                           "vllm:num_requests_waiting{",
                           "vllm:cache_config_info{",
                           "vllm:prefix_cache_hits_total{",
                           "vllm:request_success_total{"}) {
    EXPECT_THAT(text, HasSubstr(std::string("\n") + name)) << name;
  }
}

TEST(BucketsTest, NativeEdgesContainVllms) {
  const auto contains = [](absl::Span<const int64_t> fine, absl::Span<const int64_t> coarse) {
    return std::is_sorted(fine.begin(), fine.end()) &&
           std::includes(fine.begin(), fine.end(), coarse.begin(), coarse.end());
  };
  EXPECT_TRUE(contains(kFirstTokenEdges, kVllmFirstTokenEdges));
  EXPECT_TRUE(contains(kTokenEdges, kVllmTokenEdges));
  EXPECT_TRUE(contains(kPhaseEdges, kVllmPhaseEdges));
}

TEST(EdgeHistogramTest, AValueOnAnEdgeBelongsToIt) {
  static constexpr int64_t kEdges[] = {10, 20};
  EdgeHistogram h(kEdges);
  for (const int64_t value : {10, 11, 20, 21}) {
    h.Add(value);
  }
  EXPECT_EQ(h.CountUpTo(10), 1);
  EXPECT_EQ(h.CountUpTo(20), 3);
  EXPECT_EQ(h.count(), 4);
  EXPECT_EQ(h.sum(), 62);
}

}  // namespace
}  // namespace scoville::server
