// The shipped profiles' operator prices next to measured calls (tests/data/operators) that none of
// their constants was fitted to. Bounds: the errors listed there, and a little for the rounding of
// the constants.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "device/physics/operator_cost.h"
#include "device/physics/profile.h"

namespace scoville::device {
namespace {

using Row = std::map<std::string, std::string>;

std::vector<Row> Read(const std::string& name) {
  std::ifstream file(absl::StrCat(SCOVILLE_SOURCE_DIR, "/tests/data/operators/", name, ".csv"));
  std::string line;
  CHECK(std::getline(file, line));
  const std::vector<std::string> header = absl::StrSplit(line, ',');
  std::vector<Row> rows;
  while (std::getline(file, line)) {
    const std::vector<std::string> fields = absl::StrSplit(line, ',');
    CHECK_EQ(fields.size(), header.size());
    Row row;
    for (size_t i = 0; i < fields.size(); ++i) {
      row[header[i]] = fields[i];
    }
    rows.push_back(row);
  }
  return rows;
}

double Number(const Row& row, const std::string& column) {
  double value = 0;
  CHECK(absl::SimpleAtod(row.at(column), &value));
  return value;
}

Profile Builtin(const std::string& name) {
  absl::StatusOr<Profile> profile = BuiltinProfile(name);
  CHECK(profile.ok());
  return *std::move(profile);
}

// Errors of predictions in percent of what was measured.
class Errors {
 public:
  void Add(double predicted, double measured) {
    errors_.push_back(100 * std::abs(predicted / measured - 1));
  }
  void Expect(size_t rows, double median, double p90) {
    std::sort(errors_.begin(), errors_.end());
    EXPECT_EQ(errors_.size(), rows);
    EXPECT_LE(Quantile(0.5), median + kSlack);
    EXPECT_LE(Quantile(0.9), p90 + kSlack);
    // A bound that is far from what comes out says nothing.
    EXPECT_GE(Quantile(0.5), median - kSlack);
    EXPECT_GE(Quantile(0.9), p90 - kSlack);
  }

 private:
  static constexpr double kSlack = 0.3;

  double Quantile(double q) const {
    const double place = q * static_cast<double>(errors_.size() - 1);
    const size_t below = static_cast<size_t>(place);
    const size_t above = std::min(below + 1, errors_.size() - 1);
    return errors_[below] +
           (place - static_cast<double>(below)) * (errors_[above] - errors_[below]);
  }

  std::vector<double> errors_;
};

Errors Products(const std::string& file, const std::string& profile, MathType math) {
  const Profile p = Builtin(profile);
  Errors errors;
  for (const Row& row : Read(file)) {
    errors.Add(TimeGemm(p, math, {Number(row, "m"), Number(row, "n"), Number(row, "k")}).Seconds(),
               Number(row, "latency_ms") * 1e-3);
  }
  return errors;
}

TEST(OperatorExcerptsTest, Products) {
  Products("h100_gemm_bfloat16", "h100-sxm", MathType::kBf16).Expect(36, 7.8, 15.8);
  Products("h100_gemm_fp8", "h100-sxm", MathType::kFp8).Expect(36, 7.0, 34.1);
  Products("b200_gemm_bfloat16", "b200-sxm", MathType::kBf16).Expect(36, 4.4, 22.9);
}

AttentionShape ShapeOfRow(const Row& row) {
  return {Number(row, "num_heads"), Number(row, "num_kv_heads"), 128,
          row.at("kv_dtype") == "fp8" ? 1.0 : 2.0};
}

Errors Decodes(const std::string& chip) {
  const Profile p = Builtin(chip + "-sxm");
  Errors errors;
  for (const Row& row : Read(chip + "_generation_attention")) {
    const double tiles = std::ceil((Number(row, "isl") + Number(row, "step")) / kKvTile);
    const double batch = Number(row, "batch_size");
    errors.Add(TimeDecodes(p, ShapeOfRow(row), {batch, batch * tiles, tiles}).Seconds(),
               Number(row, "latency_ms") * 1e-3);
  }
  return errors;
}

Errors Prompts(const std::string& chip) {
  const Profile p = Builtin(chip + "-sxm");
  Errors errors;
  for (const Row& row : Read(chip + "_context_attention")) {
    PrefillSums sums = PrefillOf(p, ShapeOfRow(row), Number(row, "isl"), 0);
    for (double* sum : {&sums.tokens, &sums.tiles, &sums.items, &sums.item_rows}) {
      *sum *= Number(row, "batch_size");
    }
    errors.Add(TimePrefill(p, ShapeOfRow(row), sums).Seconds(), Number(row, "latency_ms") * 1e-3);
  }
  return errors;
}

TEST(OperatorExcerptsTest, Attention) {
  Decodes("h100").Expect(34, 7.4, 22.5);
  Decodes("b200").Expect(32, 7.5, 26.1);
  Prompts("h100").Expect(36, 7.4, 25.4);
  Prompts("b200").Expect(36, 4.1, 18.7);
}

// On two GPUs, each with half of the heads.
Errors MixedSteps(const std::string& model, double heads) {
  const Profile p = Builtin("rtx-pro-6000-server");
  const AttentionShape shape{heads, 4, 128, 2};
  Errors errors;
  for (const Row& row : Read(absl::StrCat("rtxpro6000_", model, "_tp2_attention"))) {
    const double tiles = std::ceil(Number(row, "kv_decode") / kKvTile);
    const double count = Number(row, "n_decode");
    const DecodeSums decodes{count, count * tiles, tiles};
    const double chunk = Number(row, "prefill_chunk");
    const double seconds =
        chunk == 0 ? TimeDecodes(p, shape, decodes).Seconds()
                   : TimeOneLaunch(p, shape, PrefillOf(p, shape, chunk, Number(row, "kv_prefill")),
                                   decodes)
                         .Seconds();
    errors.Add(seconds, Number(row, "time_us") * 1e-6);
  }
  return errors;
}

TEST(OperatorExcerptsTest, StepsOfOneLaunch) {
  MixedSteps("Llama-3.1-8B", 16).Expect(36, 19.3, 41.5);
  MixedSteps("Qwen3-32B", 32).Expect(36, 9.8, 49.7);
}

TEST(OperatorExcerptsTest, AllReduces) {
  const Profile p = Builtin("h100-sxm");
  Errors errors;
  for (const Row& row : Read("h100_custom_allreduce")) {
    const AllReduceTime t = TimeAllReduce(p, Number(row, "num_gpus"),
                                          2 * Number(row, "message_size"), p.local_bandwidth.value);
    errors.Add(t.latency_seconds + t.transfer_seconds, Number(row, "latency_ms") * 1e-3);
  }
  errors.Expect(14, 9.4, 33.2);
}

TEST(OperatorExcerptsTest, ProductsOfLayers) {
  const Profile p = Builtin("a100-80g-sxm");
  Errors errors;
  for (const Row& row : Read("a100_Meta-Llama-3-8B_mlp")) {
    const double tp = Number(row, "tp");
    for (const auto& [column, n, k] : {std::tuple{"attn_pre_proj_ms", 6144 / tp, 4096.0},
                                       std::tuple{"attn_post_proj_ms", 4096.0, 4096 / tp},
                                       std::tuple{"mlp_up_proj_ms", 28672 / tp, 4096.0},
                                       std::tuple{"mlp_down_proj_ms", 4096.0, 14336 / tp}}) {
      errors.Add(TimeGemm(p, MathType::kBf16, {Number(row, "num_tokens"), n, k}).Seconds(),
                 Number(row, column) * 1e-3);
    }
  }
  errors.Expect(120, 4.9, 13.2);
}

TEST(OperatorExcerptsTest, ProductsOfLayersOnTwo) {
  const Profile p = Builtin("rtx-pro-6000-server");
  const std::map<std::string, std::pair<double, double>> llama = {{"qkv_proj", {3072, 4096}},
                                                                  {"o_proj", {4096, 2048}},
                                                                  {"gate_up_proj", {14336, 4096}},
                                                                  {"down_proj", {4096, 7168}}};
  const std::map<std::string, std::pair<double, double>> qwen = {{"qkv_proj", {5120, 5120}},
                                                                 {"o_proj", {5120, 4096}},
                                                                 {"gate_up_proj", {25600, 5120}},
                                                                 {"down_proj", {5120, 12800}}};
  const auto errors_of = [&](const std::string& file, const auto& shapes) {
    Errors errors;
    for (const Row& row : Read(file)) {
      const auto shape = shapes.find(row.at("layer"));
      if (shape != shapes.end()) {
        const auto& [n, k] = shape->second;
        errors.Add(TimeGemm(p, MathType::kBf16, {Number(row, "tokens"), n, k}).Seconds(),
                   Number(row, "time_us") * 1e-6);
      }
    }
    return errors;
  };
  errors_of("rtxpro6000_Llama-3.1-8B_tp2_dense", llama).Expect(30, 5.3, 16.3);
  errors_of("rtxpro6000_Qwen3-32B_tp2_dense", qwen).Expect(29, 5.7, 14.0);
}

}  // namespace
}  // namespace scoville::device
