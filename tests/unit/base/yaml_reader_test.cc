#include "base/yaml_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

namespace scoville {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

YamlDocument Doc(absl::string_view text) {
  absl::StatusOr<YamlDocument> doc = YamlDocument::Parse(text, "c.yaml");
  EXPECT_TRUE(doc.ok()) << doc.status();
  return std::move(doc).value();
}

std::string ParseError(absl::string_view text, const YamlLimits& limits = {}) {
  absl::StatusOr<YamlDocument> doc = YamlDocument::Parse(text, "c.yaml", limits);
  EXPECT_FALSE(doc.ok()) << text;
  EXPECT_EQ(doc.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(doc.status().message());
}

template <typename T, typename... Args>
std::string ReadError(absl::string_view text, T* out, Args... args) {
  const YamlDocument doc = Doc(text);
  const YamlMap root = doc.Root().value();
  return std::string(root.Read("key", out, args...).message());
}

TEST(YamlReaderTest, ReadsEveryType) {
  const YamlDocument doc =
      Doc("text: plain words\n"
          "quoted: \"12\"\n"
          "flag: true\n"
          "count: -42\n"
          "ratio: 2.5e-3\n"
          "wait: 1.5ms\n"
          "cap: 250W\n"
          "size: 512MiB\n"
          "mode: eff\n");
  const YamlMap root = doc.Root().value();
  std::string text, quoted;
  bool flag = false;
  int64_t count = 0;
  double ratio = 0;
  Duration wait;
  Power cap;
  Bytes size;
  size_t mode = 0;
  ASSERT_TRUE(root.Require("text", &text).ok());
  ASSERT_TRUE(root.Require("quoted", &quoted).ok());
  ASSERT_TRUE(root.Require("flag", &flag).ok());
  ASSERT_TRUE(root.Require("count", &count, YamlIntRange{-100, 0}).ok());
  ASSERT_TRUE(root.Require("ratio", &ratio).ok());
  ASSERT_TRUE(root.Require("wait", &wait).ok());
  ASSERT_TRUE(root.Require("cap", &cap).ok());
  ASSERT_TRUE(root.Require("size", &size).ok());
  const std::string modes[] = {"perf", "eff"};
  ASSERT_TRUE(root.RequireChoice("mode", modes, &mode).ok());
  EXPECT_EQ(text, "plain words");
  EXPECT_EQ(quoted, "12");
  EXPECT_TRUE(flag);
  EXPECT_EQ(count, -42);
  EXPECT_EQ(ratio, 2.5e-3);
  EXPECT_EQ(wait, Microseconds(1500));
  EXPECT_EQ(cap, Watts(250));
  EXPECT_EQ(size, Bytes(512LL << 20));
  EXPECT_EQ(mode, 1u);
  EXPECT_TRUE(doc.Finish().ok());
}

TEST(YamlReaderTest, AbsentKeysKeepTheirDefaultOrAreMissing) {
  const YamlDocument doc = Doc("a: 1\n");
  const YamlMap root = doc.Root().value();
  int64_t value = 7;
  EXPECT_TRUE(root.Read("b", &value).ok());
  EXPECT_EQ(value, 7);
  EXPECT_THAT(std::string(root.Require("b", &value).message()),
              HasSubstr("c.yaml:1:1: the key 'b' is missing"));
  const YamlMap nested = root.MapOrEmpty("m").value();
  EXPECT_TRUE(nested.Read("x", &value).ok());
  EXPECT_THAT(std::string(nested.Require("x", &value).message()), HasSubstr("m: the key 'x'"));
  EXPECT_TRUE(root.List("l").value().empty());
  EXPECT_FALSE(root.Map("m").ok());
}

TEST(YamlReaderTest, EmptyFileIsAnEmptyMapping) {
  for (const char* text : {"", "# only a comment\n", "---\n", "\n\n"}) {
    const YamlDocument doc = Doc(text);
    EXPECT_TRUE(doc.Root().ok()) << text;
    EXPECT_TRUE(doc.Finish().ok());
  }
}

TEST(YamlReaderTest, ErrorsCarryPlaceAndPath) {
  const YamlDocument doc = Doc("devices:\n  - cap: 250W\n  - cap: 250\n");
  const YamlMap root = doc.Root().value();
  const std::vector<YamlNode> devices = root.List("devices").value();
  ASSERT_EQ(devices.size(), 2u);
  Power cap;
  EXPECT_TRUE(devices[0].AsMap()->Read("cap", &cap).ok());
  EXPECT_THAT(std::string(devices[1].AsMap()->Read("cap", &cap).message()),
              StartsWith("c.yaml:3:10: devices[1].cap: '250' has no unit"));
  EXPECT_THAT(std::string(devices[1].AsMap()->Error("cap", "too low").message()),
              StartsWith("c.yaml:3:10: devices[1].cap: too low"));
}

TEST(YamlReaderTest, UnknownKeysAreNamedWithTheNearestKnownOne) {
  const YamlDocument doc = Doc("server:\n  lisen: x\n");
  const YamlMap server = doc.Root()->Map("server").value();
  std::string listen;
  EXPECT_TRUE(server.Read("listen", &listen).ok());
  EXPECT_EQ(std::string(doc.Finish().message()),
            "c.yaml:2:3: server: unknown key 'lisen'; did you mean 'listen'?");
  EXPECT_EQ(doc.Finish(), server.Finish());
}

TEST(YamlReaderTest, UnknownKeysWithoutANearOneListTheKnown) {
  const YamlDocument doc = Doc("zzzzzz: 1\n");
  const YamlMap root = doc.Root().value();
  root.Has("port");
  root.Has("listen");
  EXPECT_EQ(std::string(doc.Finish().message()),
            "c.yaml:1:1: unknown key 'zzzzzz'; known: listen, port");
}

TEST(YamlReaderTest, WholeTreesThatNobodyReadAreUnknown) {
  const YamlDocument doc = Doc("list:\n  - a: 1\n");
  EXPECT_EQ(doc.Root()->List("list")->size(), 1u);
  EXPECT_THAT(std::string(doc.Finish().message()), HasSubstr("list[0]: unknown key 'a'"));
}

TEST(YamlReaderTest, RefusesWrongTypes) {
  bool flag = false;
  int64_t count = 0;
  double ratio = 0;
  std::string text;
  Duration wait;
  EXPECT_THAT(ReadError("key: yes", &flag), HasSubstr("expected true or false, found 'yes'"));
  EXPECT_THAT(ReadError("key: \"true\"", &flag), HasSubstr("found text in quotes"));
  EXPECT_THAT(ReadError("key: 1.5", &count), HasSubstr("expected a whole number, found '1.5'"));
  EXPECT_THAT(ReadError("key: 0x10", &count), HasSubstr("expected a whole number"));
  EXPECT_THAT(ReadError("key: \"8\"", &count), HasSubstr("found text in quotes"));
  EXPECT_THAT(ReadError("key: 99999999999999999999", &count), HasSubstr("a whole number"));
  EXPECT_THAT(ReadError("key: 0", &count, YamlIntRange{1, 9}), HasSubstr("allowed 1 to 9"));
  EXPECT_THAT(ReadError("key: .nan", &ratio), HasSubstr("expected a number"));
  EXPECT_THAT(ReadError("key: nan", &ratio), HasSubstr("expected a number"));
  EXPECT_THAT(ReadError("key: inf", &ratio), HasSubstr("expected a number"));
  EXPECT_THAT(ReadError("key: .inf", &ratio), HasSubstr("expected a number"));
  EXPECT_THAT(ReadError("key: 1e999", &ratio), HasSubstr("expected a number"));
  EXPECT_THAT(ReadError("key: 2", &ratio, YamlDoubleRange{0, 1}), HasSubstr("allowed 0 to 1"));
  EXPECT_THAT(ReadError("key: [1]", &text), HasSubstr("expected text, found a list"));
  EXPECT_THAT(ReadError("key:", &text), HasSubstr("found nothing (null)"));
  EXPECT_THAT(ReadError("key: ~", &count), HasSubstr("leave the key out"));
  EXPECT_THAT(ReadError("key: {a: 1}", &wait), HasSubstr("found a mapping"));
}

TEST(YamlReaderTest, InfinityOnlyWhereAllowed) {
  double ratio = 0;
  EXPECT_EQ(ReadError("key: .inf", &ratio, YamlDoubleRange{0, INFINITY}), "");
  EXPECT_TRUE(std::isinf(ratio));
}

TEST(YamlReaderTest, RefusesAnUnknownChoice) {
  const YamlDocument doc = Doc("mode: pref\n");
  const std::string modes[] = {"perf", "eff"};
  size_t mode = 0;
  EXPECT_EQ(std::string(doc.Root()->ReadChoice("mode", modes, &mode).message()),
            "c.yaml:1:7: mode: unknown value 'pref', allowed perf, eff; did you mean 'perf'?");
}

TEST(YamlReaderTest, RefusesDuplicatesAnchorsAliasesAndTags) {
  EXPECT_EQ(ParseError("a: 1\nb: 2\na: 3\n"),
            "c.yaml:3:1: key 'a' is written twice, first in line 1");
  EXPECT_THAT(ParseError("a: &x 1\n"), HasSubstr("anchors"));
  EXPECT_THAT(ParseError("a: &x [1, 2]\nb: *x\n"), HasSubstr("anchors"));
  EXPECT_THAT(ParseError("a: !!python/object 1\n"), HasSubstr("tags"));
  EXPECT_THAT(ParseError("a: !!map {}\n"), HasSubstr("tags"));
  EXPECT_THAT(ParseError("? [1, 2]\n: 3\n"), HasSubstr("a key must be text"));
  EXPECT_THAT(ParseError("~: 3\n"), HasSubstr("a key must be text"));
  EXPECT_THAT(ParseError("a: 1\n---\nb: 2\n"), HasSubstr("more than one document"));
}

TEST(YamlReaderTest, RefusesABombOfAliases) {
  std::string bomb = "a0: &a0 [x, x]\n";
  for (int i = 1; i < 30; ++i) {
    absl::StrAppend(&bomb, "a", i, ": &a", i, " [*a", i - 1, ", *a", i - 1, "]\n");
  }
  EXPECT_THAT(ParseError(bomb), StartsWith("c.yaml:1:5: anchors"));
}

TEST(YamlReaderTest, RefusesWhatIsTooLargeOrTooDeep) {
  EXPECT_THAT(ParseError("a: 12345\n", YamlLimits{4, 32, 100}), HasSubstr("more than the 4"));
  EXPECT_THAT(ParseError("[a, b, c, d]\n", YamlLimits{100, 32, 3}), HasSubstr("more than 3 val"));
  EXPECT_THAT(ParseError("[[[[1]]]]\n", YamlLimits{100, 3, 100}), HasSubstr("deeper than 3"));
  EXPECT_THAT(ParseError(std::string(100'000, '[')), HasSubstr("c.yaml:1:"));
}

TEST(YamlReaderTest, RefusesWhatIsNotYaml) {
  EXPECT_THAT(ParseError("a: [1, 2\n"), HasSubstr("not valid YAML"));
  for (const char* open : {"a: 'x", "a: 'x\n", "a: \"x\nb: 2\n", "a: 'x\n\n"}) {
    EXPECT_THAT(ParseError(open), HasSubstr("not valid YAML")) << open;
  }
  EXPECT_THAT(ParseError("- a\nb: 2\n"), StartsWith("c.yaml:"));
  EXPECT_THAT(ParseError("a: 1\n...\nb: 2\n"), HasSubstr("more than one document"));
  EXPECT_THAT(ParseError("a: b: c\n"), StartsWith("c.yaml:1:"));
  EXPECT_THAT(ParseError("\ta: 1\n"), HasSubstr("not valid YAML"));
}

TEST(YamlReaderTest, BlockTextAndEndMarksAreRead) {
  std::string text;
  EXPECT_EQ(ReadError("key: |\n  one\n  two\n", &text), "");
  EXPECT_EQ(text, "one\ntwo\n");
  EXPECT_EQ(ReadError("key: >-\n  one\n  two", &text), "");
  EXPECT_EQ(text, "one two");
  EXPECT_EQ(ReadError("key: x\n...\n", &text), "");
  EXPECT_EQ(text, "x");
}

TEST(YamlReaderTest, KeysOfFreeFormMappings) {
  const YamlDocument doc = Doc("b: 1\na: 2\n");
  EXPECT_THAT(doc.Root()->Keys(), ElementsAre("b", "a"));
}

TEST(YamlReaderTest, LoadSaysWhatIsMissing) {
  EXPECT_EQ(YamlDocument::Load("/nowhere/x.yaml").status().code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(YamlDocument::Load("/").ok());
}

}  // namespace
}  // namespace scoville
