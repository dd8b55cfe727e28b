#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <vector>

#include "server/log/logger.h"
#include "server/main/command_line.h"
#include "server/main/service_manager.h"
#include "server/main/status_line.h"

namespace scoville::server {
namespace {

using ::testing::HasSubstr;

std::optional<CommandLine> Parse(std::vector<std::string> words, int* exit_code) {
  words.insert(words.begin(), "scovilled");
  std::vector<char*> argv;
  for (std::string& word : words) {
    argv.push_back(word.data());
  }
  return ParseCommandLine(static_cast<int>(argv.size()), argv.data(), exit_code);
}

TEST(CommandLineTest, FlagsBecomeKeys) {
  int exit_code = 0;
  const auto line = Parse({"--devices", "2", "--cap-per-device=600W", "--set",
                           "limits.max_running=8", "--config", "x.yaml"},
                          &exit_code);
  ASSERT_TRUE(line);
  EXPECT_EQ(line->action, CommandLine::Action::kServe);
  EXPECT_EQ(line->inputs.file, "x.yaml");
  ASSERT_EQ(line->inputs.flags.size(), 3u);
  EXPECT_EQ(line->inputs.flags[0].path, "pool.devices");
  EXPECT_EQ(line->inputs.flags[0].text, "2");
  EXPECT_EQ(line->inputs.flags[1].path, "pool.cap_per_device");
  EXPECT_EQ(line->inputs.flags[2].path, "limits.max_running");
}

TEST(CommandLineTest, ConfigCommandsAreActions) {
  int exit_code = 0;
  const auto check = Parse({"config", "check", "a.yaml"}, &exit_code);
  ASSERT_TRUE(check);
  EXPECT_EQ(check->action, CommandLine::Action::kConfigCheck);
  EXPECT_EQ(check->inputs.file, "a.yaml");
  const auto print = Parse({"config", "print", "--effective", "--origin"}, &exit_code);
  ASSERT_TRUE(print);
  EXPECT_EQ(print->action, CommandLine::Action::kConfigPrint);
  EXPECT_TRUE(print->with_origin);
  const auto schema = Parse({"config", "schema"}, &exit_code);
  ASSERT_TRUE(schema);
  EXPECT_EQ(schema->action, CommandLine::Action::kConfigSchema);
}

TEST(CommandLineTest, MistakesAreUsageErrors) {
  for (const std::vector<std::string>& words : {std::vector<std::string>{"--bogus"},
                                                {"--set", "nokey"},
                                                {"--set", "pool.devicez=1"},
                                                {"config"},
                                                {"config", "check"},
                                                {"serve"}}) {
    int exit_code = 0;
    EXPECT_FALSE(Parse(words, &exit_code)) << words[0];
    EXPECT_EQ(exit_code, kExitUsage) << words[0];
  }
  int exit_code = -1;
  EXPECT_FALSE(Parse({"--help"}, &exit_code));
  EXPECT_EQ(exit_code, kExitOk);
}

CoreSnapshot SnapshotAt(int64_t seconds, int64_t tokens, int64_t joules) {
  CoreSnapshot out;
  out.pool.now = TimePoint() + Seconds(seconds);
  out.counters.tokens.output = tokens;
  device::DeviceStatus device;
  device.cap = Watts(700);
  device.energy.decode = Watts(1) * Seconds(joules);
  device.busy_time = Seconds(seconds);
  device.kv_blocks_total = 100;
  device.kv_blocks_used = 25;
  out.pool.devices.push_back(device);
  out.pool.running.push_back(2);
  return out;
}

TEST(StatusLineTest, ShowsRatesBetweenTwoSnapshots) {
  const std::string line = StatusLine(SnapshotAt(10, 100, 1000), SnapshotAt(20, 600, 3000));
  EXPECT_THAT(line, HasSubstr("50.0 tokens/s out"));
  EXPECT_THAT(line, HasSubstr("2 running"));
  EXPECT_THAT(line, HasSubstr("KV 25 %"));
  EXPECT_THAT(line, HasSubstr("200 W of 700 W"));
  EXPECT_THAT(line, HasSubstr("0.250 tokens/s/W (emulated)"));
}

TEST(StatusLineTest, IsEmptyWhenNothingRan) {
  CoreSnapshot before = SnapshotAt(10, 100, 1000);
  CoreSnapshot now = SnapshotAt(20, 100, 1500);
  now.pool.running[0] = 0;
  EXPECT_EQ(StatusLine(before, now), "");
}

TEST(ServiceManagerTest, SendsDatagramsToTheSocketItIsGiven) {
  std::string path = ::testing::TempDir() + "scoville-notify-XXXXXX";
  ASSERT_NE(mkdtemp(path.data()), nullptr);
  const std::string name = path + "/s";
  const int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, name.data(), name.size());
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ServiceManager(name).Notify("READY=1");
  char buffer[64];
  const ssize_t n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
  ASSERT_GT(n, 0);
  EXPECT_EQ(std::string(buffer, static_cast<size_t>(n)), "READY=1");
  close(fd);
  unlink(name.c_str());
  rmdir(path.c_str());
  ServiceManager("").Notify("READY=1");
  ServiceManager(name).Notify("READY=1");
}

TEST(JsonRecordTest, IsOneLineWhateverIsInIt) {
  const std::string record = JsonRecord("t", "info", "a\n\"b\" \xff", {{"model", "m"}});
  EXPECT_EQ(record,
            "{\"ts\":\"t\",\"level\":\"info\",\"msg\":\"a\\n\\\"b\\\" \xef\xbf\xbd\","
            "\"model\":\"m\"}");
}

}  // namespace
}  // namespace scoville::server
