// Compiles a constraint over the tiny vocabulary with a small budget and walks through its masks.
#ifndef SCOVILLE_TESTS_FUZZ_WALK_MASKS_H_
#define SCOVILLE_TESTS_FUZZ_WALK_MASKS_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "base/status_macros.h"
#include "model/gguf/gguf_file.h"
#include "model/grammar/constraint.h"
#include "model/text/tokenizer.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/tiny_model.h"

namespace scoville::tests {

inline std::shared_ptr<const model::TokenIndex> TinyIndex() {
  GgufWriter writer;
  AddTinyTokenizer(writer);
  const std::vector<uint8_t> bytes = writer.Finish();
  auto file = model::GgufFile::Parse(bytes);
  CHECK(file.ok());
  auto tokenizer = model::Tokenizer::Create(**file);
  CHECK(tokenizer.ok());
  auto index = model::TokenIndex::Create(**tokenizer);
  CHECK(index.ok());
  return *std::move(index);
}

// The text if the walk came to an end within 48 tokens.
inline std::optional<std::string> WalkMasks(const model::ConstraintSpec& spec) {
  static const auto& index = *new std::shared_ptr<const model::TokenIndex>(TinyIndex());
  model::CompileLimits limits;
  limits.max_steps = 300'000;
  limits.max_states = 4'000;
  limits.max_bytes = 8 << 20;
  limits.mask_steps = 2'000;
  limits.cache_bytes = 100'000;
  const auto compiled = model::CompileConstraint(spec, index, limits);
  if (!compiled.ok()) {
    CHECK(!compiled.status().message().empty());
    return std::nullopt;
  }
  CHECK((*compiled)->compile_steps() <= 2 * limits.max_steps);
  auto state = model::ConstraintState::Start(*compiled);
  std::string text;
  for (uint64_t step = 0; step < 48; ++step) {
    const auto mask = state.Mask();
    std::vector<int32_t> allowed;
    for (int32_t t = 0; t < index->vocabulary(); ++t) {
      const auto bit = static_cast<uint32_t>(t);
      if (((mask[bit / 32] >> (bit % 32)) & 1) != 0) allowed.push_back(t);
    }
    CHECK(!allowed.empty());
    const int32_t token = allowed[RandomBelow(1, 2, step, allowed.size())];
    CHECK(state.Accept(token));
    if (state.ended()) return text;
    text += std::string(index->Bytes(token));
    if (state.MayEnd() && step > 24) return text;
  }
  return std::nullopt;
}

}  // namespace scoville::tests

#endif  // SCOVILLE_TESTS_FUZZ_WALK_MASKS_H_
