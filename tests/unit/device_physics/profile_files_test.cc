// Every shipped profile, and files that are wrong in every way the schema knows.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/units.h"
#include "device/physics/power_model.h"
#include "device/physics/profile.h"
#include "device/physics/profile_listing.h"

namespace scoville::device {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string Folder() { return absl::StrCat(SCOVILLE_SOURCE_DIR, "/deploy/profiles"); }

std::string TextOf(const std::string& name) {
  std::ifstream file(absl::StrCat(Folder(), "/", name, ".yaml"));
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

class EveryProfile : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    absl::StatusOr<Profile> profile = BuiltinProfile(GetParam());
    ASSERT_TRUE(profile.ok()) << profile.status();
    profile_ = *std::move(profile);
  }
  Profile profile_;
};

TEST_P(EveryProfile, IsTheFileOfItsName) {
  EXPECT_EQ(profile_.name, GetParam());
  const absl::StatusOr<Profile> file =
      LoadProfile(absl::StrCat(Folder(), "/", GetParam(), ".yaml"));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->content_hash, profile_.content_hash);
}

TEST_P(EveryProfile, SaysOfEachNumberWhereItComesFrom) {
  for (const ProfileRow& row : ListProfile(profile_)) {
    SCOPED_TRACE(row.key);
    if (!row.given) {
      continue;
    }
    const ProfileNumber& n = row.number;
    const bool known = n.status == NumberStatus::kPublished || n.status == NumberStatus::kMeasured;
    EXPECT_TRUE(known ? !n.source.empty() : !n.reason.empty());
    EXPECT_TRUE(known || (n.low && n.high));
  }
}

TEST_P(EveryProfile, DrawsWhatAChipCanDraw) {
  const Profile& p = profile_;
  const PowerModel power(p, 1);
  const double hot = ToWatts(power.Idle(IdleState::kHot, p.top_state()));
  const double warm = ToWatts(power.Idle(IdleState::kWarm, 0));
  EXPECT_LT(p.off_power.value, p.parked_power.value);
  EXPECT_LE(p.parked_power.value, warm);
  EXPECT_LT(warm, hot);
  EXPECT_LT(hot, 0.5 * p.tdp.value);
  // Idling at the trip temperature leaves room below the TDP, or no cap could hold.
  EXPECT_LT(ToWatts(power.Idle(IdleState::kWarm, 0, power.TripLeakage())), 0.5 * p.tdp.value);
  // A step that streams memory and does nothing else must be possible near the TDP.
  const double streaming =
      hot + 8 * p.hbm_energy_per_bit.value * p.hbm_bandwidth.value * p.bandwidth_efficiency.value;
  EXPECT_LT(streaming, 1.05 * p.tdp.value);
  // At rest at the TDP the chip does not throttle.
  EXPECT_LT(p.inlet_temperature.value +
                p.tdp.value * (p.junction_resistance.value + p.sink_resistance.value),
            p.release_temperature.value + 1);
}

TEST_P(EveryProfile, RatesRiseAsTypesNarrow) {
  EXPECT_GE(profile_.Peak(MathType::kFp8), profile_.Peak(MathType::kBf16));
  EXPECT_GE(profile_.Peak(MathType::kFp4), profile_.Peak(MathType::kFp8));
  EXPECT_LE(profile_.EnergyPerFlop(MathType::kFp8), profile_.EnergyPerFlop(MathType::kBf16));
  EXPECT_LE(profile_.EnergyPerFlop(MathType::kFp4), profile_.EnergyPerFlop(MathType::kFp8));
}

INSTANTIATE_TEST_SUITE_P(All, EveryProfile, ::testing::ValuesIn(BuiltinProfileNames()),
                         [](const auto& one) {
                           std::string name = one.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(ProfileFilesTest, EveryFileIsCompiledIn) {
  std::set<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(Folder())) {
    files.insert(entry.path().stem().string());
  }
  const std::vector<std::string> names = BuiltinProfileNames();
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
  EXPECT_EQ(files, std::set<std::string>(names.begin(), names.end()));
}

TEST(ProfileFilesTest, OnlyTheWhatIfIsOne) {
  for (const std::string& name : BuiltinProfileNames()) {
    EXPECT_EQ(BuiltinProfile(name)->what_if, name == "jalapeno-gen2-whatif") << name;
  }
  EXPECT_FALSE(DefaultProfile().what_if);
}

TEST(ProfileFilesTest, VariantsDifferOnlyInWhatTheyName) {
  const std::set<std::string> energies = {"energy_fp4", "energy_fp8", "energy_bf16", "hbm_energy",
                                          "link_energy"};
  const std::vector<ProfileRow> base = ListProfile(DefaultProfile());
  const std::vector<ProfileRow> a0 = ListProfile(*BuiltinProfile("jalapeno-gen1-a0"));
  const std::vector<ProfileRow> next = ListProfile(*BuiltinProfile("jalapeno-gen2-whatif"));
  for (size_t i = 0; i < base.size(); ++i) {
    SCOPED_TRACE(base[i].key);
    const bool energy = energies.count(base[i].key) > 0;
    const double more = energy || base[i].key == "activity_power" ? 1.25 : 1.0;
    const double value = base[i].number.value;
    EXPECT_NEAR(a0[i].number.value, more * value, 1e-9 * value);
    EXPECT_NEAR(next[i].number.value, (energy ? 0.8 : 1.0) * value, 1e-9 * value);
    if (base[i].number.value != next[i].number.value) {
      EXPECT_EQ(next[i].number.status, NumberStatus::kAssumed);
    }
  }
}

struct Wrong {
  const char* name;
  const char* from;
  const char* to;
  const char* place;  // "line:column:" after the file's name
  const char* what;
};

class WrongFiles : public ::testing::TestWithParam<Wrong> {};

// Lines and columns are those of the shipped file with one edit.
TEST_P(WrongFiles, SayWhereAndWhat) {
  std::string text = TextOf("jalapeno-gen1");
  const size_t at = text.find(GetParam().from);
  ASSERT_NE(at, std::string::npos);
  text.replace(at, std::string(GetParam().from).size(), GetParam().to);
  const absl::StatusOr<Profile> profile = ParseProfile(text, "p.yaml");
  ASSERT_FALSE(profile.ok());
  EXPECT_EQ(profile.status().code(), absl::StatusCode::kInvalidArgument);
  const std::string message(profile.status().message());
  // The line on which the edit begins, unless the mistake shows elsewhere.
  const std::string line =
      absl::StrCat(1 + std::count(text.begin(), text.begin() + static_cast<ptrdiff_t>(at), '\n'));
  const std::string place = GetParam().place;
  EXPECT_THAT(message, StartsWith(absl::StrCat(
                           "p.yaml:", place[0] == '+' ? absl::StrCat(line, place.substr(1)) : "")));
  EXPECT_THAT(message, ::testing::ContainsRegex("^p\\.yaml:[0-9]+:[0-9]+: "));
  EXPECT_THAT(message, HasSubstr(GetParam().what));
}

constexpr Wrong kWrong[] = {
    {"UnknownKey", "hbm_capacity:", "hbm_capacty:", "+:1:",
     "unknown key 'hbm_capacty'; did you mean 'hbm_capacity'?"},
    {"UnknownKeyOfANumber", "hbm_capacity: {value: 216, unit: GiB,",
     "hbm_capacity: {value: 216, unit: GiB, note: x,", "+:", "unknown key 'note'"},
    {"MissingValue", "hbm_capacity: {value: 216,", "hbm_capacity: {",
     "+:15:", "hbm_capacity: the key 'value' is missing"},
    {"MissingUnit", "hbm_capacity: {value: 216, unit: GiB,", "hbm_capacity: {value: 216,",
     "+:15:", "hbm_capacity: the key 'unit' is missing"},
    {"MissingNumber", "local_chips: {value: 128, status: published, source: \"[2]\"}\n", "", "?",
     "the key 'local_chips' is missing"},
    {"WrongDimension", "hbm_bandwidth: {value: 15.4, unit: TB/s",
     "hbm_bandwidth: {value: 15.4, unit: W",
     "+:36:", "'W' is no unit of this quantity, allowed TB/s"},
    {"WrongCase", "hbm_bandwidth: {value: 15.4, unit: TB/s",
     "hbm_bandwidth: {value: 15.4, unit: tb/s", "+:36:", "'tb/s' is no unit of this quantity"},
    {"UnitOfAPlainNumber", "local_chips: {value: 128,", "local_chips: {value: 128, unit: W,",
     "+:", "this number has no unit"},
    {"ImpossibleValue", "hbm_bandwidth: {value: 15.4", "hbm_bandwidth: {value: -15.4",
     "+:24:", "makes no sense here"},
    {"HugeNumber", "hbm_capacity: {value: 216,", "hbm_capacity: {value: 1e300,",
     "+:23:", "makes no sense here"},
    {"NotANumber", "hbm_capacity: {value: 216,", "hbm_capacity: {value: fast,",
     "+:23:", "expected a number"},
    {"DuplicatedKey", "hbm_capacity:", "profile: again\nhbm_capacity:", "+:1:", "profile"},
    {"DuplicatedKeyOfANumber", "hbm_capacity: {value: 216,", "hbm_capacity: {value: 216, value: 1,",
     "+:28:", "value"},
    {"PublishedWithoutSource",
     "hbm_capacity: {value: 216, unit: GiB, status: published, source: "
     "\"[1], [2]\"}",
     "hbm_capacity: {value: 216, unit: GiB, status: published}",
     "+:47:", "status published needs a 'source'"},
    {"OutsideItsRange", "voltage_slope:\n  value: 0.25", "voltage_slope:\n  value: 0.5", "?",
     "0.5 lies outside its own range"},
    {"NoMapping", "hbm_capacity: {value: 216, unit: GiB, status: published, source: \"[1], [2]\"}",
     "hbm_capacity: 216 GiB", "+:15:", "expected a mapping"},
    {"AList", "hbm_capacity: {value: 216, unit: GiB, status: published, source: \"[1], [2]\"}",
     "hbm_capacity: [216, GiB]", "+:15:", "expected a mapping"},
    {"AnotherName", "profile: jalapeno-gen1", "profile: JALAPENO", "+:10:", "lower-case letters"},
    {"APeakWithoutEnergy",
     "energy_fp4:\n  value: 0.03\n  unit: pJ/FLOP\n  status: assumed\n"
     "  range: [0.018, 0.045]\n  reason: keeps each published load under 550 W\n",
     "", "?", "peak_fp4 and energy_fp4 stand together"},
    {"AThrottleAboveTheTrip", "trip_temperature:\n  value: 105", "trip_temperature:\n  value: 94",
     "?", "lies outside its own range"},
    {"UnknownOperators", "overhead_power:", "operators: {gem_bf16: {}}\noverhead_power:", "+:",
     "unknown key 'gem_bf16'"},
    {"HalfAGroupOfOperators", "overhead_power:", "operators: {decode: {}}\noverhead_power:", "+:",
     "the key 'latency' is missing"},
};

INSTANTIATE_TEST_SUITE_P(All, WrongFiles, ::testing::ValuesIn(kWrong),
                         [](const auto& one) { return std::string(one.param.name); });

TEST(ProfileFilesTest, AVoltageThatFallsIsRefusedWhereItIsSaid) {
  std::string text = TextOf("jalapeno-gen1");
  const size_t from = text.find("voltage_slope:");
  const size_t to = text.find("# Latencies.");
  ASSERT_LT(from, to);
  text.replace(from, to - from,
               "voltage_slope: {value: -0.1, unit: V/GHz, status: assumed, range: [-1, 1], "
               "reason: x}\n\n");
  const absl::Status status = ParseProfile(text, "p.yaml").status();
  const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<ptrdiff_t>(from), '\n');
  EXPECT_THAT(std::string(status.message()),
              StartsWith(absl::StrCat("p.yaml:", line, ":16: voltage_slope: the voltage falls")));
}

}  // namespace
}  // namespace scoville::device
