// The real model's arithmetic, on a scale that a test may take; the whole comparison with other
// engines is tests/reference/compare_with_llama_cpp.py.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "base/compute_pool.h"
#include "model/compute/sampler.h"
#include "model/compute/transformer.h"
#include "model/loaded_model.h"
#include "model/text/detokenizer.h"
#include "tests/reference/reference_transformer.h"
#include "tests/support/model_path.h"

namespace scoville::tests {
namespace {

constexpr int64_t kBlock = 16;
constexpr int64_t kBlocks = 16;

// One sequence on pages of its own, computed as the core would.
class Sequence {
 public:
  explicit Sequence(const model::Transformer& transformer)
      : transformer_(transformer),
        kv_(*model::KvStorage::Create(transformer.config(), kBlocks, kBlock)),
        workspace_(transformer.NewWorkspace(kBlock * kBlocks, 1)),
        blocks_(kBlocks) {
    std::iota(blocks_.begin(), blocks_.end(), 0u);
  }

  // Logits of the rows of `tokens` from `first_output_row` on.
  std::vector<std::vector<float>> Run(const std::vector<int32_t>& tokens,
                                      int64_t first_output_row) {
    const int64_t rows = static_cast<int64_t>(tokens.size());
    std::vector<std::vector<float>> logits(tokens.size());
    const model::BatchSequence sequence{tokens, position_, kv_.get(), blocks_, first_output_row};
    SoloTeam team;
    transformer_.Forward(
        {&sequence, 1}, *workspace_,
        [&](int, int64_t row, absl::Span<float> row_logits) {
          logits[static_cast<size_t>(row)].assign(row_logits.begin(), row_logits.end());
        },
        team, 0);
    position_ += rows;
    return logits;
  }

 private:
  const model::Transformer& transformer_;
  const std::unique_ptr<model::KvStorage> kv_;
  const std::unique_ptr<model::Transformer::Workspace> workspace_;
  std::vector<uint32_t> blocks_;
  int64_t position_ = 0;
};

// llama.cpp stands at a mean KL of 0.0038 from this reference over a larger corpus, ours at 0.0017;
// a wrong weight, a swapped head or a lost scale is orders of magnitude above.
TEST(RealModelTest, StaysCloseToPlainArithmeticOnTheSameWeights) {
  const std::string path = ModelPath();
  SCOVILLE_REQUIRE_MODEL(path);
  const auto loaded = model::LoadModel(path, model::LoadWeights::kYes);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  const auto file = model::GgufFile::Open(path);
  ASSERT_TRUE(file.ok());
  const auto reference = ReferenceTransformer::Load(**file);
  ASSERT_TRUE(reference.ok()) << reference.status();

  std::vector<int32_t> tokens =
      (*loaded)
          ->tokenizer
          ->Encode(
              "Water boils when the pressure of its vapour equals that of the air above it. On a "
              "mountain the air presses less, so soup takes longer to cook:\n"
              "for metres in (0, 1000, 3000):\n    print(metres, 100 - metres / 300)\n")
          .tokens;
  tokens.resize(std::min<size_t>(tokens.size(), 64));
  const auto ours = Sequence(*(*loaded)->transformer).Run(tokens, 0);
  const auto exact = (*reference)->Run(tokens);
  double divergence = 0;
  int same_top = 0;
  for (size_t p = 0; p < tokens.size(); ++p) {
    const std::vector<double> a = LogSoftmax(exact[p]);
    const std::vector<double> b = LogSoftmax(ours[p]);
    for (size_t v = 0; v < a.size(); ++v) {
      divergence += std::exp(a[v]) * (a[v] - b[v]) / static_cast<double>(tokens.size());
    }
    const auto top = [](const std::vector<float>& row) {
      return std::max_element(row.begin(), row.end()) - row.begin();
    };
    same_top += top(exact[p]) == top(ours[p]) ? 1 : 0;
  }
  RecordProperty("mean_kl_micro", static_cast<int>(divergence * 1e6));
  EXPECT_LT(divergence, 0.0076);
  EXPECT_GE(same_top, static_cast<int>(tokens.size()) - 6);
}

// Pinned: the tokens of a greedy answer are part of the contract, on every instruction set.
TEST(RealModelTest, AGreedyAnswerIsPinned) {
  const std::string path = ModelPath();
  SCOVILLE_REQUIRE_MODEL(path);
  const auto loaded = model::LoadModel(path, model::LoadWeights::kYes);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  const model::ChatMessage question{"user", "What is gravity?"};
  std::vector<int32_t> tokens = (*loaded)->chat_template->Render({&question, 1}, false)->tokens;
  const int64_t prompt = static_cast<int64_t>(tokens.size());
  model::SamplingParams greedy;
  greedy.temperature = 0;
  Sequence sequence(*(*loaded)->transformer);
  model::Detokenizer detokenizer((*loaded)->tokenizer.get(), {});
  std::string text;
  std::vector<int32_t> next = tokens;
  for (int i = 0; i < 22; ++i) {
    auto logits = sequence.Run(next, static_cast<int64_t>(next.size()) - 1);
    const model::SampledToken token =
        model::Sample(absl::MakeSpan(logits.back()), greedy, {tokens, prompt, {}});
    tokens.push_back(token.token);
    next = {token.token};
    text += detokenizer.Append(token.token);
  }
  EXPECT_EQ(text,
            "Gravity is a fundamental concept in physics that describes the curvature of spacetime "
            "caused by the presence of mass. It");
}

}  // namespace
}  // namespace scoville::tests
