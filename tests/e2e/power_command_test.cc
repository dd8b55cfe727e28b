// `scoville-sim power` as a user runs it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/support/child_process.h"
#include "tests/support/daemon_process.h"
#include "tests/support/tiny_model.h"

namespace scoville::tests {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

ProgramResult Power(std::vector<std::string> words) {
  std::vector<std::string> command = {ProgramPath("scoville-sim"), "power"};
  command.insert(command.end(), words.begin(), words.end());
  return RunProgram(command);
}

TEST(PowerCommandTest, EverySweepWritesItsPageAndItsPicture) {
  const std::string folder = MakeTempDir();
  for (const std::string sweep : {"cap", "clock", "batch", "roofline", "compare", "sensitivity"}) {
    const std::string out = absl::StrCat(folder, "/", sweep);
    const ProgramResult run = Power({sweep, "--out", out, "--band", "3"});
    ASSERT_EQ(run.exit_code, 0) << run.err;
    EXPECT_THAT(run.out, HasSubstr("Emulated"));
    EXPECT_THAT(run.out, HasSubstr("command: scoville-sim power"));
    EXPECT_THAT(ReadWholeFile(out + "/report.html"), HasSubstr("<svg"));
    EXPECT_THAT(ReadWholeFile(absl::StrCat(out, "/", sweep, ".png")),
                StartsWith("\x89PNG\r\n\x1a\n"));
  }
}

TEST(PowerCommandTest, JsonAndCsvForPrograms) {
  const ProgramResult json = Power({"clock", "--json"});
  ASSERT_EQ(json.exit_code, 0) << json.err;
  const auto parsed = nlohmann::json::parse(json.out);
  EXPECT_EQ(parsed["command"], "clock");
  EXPECT_EQ(parsed["tables"]["clock"].size(), 13u);
  const ProgramResult csv = Power({"clock", "--csv"});
  EXPECT_THAT(csv.out, StartsWith("clock_ghz,step_ms,output_tokens_per_s,"));
}

TEST(PowerCommandTest, RefusalsSayWhatAndExitAccordingly) {
  const ProgramResult profile = Power({"clock", "--profile", "jalapeno"});
  EXPECT_EQ(profile.exit_code, 78);
  EXPECT_THAT(profile.err, HasSubstr("no built-in profile 'jalapeno'"));
  const ProgramResult large = Power({"clock", "--model", "llama-3.1-405b", "--chips", "1"});
  EXPECT_EQ(large.exit_code, 78);
  EXPECT_THAT(large.err, HasSubstr("llama-3.1-405b"));
  EXPECT_EQ(Power({"clock", "--no-such-flag"}).exit_code, 2);
  EXPECT_EQ(Power({}).exit_code, 2);
}

}  // namespace
}  // namespace scoville::tests
