#include "device/physics/profile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace scoville::device {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

std::string DefaultPath() {
  return absl::StrCat(SCOVILLE_SOURCE_DIR, "/deploy/profiles/jalapeno-gen1.yaml");
}

std::string DefaultText() {
  std::ifstream file(DefaultPath());
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// The default profile with one piece of its text replaced.
std::string Edited(const std::string& from, const std::string& to) {
  std::string text = DefaultText();
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

// The error of such a profile.
std::string EditError(const std::string& from, const std::string& to) {
  const absl::StatusOr<Profile> profile = ParseProfile(Edited(from, to), "p.yaml");
  EXPECT_FALSE(profile.ok()) << to;
  EXPECT_EQ(profile.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(profile.status().message());
}

TEST(ProfileTest, TheDefaultIsTheFile) {
  const Profile builtin = DefaultProfile();
  const absl::StatusOr<Profile> file = LoadProfile(DefaultPath());
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(builtin.content_hash, file->content_hash);
  EXPECT_EQ(builtin.name, "jalapeno-gen1");
  EXPECT_EQ(builtin.weakest, NumberStatus::kAssumed);
  EXPECT_FALSE(builtin.what_if);
  EXPECT_THAT(BuiltinProfileNames(), Contains("jalapeno-gen1"));
}

TEST(ProfileTest, NumbersAreSiWithTheirOrigin) {
  const Profile p = DefaultProfile();
  EXPECT_DOUBLE_EQ(p.Peak(MathType::kFp4), 13.4e15);
  EXPECT_DOUBLE_EQ(p.Peak(MathType::kFp8), 3.4e15);
  EXPECT_DOUBLE_EQ(p.Peak(MathType::kBf16), 1.7e15);
  EXPECT_DOUBLE_EQ(p.hbm_capacity.value, 216.0 * (1 << 30));
  EXPECT_DOUBLE_EQ(p.hbm_bandwidth.value, 15.4e12);
  EXPECT_DOUBLE_EQ(p.issue_latency.value, 13.5e-6);
  EXPECT_DOUBLE_EQ(*p.issue_latency.low, 8e-6);
  EXPECT_DOUBLE_EQ(*p.issue_latency.high, 18e-6);
  EXPECT_DOUBLE_EQ(p.hbm_energy_per_bit.value, 3.5e-12);
  EXPECT_DOUBLE_EQ(p.EnergyPerFlop(MathType::kBf16), 0.25e-12);
  EXPECT_DOUBLE_EQ(p.overhead_power.value, 560);
  EXPECT_EQ(p.TdpPower(), Watts(700));
  EXPECT_EQ(p.peak[0].status, NumberStatus::kPublished);
  EXPECT_THAT(p.peak[0].source, HasSubstr("[1]"));
  EXPECT_EQ(p.issue_latency.status, NumberStatus::kDerived);
  EXPECT_EQ(p.w4a16.value, MathType::kBf16);
  EXPECT_EQ(p.w4a8.value, MathType::kFp8);
}

TEST(ProfileTest, TheHashFollowsValuesAndNotTexts) {
  const Hash128 hash = DefaultProfile().content_hash;
  const auto edited = [](const std::string& from, const std::string& to) {
    const absl::StatusOr<Profile> profile = ParseProfile(Edited(from, to), "p.yaml");
    EXPECT_TRUE(profile.ok()) << profile.status();
    return profile->content_hash;
  };
  EXPECT_EQ(edited("# Power.\n", "# Watts.\n\n"), hash);
  EXPECT_EQ(edited("unpublished; warm idle 89 W", "said otherwise"), hash);
  EXPECT_EQ(edited("{value: 13.4, unit: PFLOP/s", "{value: 13400, unit: TFLOP/s"), hash);
  EXPECT_NE(edited("value: 13.5", "value: 13.6"), hash);
  EXPECT_NE(edited("range: [8, 18]", "range: [9, 18]"), hash);
  EXPECT_NE(edited("profile: jalapeno-gen1", "profile: other"), hash);
  EXPECT_NE(edited("value: fp8", "value: fp4"), hash);
}

TEST(ProfileTest, RefusesAnUnknownKey) {
  EXPECT_THAT(EditError("issue_latency:", "isue_latency:"),
              HasSubstr("unknown key 'isue_latency'; did you mean 'issue_latency'?"));
  EXPECT_THAT(EditError("{value: 216, unit: GiB", "{value: 216, units: GiB"),
              HasSubstr("hbm_capacity: the key 'unit' is missing"));
  EXPECT_THAT(EditError("{value: 216, unit: GiB", "{value: 216, note: x, unit: GiB"),
              HasSubstr("hbm_capacity: unknown key 'note'"));
}

TEST(ProfileTest, ErrorsNameLineAndColumn) {
  EXPECT_THAT(EditError("profile: jalapeno-gen1", "profile: Jalapeno"),
              HasSubstr("p.yaml:9:10: profile: a name has"));
}

TEST(ProfileTest, RefusesAMissingNumber) {
  EXPECT_THAT(EditError("local_chips: {value: 128, status: published, source: \"[2]\"}\n", ""),
              HasSubstr("the key 'local_chips' is missing"));
}

TEST(ProfileTest, RefusesAUnitOfAnotherDimension) {
  EXPECT_THAT(EditError("{value: 15.4, unit: TB/s", "{value: 15.4, unit: GiB"),
              HasSubstr("hbm_bandwidth.unit: 'GiB' is no unit of this quantity, allowed TB/s"));
  EXPECT_THAT(EditError("{value: 128, status", "{value: 128, unit: W, status"),
              HasSubstr("has no unit"));
}

TEST(ProfileTest, RefusesPublishedAndMeasuredWithoutSource) {
  const std::string from = "status: published, source: \"[1]; MXFP4 x MXFP4\"";
  EXPECT_THAT(EditError(from, "status: published"), HasSubstr("needs a 'source'"));
  EXPECT_THAT(EditError(from, "status: measured"), HasSubstr("status measured needs a 'source'"));
}

TEST(ProfileTest, RefusesAssumedAndDerivedWithoutRangeOrReason) {
  EXPECT_THAT(EditError("  range: [8, 18]\n", ""),
              HasSubstr("issue_latency.status: status derived needs a 'range'"));
  EXPECT_THAT(EditError("  reason: unpublished; warm idle 89 W\n", ""),
              HasSubstr("retention_power.status: status assumed needs a 'reason'"));
  EXPECT_THAT(EditError("  range: [bf16, fp4]\n", ""), HasSubstr("rate_w4a16.status"));
}

TEST(ProfileTest, RefusesAValueOutsideItsRange) {
  EXPECT_THAT(EditError("value: 13.5", "value: 19"), HasSubstr("outside its own range"));
  EXPECT_THAT(EditError("range: [8, 18]", "range: [18, 8]"), HasSubstr("above the highest"));
  EXPECT_THAT(EditError("range: [8, 18]", "range: [8]"), HasSubstr("[lowest, highest]"));
  EXPECT_THAT(EditError("range: [fp8, fp4]", "range: [fp4]"), HasSubstr("rate_w4a8"));
}

TEST(ProfileTest, RefusesValuesThatMakeNoSense) {
  EXPECT_THAT(EditError("value: 13.5", "value: -1"), HasSubstr("makes no sense"));
  EXPECT_THAT(EditError("{value: 15.4,", "{value: 0,"), HasSubstr("makes no sense"));
  EXPECT_THAT(EditError("{value: 15.4,", "{value: .inf,"), HasSubstr("makes no sense"));
  EXPECT_THAT(EditError("{value: 15.4,", "{value: .nan,"), HasSubstr("expected a number"));
  EXPECT_THAT(EditError("{value: 128,", "{value: 127.5,"), HasSubstr("whole number"));
  EXPECT_THAT(EditError("value: 4\n", "value: 3\n"), HasSubstr("not among 1, 2, 4, .inf"));
}

TEST(ProfileTest, AcceptsPerfectOverlap) {
  const absl::StatusOr<Profile> p = ParseProfile(Edited("value: 4\n", "value: .inf\n"), "p.yaml");
  ASSERT_TRUE(p.ok()) << p.status();
  EXPECT_EQ(p->overlap.value, std::numeric_limits<double>::infinity());
}

TEST(ProfileTest, RefusesNull) {
  EXPECT_THAT(EditError("{value: 216, unit: GiB, status: published, source: \"[1], [2]\"}", "null"),
              HasSubstr("hbm_capacity: null; an unknown number is an assumption"));
  EXPECT_THAT(EditError("{value: 216,", "{value: null,"), HasSubstr("found nothing (null)"));
}

TEST(ProfileTest, RefusesAnUnknownStatus) {
  EXPECT_THAT(EditError("status: derived", "status: guessed"),
              HasSubstr("allowed published, measured, derived, assumed"));
}

TEST(ProfileTest, RefusesAFallingVoltage) {
  EXPECT_THAT(EditError("value: 0.25\n  unit: V/GHz\n  status: assumed\n  range: [0.1875, 0.3125]",
                        "value: -0.1\n  unit: V/GHz\n  status: assumed\n  range: [-1, 1]"),
              HasSubstr("the voltage falls as the clock rises"));
}

TEST(ProfileTest, RefusesAnIdlePowerThatNoCapCanHold) {
  EXPECT_THAT(EditError("{value: 700, unit: W,", "{value: 106, unit: W,"),
              HasSubstr("not below the TDP"));
  EXPECT_TRUE(ParseProfile(Edited("{value: 700, unit: W,", "{value: 107, unit: W,"), "p").ok());
}

TEST(ProfileTest, RefusesContradictions) {
  EXPECT_THAT(EditError("value: 875\n  unit: W\n  status: assumed\n  range: [700, 875]",
                        "value: 600\n  unit: W\n  status: assumed\n  range: [600, 875]"),
              HasSubstr("below the TDP"));
  EXPECT_THAT(EditError("value: 45\n  unit: W\n  status: assumed\n  range: [20, 70]",
                        "value: 95\n  unit: W\n  status: assumed\n  range: [20, 100]"),
              HasSubstr("not between off and warm idle"));
  EXPECT_THAT(EditError("{value: 2048,", "{value: 64,"), HasSubstr("fewer than local_chips"));
  EXPECT_THAT(EditError("value: 0.6\n  unit: GHz\n  status: assumed\n  range: [0.6, 0.6]",
                        "value: 2\n  unit: GHz\n  status: assumed\n  range: [2, 2]"),
              HasSubstr("not below clock_max"));
}

// Groups of operator constants stand at the end of a file.
std::string WithOperators(const std::string& block) {
  return absl::StrCat(DefaultText(), "\noperators:\n", block);
}

std::string Assumed(const std::string& key, const std::string& value) {
  return absl::StrCat("    ", key, ": {value: ", value,
                      ", status: assumed, range: [0, .inf], reason: test}\n");
}

const char kGemmGroup[] =
    "  gemm_bf16:\n"
    "    latency: {value: 2.5, unit: us, status: measured, source: test}\n"
    "    wave_latency: {value: 0.3, unit: us, status: measured, source: test}\n";

TEST(ProfileTest, ReadsOperatorGroups) {
  const absl::StatusOr<Profile> p = ParseProfile(WithOperators(kGemmGroup), "p.yaml");
  ASSERT_TRUE(p.ok()) << p.status();
  const GemmConstants& gemm = p->operators.gemm[static_cast<int>(MathType::kBf16)];
  EXPECT_TRUE(gemm.given);
  EXPECT_DOUBLE_EQ(gemm.latency.value, 2.5e-6);
  EXPECT_EQ(gemm.latency.status, NumberStatus::kMeasured);
  EXPECT_EQ(gemm.bandwidth_efficiency.value, p->bandwidth_efficiency.value);
  EXPECT_EQ(gemm.split_latency.value, std::numeric_limits<double>::infinity());
  EXPECT_EQ(gemm.overlap.value, 4);
  EXPECT_FALSE(p->operators.decode.given);
  // The narrow types take it too.
  EXPECT_EQ(p->Gemm(MathType::kFp4), &gemm);
  // The hash follows it.
  EXPECT_NE(p->content_hash, DefaultProfile().content_hash);
  std::string other = WithOperators(kGemmGroup);
  const absl::StatusOr<Profile> slower = ParseProfile(
      absl::StrReplaceAll(other,
                          {{"value: 2.5, unit: us, status: m", "value: 2.6, unit: us, status: m"}}),
      "p.yaml");
  ASSERT_TRUE(slower.ok()) << slower.status();
  EXPECT_NE(slower->content_hash, p->content_hash);
  // Samples reach it by its full name, and it follows what it was left to.
  const std::vector<std::pair<std::string, double>> values = {{"operators.gemm_bf16.latency", 3e-6},
                                                              {"bandwidth_efficiency", 0.7}};
  const absl::StatusOr<Profile> changed = WithNumbers(*p, values);
  ASSERT_TRUE(changed.ok()) << changed.status();
  EXPECT_EQ(changed->Gemm(MathType::kBf16)->latency.value, 3e-6);
  EXPECT_EQ(changed->Gemm(MathType::kBf16)->bandwidth_efficiency.value, 0.7);
  // Of groups that a profile leaves out there is nothing to change.
  const std::vector<std::pair<std::string, double>> absent = {{"operators.decode.latency", 3e-6}};
  EXPECT_THAT(std::string(WithNumbers(*p, absent).status().message()), HasSubstr("no such number"));
}

TEST(ProfileTest, RefusesBrokenOperatorGroups) {
  const auto error = [](const std::string& block) {
    const absl::StatusOr<Profile> p = ParseProfile(WithOperators(block), "p.yaml");
    return p.ok() ? std::string("accepted") : std::string(p.status().message());
  };
  EXPECT_THAT(error("  gemm_bf61: {}\n"), HasSubstr("did you mean 'gemm_bf16'?"));
  EXPECT_THAT(error("  gemm_bf16: {}\n"), HasSubstr("the key 'latency' is missing"));
  EXPECT_THAT(error(absl::StrCat(kGemmGroup, Assumed("wave_latancy", "1"))),
              HasSubstr("did you mean 'wave_latency'?"));
  EXPECT_THAT(error(absl::StrCat(kGemmGroup, Assumed("overlap", "3"))),
              HasSubstr("operators.gemm_bf16.overlap: 3 is not among 1, 2, 4, .inf"));
  EXPECT_THAT(error(absl::StrCat(kGemmGroup, Assumed("tile_by_rows", "0.5"))),
              HasSubstr("whole number"));
  EXPECT_THAT(error(absl::StrCat(kGemmGroup, Assumed("unaligned_efficiency", "1.5"))),
              HasSubstr("makes no sense"));
  EXPECT_THAT(error("  gemm_bf16: 3\n"), HasSubstr("operators.gemm_bf16"));
}

TEST(ProfileTest, FindsBuiltinsAndFiles) {
  EXPECT_TRUE(FindProfile("jalapeno-gen1").ok());
  EXPECT_TRUE(FindProfile(DefaultPath()).ok());
  const absl::Status unknown = FindProfile("jalapeno-gen2").status();
  EXPECT_EQ(unknown.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(unknown.message()), HasSubstr("did you mean 'jalapeno-gen1'?"));
  EXPECT_EQ(FindProfile("/nowhere/x.yaml").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(FindProfile("/").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace scoville::device
