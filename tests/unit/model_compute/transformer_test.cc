#include "model/compute/transformer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/reference/reference_transformer.h"
#include "tests/unit/model_compute/each_target.h"
#include "tests/unit/model_compute/model_fixture.h"

namespace scoville::tests {
namespace {

// Bits, not values: NaN and the sign of zero count.
void ExpectSameBits(const Logits& a, const Logits& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(a[i].size(), b[i].size()) << "position " << i;
    ASSERT_EQ(std::memcmp(a[i].data(), b[i].data(), a[i].size() * sizeof(float)), 0)
        << "position " << i;
  }
}

TEST(Transformer, AgreesWithTheReference) {
  const TinyModel tiny;
  const auto reference = ReferenceTransformer::Load(*tiny.file);
  ASSERT_TRUE(reference.ok()) << reference.status();
  const std::vector<int32_t> tokens = RandomTokens(5, 70, tiny.transformer->config().vocabulary);
  const Logits ours = RunAlone(*tiny.transformer, tokens);
  const Logits theirs = (*reference)->Run(tokens);
  double divergence = 0.0;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const std::vector<double> p = LogSoftmax(theirs[i]);
    const std::vector<double> q = LogSoftmax(ours[i]);
    for (size_t j = 0; j < p.size(); ++j) divergence += std::exp(p[j]) * (p[j] - q[j]);
  }
  // What 8-bit activations cost on this noisy little model; a wrong graph is above 1.
  EXPECT_LT(divergence / static_cast<double>(tokens.size()), 0.01);
}

TEST(Transformer, ChunksAndLanesAndBlocksDoNotMatter) {
  const TinyModel tiny;
  const std::vector<int32_t> tokens = RandomTokens(6, 150, tiny.transformer->config().vocabulary);
  const Logits whole = RunAlone(*tiny.transformer, tokens);
  for (const int64_t chunk : {1, 7, 64}) {
    SCOPED_TRACE(chunk);
    ExpectSameBits(whole, RunAlone(*tiny.transformer, tokens, chunk));
    ExpectSameBits(whole, RunAlone(*tiny.transformer, tokens, chunk, 2));
    ExpectSameBits(whole, RunAlone(*tiny.transformer, tokens, chunk, 3, 32, true));
  }
  ExpectSameBits(whole, RunAlone(*tiny.transformer, tokens, 1 << 30, 2, 64));
}

TEST(Transformer, AloneIsAsAmong32Others) {
  const TinyModel tiny;
  const model::ModelConfig& config = tiny.transformer->config();
  auto kv = model::KvStorage::Create(config, 33 * 8, 16);
  ASSERT_TRUE(kv.ok());
  for (const int lanes : {1, 2}) {
    std::vector<Stream> streams(33);
    for (size_t s = 0; s < streams.size(); ++s) {
      const auto length = static_cast<int64_t>(1 + RandomBelow(9, 1, s, 100));
      streams[s].tokens = RandomTokens(100 + s, length, config.vocabulary);
      streams[s].chunk = static_cast<int64_t>(1 + RandomBelow(9, 2, s, 20));
      streams[s].start_step = static_cast<int64_t>(RandomBelow(9, 3, s, 10));
      // Neighbouring positions lie in far pages, and pages of sequences interleave.
      for (uint32_t b = 0; b < 8; ++b) {
        streams[s].blocks.push_back((7 - b) * 33 + static_cast<uint32_t>(s));
      }
    }
    RunStreams(*tiny.transformer, **kv, streams, lanes);
    for (const Stream& s : streams) {
      ExpectSameBits(s.logits, RunAlone(*tiny.transformer, s.tokens));
    }
  }
}

TEST(Transformer, AllTargetsGiveTheSameBits) {
  const TinyModel tiny;
  const std::vector<int32_t> tokens = RandomTokens(8, 90, tiny.transformer->config().vocabulary);
  const Logits best = RunAlone(*tiny.transformer, tokens, 33);
  const int targets = ForEachTarget([&](const char* name) {
    SCOPED_TRACE(name);
    for (const int64_t chunk : {1, 2, 5, 33}) {
      ExpectSameBits(best, RunAlone(*tiny.transformer, tokens, chunk));
    }
  });
  EXPECT_GE(targets, 1);
}

TEST(Transformer, OutputsOnlyTheRowsThatAreWanted) {
  const TinyModel tiny;
  const std::vector<int32_t> tokens = RandomTokens(3, 200, tiny.transformer->config().vocabulary);
  const Logits all = RunAlone(*tiny.transformer, tokens);
  auto kv = model::KvStorage::Create(tiny.transformer->config(), 20, 16);
  ASSERT_TRUE(kv.ok());
  std::vector<uint32_t> blocks;
  for (uint32_t b = 0; b < 13; ++b) blocks.push_back(b);
  auto workspace = tiny.transformer->NewWorkspace(200, 1);
  SoloTeam team;
  for (const int64_t first : {0, 130, 199, 200}) {
    model::BatchSequence sequence{tokens, 0, kv->get(), blocks, first};
    Logits got;
    tiny.transformer->Forward(
        {sequence}, *workspace,
        [&](int, int64_t row, absl::Span<float> logits) {
          EXPECT_EQ(row, first + static_cast<int64_t>(got.size()));
          got.emplace_back(logits.begin(), logits.end());
        },
        team, 0);
    ExpectSameBits(got, Logits(all.begin() + first, all.end()));
  }
}

}  // namespace
}  // namespace scoville::tests
