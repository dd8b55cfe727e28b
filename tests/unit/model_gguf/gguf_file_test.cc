#include "model/gguf/gguf_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/random.h"
#include "model/gguf/model_config_from_gguf.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/tiny_model.h"

namespace scoville::model {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using tests::GgufWriter;

constexpr uint32_t kArray = 9;

// The error that reading what `writer` wrote gives; empty if it is read.
std::string ErrorOf(const GgufWriter& writer) {
  const std::vector<uint8_t> bytes = writer.Finish();
  auto file = GgufFile::Parse(bytes);
  return file.ok() ? "" : std::string(file.status().message());
}

std::vector<uint8_t> Bytes(size_t n) { return std::vector<uint8_t>(n); }

TEST(GgufFileTest, GivesBackWhatWasWritten) {
  GgufWriter writer;
  writer.AddUint32("a.int", 4'000'000'000u);
  writer.AddFloat("a.float", 0.5f);
  writer.AddBool("a.bool", true);
  writer.AddString("a.string", "héllo");
  writer.AddStringArray("a.strings", {"x", "", "yz"});
  writer.AddIntArray("a.ints", {-1, 7});
  writer.AddFloatArray("a.floats", {1.5f});
  writer.AddTensor("t", GgmlType::kQ4_1, {64, 3}, Bytes(120));
  writer.AddTensor("u", GgmlType::kF32, {2}, {0, 0, 0x80, 0x3f, 0, 0, 0, 0x40});
  const std::vector<uint8_t> bytes = writer.Finish();
  auto file = GgufFile::Parse(bytes);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_TRUE((*file)->Has("a.int"));
  EXPECT_FALSE((*file)->Has("a.in"));
  EXPECT_EQ(*(*file)->GetInt("a.int"), 4'000'000'000);
  EXPECT_EQ(*(*file)->GetFloat("a.float"), 0.5);
  EXPECT_TRUE(*(*file)->GetBool("a.bool"));
  EXPECT_EQ(*(*file)->GetString("a.string"), "héllo");
  EXPECT_THAT(*(*file)->GetStringArray("a.strings"), ElementsAre("x", "", "yz"));
  EXPECT_THAT(*(*file)->GetIntArray("a.ints"), ElementsAre(-1, 7));
  EXPECT_THAT(*(*file)->GetFloatArray("a.floats"), ElementsAre(1.5f));
  ASSERT_EQ((*file)->tensors().size(), 2u);
  const TensorInfo* t = (*file)->FindTensor("t");
  ASSERT_NE(t, nullptr);
  EXPECT_EQ(t->row_length(), 64);
  EXPECT_EQ(t->rows(), 3);
  EXPECT_EQ(t->data.size(), 120u);
  EXPECT_EQ((*file)->FindTensor("u")->data[2], 0x80);
  EXPECT_EQ((*file)->FindTensor("v"), nullptr);
}

TEST(GgufFileTest, AMissingKeyAndAWrongTypeAreToldApart) {
  GgufWriter writer;
  writer.AddString("s", "text");
  writer.AddRaw("big", 10, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff});
  const std::vector<uint8_t> bytes = writer.Finish();
  auto file = GgufFile::Parse(bytes);
  ASSERT_TRUE(file.ok());
  EXPECT_TRUE(absl::IsNotFound((*file)->GetInt("none").status()));
  const absl::Status wrong = (*file)->GetInt("s").status();
  EXPECT_TRUE(absl::IsInvalidArgument(wrong));
  EXPECT_THAT(std::string(wrong.message()), HasSubstr("`s` is string, expected an integer"));
  EXPECT_TRUE(absl::IsInvalidArgument((*file)->GetInt("big").status()));
  EXPECT_FALSE((*file)->GetStringArray("s").ok());
  EXPECT_FALSE((*file)->GetIntArray("s").ok());
}

TEST(GgufFileTest, HeadersThatLieAreRefused) {
  GgufWriter version;
  version.set_version(1);
  EXPECT_THAT(ErrorOf(version), HasSubstr("version 1 is not supported"));
  version.set_version(0x03000000);
  EXPECT_THAT(ErrorOf(version), HasSubstr("big-endian"));
  GgufWriter counts;
  counts.set_extra_counts(uint64_t{1} << 62, 0);
  EXPECT_THAT(ErrorOf(counts), HasSubstr("tensors is not credible"));
  counts.set_extra_counts(0, UINT64_MAX);
  EXPECT_THAT(ErrorOf(counts), HasSubstr("keys is not credible"));
  const std::vector<uint8_t> noise = {'G', 'G', 'M', 'L', 3, 0, 0, 0};
  EXPECT_THAT(std::string(GgufFile::Parse(noise).status().message()), HasSubstr("not a GGUF file"));
  EXPECT_FALSE(GgufFile::Parse({}).ok());
}

TEST(GgufFileTest, ValuesThatLieAreRefused) {
  GgufWriter nested;
  nested.AddRaw("k", kArray, {9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0});
  EXPECT_THAT(ErrorOf(nested), HasSubstr("array of arrays"));
  GgufWriter long_array;
  long_array.AddRaw("k", kArray, {4, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f});
  EXPECT_THAT(ErrorOf(long_array), HasSubstr("does not fit"));
  GgufWriter long_strings;
  long_strings.AddRaw("k", kArray, {8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20});
  EXPECT_THAT(ErrorOf(long_strings), HasSubstr("does not fit"));
  GgufWriter long_string;
  long_string.AddRaw("k", 8, {0xff, 0, 0, 0, 0, 0, 0, 0});
  EXPECT_THAT(ErrorOf(long_string), HasSubstr("(key `k`)"));
  GgufWriter type;
  type.AddRaw("k", 13, {0, 0, 0, 0});
  EXPECT_THAT(ErrorOf(type), HasSubstr("value type 13 is unknown"));
  GgufWriter boolean;
  boolean.AddRaw("k", 7, {2});
  EXPECT_THAT(ErrorOf(boolean), HasSubstr("a bool holds 2"));
  GgufWriter twice;
  twice.AddUint32("k", 1);
  twice.AddUint32("k", 1);
  EXPECT_THAT(ErrorOf(twice), HasSubstr("`k` appears twice"));
  GgufWriter split;
  split.AddUint32("split.count", 3);
  EXPECT_THAT(ErrorOf(split), HasSubstr("split over 3 files"));
  GgufWriter whole;
  whole.AddUint32("split.count", 1);
  EXPECT_EQ(ErrorOf(whole), "");
  for (const uint32_t alignment : {0u, 1u, 4u, 48u, 1u << 21}) {
    GgufWriter aligned;
    aligned.AddUint32("general.alignment", alignment);
    EXPECT_THAT(ErrorOf(aligned), HasSubstr("general.alignment is")) << alignment;
  }
}

TEST(GgufFileTest, TensorsThatLieAreRefused) {
  const auto error = [](uint32_t type, const std::vector<uint64_t>& dims, uint64_t offset,
                        const std::string& name = "x") {
    GgufWriter writer;
    writer.AddTensor("first", GgmlType::kF32, {16}, Bytes(64));
    writer.AddRawTensor(name, type, dims, offset);
    return ErrorOf(writer);
  };
  EXPECT_THAT(error(0, {8}, 0), HasSubstr("overlap"));
  EXPECT_THAT(error(0, {8}, 32), HasSubstr("overlap"));
  EXPECT_THAT(error(0, {8}, 64), HasSubstr("truncated"));
  EXPECT_THAT(error(0, {8}, UINT64_MAX - 31), HasSubstr("truncated"));
  EXPECT_THAT(error(0, {1}, 4), HasSubstr("no multiple of the alignment"));
  EXPECT_THAT(error(0, {}, 64), HasSubstr("0 dimensions"));
  EXPECT_THAT(error(0, {1, 1, 1, 1, 1}, 64), HasSubstr("5 dimensions"));
  EXPECT_THAT(error(0, {0}, 64), HasSubstr("dimension 0 is 0"));
  EXPECT_THAT(error(0, {uint64_t{1} << 63}, 64), HasSubstr("dimension 0 is"));
  EXPECT_THAT(error(0, {uint64_t{1} << 62, uint64_t{1} << 62}, 64), HasSubstr("overflow"));
  EXPECT_THAT(error(3, {33}, 64), HasSubstr("not whole blocks of 32"));
  EXPECT_THAT(error(10, {256}, 64), HasSubstr("type 10 (Q2_K)"));
  EXPECT_THAT(error(77, {256}, 64), HasSubstr("type 77 (unknown)"));
  EXPECT_THAT(error(0, {8}, 64, "first"), HasSubstr("appears twice"));
  EXPECT_THAT(error(0, {8}, 64, std::string(300, 'n')), HasSubstr("has length 300"));
  EXPECT_THAT(error(0, {8}, 64, ""), HasSubstr("no name"));
}

TEST(GgufFileTest, EveryTruncationOfAFileIsAnError) {
  const std::vector<uint8_t> whole = tests::TinyModelBytes(1);
  ASSERT_TRUE(GgufFile::Parse(whole).ok());
  for (size_t size = 0; size + 32 < whole.size(); size += size < 12'000 ? 1 : 997) {
    EXPECT_FALSE(GgufFile::Parse({whole.data(), size}).ok()) << size;
  }
}

TEST(GgufFileTest, OpensFilesAndSaysWhyNot) {
  const std::string dir = tests::MakeTempDir();
  const std::string path = tests::WriteTinyModel(dir, 3);
  auto file = GgufFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ((*file)->path(), path);
  EXPECT_TRUE(absl::IsNotFound(GgufFile::Open(dir + "/none.gguf").status()));
  EXPECT_THAT(std::string(GgufFile::Open(dir).status().message()), HasSubstr("not a regular file"));
  const std::string empty = dir + "/empty.gguf";
  std::ofstream(empty).close();
  EXPECT_THAT(std::string(GgufFile::Open(empty).status().message()), HasSubstr("is empty"));
  std::filesystem::remove_all(dir);
}

TEST(TinyModelTest, IsEqualForEqualSeedsOnly) {
  EXPECT_EQ(tests::TinyModelBytes(1), tests::TinyModelBytes(1));
  EXPECT_NE(tests::TinyModelBytes(1), tests::TinyModelBytes(2));
}

}  // namespace
}  // namespace scoville::model
