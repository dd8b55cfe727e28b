// The tiny model loaded, and sequences run through it in chosen ways, for comparison bit by bit.
#ifndef SCOVILLE_TESTS_UNIT_MODEL_COMPUTE_MODEL_FIXTURE_H_
#define SCOVILLE_TESTS_UNIT_MODEL_COMPUTE_MODEL_FIXTURE_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/random.h"
#include "base/status_macros.h"
#include "model/compute/kv_storage.h"
#include "model/compute/transformer.h"
#include "model/gguf/gguf_file.h"
#include "tests/support/thread_team.h"
#include "tests/support/tiny_model.h"

namespace scoville::tests {

using Logits = std::vector<std::vector<float>>;  // one row per token

inline std::vector<int32_t> RandomTokens(uint64_t seed, int64_t count, int64_t vocabulary) {
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < count; ++i) {
    tokens.push_back(static_cast<int32_t>(
        RandomBelow(seed, 0, static_cast<uint64_t>(i), static_cast<uint64_t>(vocabulary))));
  }
  return tokens;
}

struct TinyModel {
  explicit TinyModel(uint64_t seed = 1) : TinyModel(TinyModelBytes(seed)) {}
  explicit TinyModel(std::vector<uint8_t> file_bytes) : bytes(std::move(file_bytes)) {
    auto parsed = model::GgufFile::Parse(bytes);
    CHECK(parsed.ok());
    file = *std::move(parsed);
    auto loaded = model::Transformer::Load(*file);
    CHECK(loaded.ok());
    transformer = *std::move(loaded);
  }

  std::vector<uint8_t> bytes;
  std::unique_ptr<model::GgufFile> file;
  std::unique_ptr<model::Transformer> transformer;
};

// One sequence in the making.
struct Stream {
  std::vector<int32_t> tokens;
  std::vector<uint32_t> blocks;
  int64_t chunk = 1 << 30;  // tokens per step
  int64_t start_step = 0;   // steps to wait before the first
  int64_t done = 0;
  Logits logits;
};

// Runs all streams to their ends, one chunk of each per step.
inline void RunStreams(const model::Transformer& transformer, model::KvStorage& kv,
                       std::vector<Stream>& streams, int lanes) {
  int64_t max_rows = 0;
  for (Stream& s : streams) {
    const auto size = static_cast<int64_t>(s.tokens.size());
    s.logits.resize(s.tokens.size());
    max_rows += std::min(s.chunk, size);
  }
  auto workspace = transformer.NewWorkspace(max_rows, lanes);
  ThreadTeam team(lanes);
  for (int64_t step = 0;; ++step) {
    std::vector<model::BatchSequence> batch;
    std::vector<Stream*> owners;
    bool waiting = false;
    for (Stream& s : streams) {
      const int64_t left = static_cast<int64_t>(s.tokens.size()) - s.done;
      if (left == 0) continue;
      waiting = true;
      if (step < s.start_step) continue;
      model::BatchSequence item;
      item.tokens = absl::MakeConstSpan(s.tokens).subspan(
          static_cast<size_t>(s.done), static_cast<size_t>(std::min(left, s.chunk)));
      item.position = s.done;
      item.kv = &kv;
      item.blocks = s.blocks;
      batch.push_back(item);
      owners.push_back(&s);
    }
    if (!waiting) return;
    if (batch.empty()) continue;
    const auto consume = [&](int sequence, int64_t row, absl::Span<float> logits) {
      Stream& s = *owners[static_cast<size_t>(sequence)];
      s.logits[static_cast<size_t>(s.done + row)].assign(logits.begin(), logits.end());
    };
    team.Run([&](int lane) { transformer.Forward(batch, *workspace, consume, team, lane); });
    for (size_t i = 0; i < batch.size(); ++i) {
      owners[i]->done += static_cast<int64_t>(batch[i].tokens.size());
    }
  }
}

// One sequence alone.
inline Logits RunAlone(const model::Transformer& transformer, const std::vector<int32_t>& tokens,
                       int64_t chunk = 1 << 30, int lanes = 1, int64_t block_size = 16,
                       bool reversed_blocks = false) {
  const int64_t blocks = (static_cast<int64_t>(tokens.size()) + block_size - 1) / block_size;
  auto kv = model::KvStorage::Create(transformer.config(), blocks + 3, block_size);
  CHECK(kv.ok());
  std::vector<Stream> streams(1);
  streams[0].tokens = tokens;
  streams[0].chunk = chunk;
  for (int64_t i = 0; i < blocks; ++i) {
    streams[0].blocks.push_back(static_cast<uint32_t>(reversed_blocks ? blocks + 2 - i : i));
  }
  RunStreams(transformer, **kv, streams, lanes);
  return streams[0].logits;
}

}  // namespace scoville::tests

#endif  // SCOVILLE_TESTS_UNIT_MODEL_COMPUTE_MODEL_FIXTURE_H_
