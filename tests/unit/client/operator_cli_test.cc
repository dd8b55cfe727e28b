// `scoville device` and `scoville model`: what is sent, what is said.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "client/cli/exit_codes.h"
#include "client/views/pool_view.h"
#include "tests/unit/client/fake_daemon.h"
#include "tests/unit/client/run_cli.h"

namespace scoville::client {
namespace {

using testing::HasSubstr;

class OperatorCliTest : public testing::Test {
 protected:
  Said Run(std::vector<std::string> words) {
    words.insert(words.begin(), {"--address", daemon_.address()});
    return RunWords(std::move(words));
  }

  FakeDaemon daemon_;
};

TEST_F(OperatorCliTest, DrainSaysWhatIsLeft) {
  const Said said = Run({"device", "drain", "2", "--migrate", "--model", "beta"});
  EXPECT_EQ(said.exit_code, kExitDone);
  EXPECT_EQ(said.out, "Device 2: draining, 3 sequences still on it.\n");
  EXPECT_EQ(daemon_.last_drain.device(), 2u);
  EXPECT_TRUE(daemon_.last_drain.migrate());
  EXPECT_EQ(daemon_.last_drain.model(), "beta");
}

TEST_F(OperatorCliTest, FaultsAreSentAsTyped) {
  EXPECT_EQ(Run({"device", "fault", "1", "slow", "--percent", "300"}).exit_code, kExitDone);
  EXPECT_EQ(daemon_.last_fault.kind(), v1::FAULT_KIND_SLOW);
  EXPECT_EQ(daemon_.last_fault.percent(), 300u);
  EXPECT_EQ(
      Run({"device", "fault", "1", "lose-pages", "--first-page", "4", "--pages", "9"}).exit_code,
      kExitDone);
  EXPECT_EQ(daemon_.last_fault.kind(), v1::FAULT_KIND_LOSE_PAGES);
  EXPECT_EQ(daemon_.last_fault.first_page(), 4u);
  EXPECT_EQ(daemon_.last_fault.pages(), 9u);
}

TEST_F(OperatorCliTest, ModelsAreLoadedAndUnloaded) {
  EXPECT_EQ(Run({"model", "load", "large", "--card", "llama-3.1-70b", "--executor", "synthetic",
                 "--devices", "8", "--cap-per-device", "300W"})
                .exit_code,
            kExitDone);
  EXPECT_EQ(daemon_.last_load.model(), "large");
  EXPECT_EQ(daemon_.last_load.card(), "llama-3.1-70b");
  EXPECT_EQ(daemon_.last_load.executor(), "synthetic");
  EXPECT_EQ(daemon_.last_load.devices(), 8u);
  EXPECT_EQ(daemon_.last_load.cap_milliwatts_per_device(), 300'000);
  EXPECT_FALSE(daemon_.last_load.has_path());
  EXPECT_THAT(Run({"model", "unload", "large"}).out, HasSubstr("2 go on to their end"));
  EXPECT_EQ(daemon_.last_unload, "large");
}

TEST_F(OperatorCliTest, MisuseIsSaidBeforeAnythingIsSent) {
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"device", "drain"},
                                             {"device", "drain", "two"},
                                             {"device", "return", "1", "--migrate"},
                                             {"device", "drain", "1", "--percent", "200"},
                                             {"device", "fault", "1"},
                                             {"device", "fault", "1", "explode"},
                                             {"device", "melt", "1"},
                                             {"model", "unload"},
                                             {"model", "unload", "a", "--devices", "2"},
                                             {"model", "load", "a", "--path", "x", "--card", "y"},
                                             {"model", "load", "a", "--wait"},
                                             {"model", "load", "a", "--cap-per-device", "much"}}) {
    EXPECT_EQ(Run(words).exit_code, kExitUsage) << testing::PrintToString(words);
  }
  EXPECT_EQ(daemon_.last_drain.device(), 0u);
  EXPECT_EQ(daemon_.last_load.model(), "");
}

TEST_F(OperatorCliTest, ListsWhatIsTheMatterWithDevices) {
  v1::Device* const device = daemon_.pool.add_devices();
  device->set_id(1);
  device->set_profile("chip");
  device->set_model("m");
  device->set_state(v1::DEVICE_STATE_LOST);
  device->set_pace_percent(310);
  device->set_kv_blocks_used(11);
  device->set_kv_blocks_cached(22);
  device->set_kv_blocks_bad(33);
  device->set_kv_blocks_total(999);
  device->set_prefix_query_tokens(200);
  device->set_prefix_hit_tokens(50);
  const std::string out = Run({"device"}).out;
  for (const char* word : {"lost", "310 %", "11", "22", "33", "999", "25 %"}) {
    EXPECT_THAT(out, HasSubstr(word));
  }
}

TEST(RequestsView, SaysWhatARequestWaitsForAndHowLong) {
  v1::PoolState pool;
  EXPECT_EQ(RequestsText(pool, Terminal{}), "");
  v1::LiveRequest* const bounded = pool.add_requests();
  bounded->set_request_id("r-1");
  bounded->set_wait(v1::WAIT_REASON_KV);
  bounded->set_wait_bound_ns(2'000'000'000);
  bounded->set_migrations(4);
  v1::LiveRequest* const unbounded = pool.add_requests();
  unbounded->set_request_id("r-2");
  unbounded->set_wait(v1::WAIT_REASON_DEVICE);
  unbounded->set_unbounded("no device takes work");
  Terminal terminal;
  terminal.columns = 200;
  const std::string text = RequestsText(pool, terminal);
  EXPECT_THAT(text, HasSubstr("kv, at most 2.00 s"));
  EXPECT_THAT(text, HasSubstr("device, no device takes work"));
}

}  // namespace
}  // namespace scoville::client
