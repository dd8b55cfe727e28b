#include "client/inspect/inspect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "device/physics/profile.h"
#include "model/card/model_card_reader.h"

namespace scoville::client {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

Inspection Profiles(absl::string_view action, const std::vector<std::string>& names,
                    bool as_json = false) {
  return InspectProfiles(action, names, Terminal(), as_json);
}

Inspection Cards(const std::vector<std::string>& names, const CardQuestion& question = {},
                 bool as_json = false) {
  return InspectCards("show", names, question, Terminal(), as_json);
}

TEST(InspectProfilesTest, ShowsEveryNumberOfEveryProfile) {
  for (const std::string& name : device::BuiltinProfileNames()) {
    SCOPED_TRACE(name);
    const Inspection text = Profiles("show", {name});
    EXPECT_EQ(text.exit_code, 0);
    EXPECT_THAT(text.out, Not(HasSubstr("\x1b")));
    const Inspection machine = Profiles("show", {name}, true);
    const json parsed = json::parse(machine.out);
    EXPECT_EQ(parsed["profile"], name);
    EXPECT_GE(parsed["numbers"].size(), 60u);
    for (const auto& [key, number] : parsed["numbers"].items()) {
      EXPECT_THAT(text.out, HasSubstr(key));
      if (number.is_null()) {
        continue;
      }
      if (number["value"].is_number() && number["value"] != 0) {
        EXPECT_GT(number["si"].get<double>() / number["value"].get<double>(), 0);
      }
      const std::string status = number["status"];
      EXPECT_FALSE(number["source"].get<std::string>().empty() &&
                   number["reason"].get<std::string>().empty())
          << key;
      if (status == "assumed" || status == "derived") {
        EXPECT_EQ(number["range"].size(), 2u) << key;
      }
    }
    EXPECT_EQ(parsed["clock_states"].size(), parsed["numbers"]["clock_states"]["value"]);
  }
}

TEST(InspectProfilesTest, ShowsWhatFollows) {
  const json p = json::parse(Profiles("show", {"jalapeno-gen1"}, true).out);
  double ridge = 0;
  double floor = 0;
  for (const json& row : p["derived"]) {
    ridge = row["name"] == "ridge point, fp4" ? row["value"].get<double>() : ridge;
    floor = row["name"] == "busy floor" ? row["value"].get<double>() : floor;
  }
  EXPECT_NEAR(ridge, 13.4e15 / 15.4e12, 1e-9);
  EXPECT_NEAR(floor, 140, 1e-9);
  EXPECT_NEAR(p["clock_states"].back()["floor_watts"].get<double>(), 140, 1e-9);
  EXPECT_NEAR(p["clock_states"].front()["volts"].get<double>(), 0.55, 1e-9);
  EXPECT_THAT(Profiles("show", {"jalapeno-gen1"}).out, HasSubstr("ridge point, fp4"));
}

TEST(InspectProfilesTest, AWhatIfSaysSo) {
  EXPECT_THAT(Profiles("show", {"jalapeno-gen2-whatif"}).out, HasSubstr("not a forecast"));
  EXPECT_THAT(Profiles("diff", {"jalapeno-gen1", "jalapeno-gen2-whatif"}).out,
              HasSubstr("not a forecast"));
  EXPECT_THAT(Profiles("show", {"jalapeno-gen1"}).out, Not(HasSubstr("not a forecast")));
}

TEST(InspectProfilesTest, ColoursOnATerminal) {
  Terminal terminal;
  terminal.colour = true;
  EXPECT_THAT(InspectProfiles("show", {"h100-sxm"}, terminal, false).out, HasSubstr("\x1b["));
  EXPECT_THAT(InspectProfiles("show", {"h100-sxm"}, terminal, true).out, Not(HasSubstr("\x1b")));
}

TEST(InspectProfilesTest, AnyTwoProfilesCompare) {
  const std::vector<std::string> names = device::BuiltinProfileNames();
  for (const std::string& a : names) {
    for (const std::string& b : names) {
      const Inspection diff = Profiles("diff", {a, b}, true);
      ASSERT_EQ(diff.exit_code, 0) << diff.error;
      std::set<std::string> seen;
      const json rows = json::parse(diff.out)["numbers"];
      for (const json& row : rows) {
        EXPECT_TRUE(seen.insert(row["number"]).second) << a << " " << b << " " << row["number"];
      }
      EXPECT_EQ(seen.empty(), a == b);
    }
  }
  // One side has the constants of an operator, the other has none.
  EXPECT_THAT(Profiles("diff", {"mi300x", "h100-sxm"}).out, HasSubstr("operators.decode.latency"));
  EXPECT_THAT(Profiles("diff", {"h100-sxm", "mi300x"}).out, HasSubstr("operators.decode.latency"));
}

TEST(InspectProfilesTest, DiffersInWhatDiffers) {
  const Inspection same = Profiles("diff", {"h100-sxm", "h100-sxm"}, true);
  EXPECT_TRUE(json::parse(same.out)["numbers"].empty());
  const json diff = json::parse(Profiles("diff", {"h100-sxm", "h200-sxm"}, true).out);
  bool memory = false;
  for (const json& row : diff["numbers"]) {
    if (row["number"] == "hbm_bandwidth") {
      memory = true;
      EXPECT_NEAR(row["ratio"].get<double>(), 4.8 / 3.35, 1e-9);
    }
    EXPECT_NE(row["number"], "peak_fp8");
  }
  EXPECT_TRUE(memory);
  EXPECT_THAT(Profiles("diff", {"h100-sxm", "a100-80g-sxm"}).out, HasSubstr("rate_w4a8"));
  EXPECT_THAT(Profiles("diff", {"h100-sxm", "b200-sxm"}).out, HasSubstr("x 2.39"));
  EXPECT_EQ(Profiles("diff", {"h100-sxm"}).exit_code, 2);
}

class CheckTest : public ::testing::Test {
 protected:
  // A file with one piece of a shipped profile replaced.
  std::string Edited(const std::string& from, const std::string& to) {
    std::ifstream in(absl::StrCat(SCOVILLE_SOURCE_DIR, "/deploy/profiles/mi300x.yaml"));
    std::ostringstream text;
    text << in.rdbuf();
    EXPECT_THAT(text.str(), HasSubstr(from));
    const std::string path =
        absl::StrCat(::testing::TempDir(), "/",
                     ::testing::UnitTest::GetInstance()->current_test_info()->name(), ".yaml");
    std::ofstream(path) << absl::StrReplaceAll(text.str(), {{from, to}});
    return path;
  }
};

TEST_F(CheckTest, AGoodFile) {
  const Inspection good = Profiles("check", {Edited("profile: mi300x", "profile: mine")});
  EXPECT_EQ(good.exit_code, 0) << good.error;
  EXPECT_THAT(good.out, HasSubstr("ok, mine: 9 published"));
  EXPECT_EQ(good.error, "");
}

TEST_F(CheckTest, ABadFileHasAPlace) {
  const std::string path = Edited("hbm_capacity:", "hbm_capacty:");
  const Inspection bad = Profiles("check", {path, "h100-sxm"});
  EXPECT_EQ(bad.exit_code, 1);
  EXPECT_THAT(bad.error, ::testing::MatchesRegex(".*\\.yaml:[0-9]+:1: unknown key 'hbm_capacty'; "
                                                 "did you mean 'hbm_capacity'.*\n"));
  EXPECT_THAT(bad.out, HasSubstr("h100-sxm: ok"));  // the others are still checked
  const json machine = json::parse(Profiles("check", {path, "h100-sxm"}, true).out);
  EXPECT_FALSE(machine[0]["ok"]);
  EXPECT_TRUE(machine[1]["ok"]);
}

TEST_F(CheckTest, NothingToCheckOrAnotherAction) {
  EXPECT_EQ(Profiles("check", {}).exit_code, 2);
  EXPECT_EQ(Profiles("check", {"/nowhere.yaml"}).exit_code, 1);
  EXPECT_EQ(Profiles("shwo", {}).exit_code, 2);
}

TEST(InspectCardsTest, ShowsEveryCard) {
  for (const std::string& name : model::BuiltinCardNames()) {
    SCOPED_TRACE(name);
    EXPECT_EQ(Cards({name}).exit_code, 0) << Cards({name}).error;
    EXPECT_THAT(Cards({}).out, HasSubstr(name));
    const json card = json::parse(Cards({name}, {}, true).out);
    EXPECT_TRUE(card["on"]["fits"]);
    EXPECT_GE(card["parameters"], card["active_parameters"]);
  }
}

TEST(InspectCardsTest, TheArithmeticAddsUp) {
  CardQuestion question;
  question.profile = "h100-sxm";
  const json card = json::parse(Cards({"llama-3.1-70b"}, question, true).out);
  const json& on = card["on"];
  EXPECT_EQ(on["chips"], 2);  // 141 GB of weights, 72 usable a chip
  EXPECT_NEAR(on["usable_bytes"].get<double>(), 0.9 * 2 * 80e9, 1);
  const double left = on["usable_bytes"].get<double>() - on["weight_bytes"].get<double>();
  // 80 layers x 2 x 8 heads x 128 x 2 bytes, blocks of 16 tokens.
  EXPECT_EQ(card["kv_bytes_per_token"], 80 * 2 * 8 * 128 * 2);
  EXPECT_EQ(on["kv_blocks"], static_cast<int64_t>(left / (16.0 * 327'680)));
  EXPECT_THAT(Cards({"llama-3.1-70b"}, question).out, HasSubstr("On 2 x h100-sxm"));
}

TEST(InspectCardsTest, WhatDoesNotFitIsSaid) {
  CardQuestion question;
  question.profile = "h100-sxm";
  question.chips = 4;
  const Inspection text = Cards({"deepseek-r1"}, question);
  EXPECT_EQ(text.exit_code, 0);
  EXPECT_THAT(text.out, HasSubstr("does not fit"));
  EXPECT_FALSE(json::parse(Cards({"deepseek-r1"}, question, true).out)["on"]["fits"]);
  question.profile = "h1000";
  EXPECT_EQ(Cards({"deepseek-r1"}, question).exit_code, 1);
  EXPECT_EQ(Cards({"deepseek-r2"}).exit_code, 1);
  EXPECT_THAT(Cards({"deepseek-r2"}).error, HasSubstr("did you mean 'deepseek-r1'?"));
}

}  // namespace
}  // namespace scoville::client
