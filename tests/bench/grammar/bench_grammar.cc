// What constraints cost over the vocabulary of the default model; tests/bench/grammar/README.md
// says what each line is.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "model/gguf/gguf_file.h"
#include "model/grammar/constraint.h"
#include "model/text/tokenizer.h"
#include "tests/support/model_path.h"
#include "tests/support/nanoseconds.h"

namespace scoville::model {
namespace {

constexpr int kRounds = 9;

// Someone's order: strings, an enumeration, bounds, a list of objects, an optional part.
constexpr const char* kOrder = R"({
  "type": "object",
  "properties": {
    "name": {"type": "string"},
    "status": {"enum": ["open", "paid", "sent"]},
    "placed": {"type": "string", "format": "date"},
    "total": {"type": "number", "minimum": 0},
    "items": {"type": "array", "items": {"type": "object", "properties": {
        "title": {"type": "string"}, "count": {"type": "integer", "minimum": 1, "maximum": 99}},
      "required": ["title", "count"], "additionalProperties": false}},
    "note": {"anyOf": [{"type": "string"}, {"type": "null"}]}
  },
  "required": ["name", "status", "items"], "additionalProperties": false})";

constexpr const char* kOrderText =
    "{\"name\": \"Anna Lindgren\", \"status\": \"paid\", \"placed\": \"2024-05-17\", \"total\": "
    "129.5, \"items\": [{\"title\": \"a small lamp\", \"count\": 2}, {\"title\": \"paper\", "
    "\"count\": 10}], \"note\": null}";

struct Case {
  std::string name;
  ConstraintSpec spec;
  std::string text;
};

std::vector<Case> Cases() {
  using Kind = ConstraintSpec::Kind;
  return {
      {"order_schema", {Kind::kJsonSchema, kOrder, {}}, kOrderText},
      {"json_object", {Kind::kJsonObject, "", {}}, kOrderText},
      {"long_string",
       {Kind::kJsonSchema, R"({"type": "string", "maxLength": 1000})", {}},
       "\"The quick brown fox jumps over the lazy dog, again and again.\""},
      {"email_regex",
       {Kind::kRegex, "[a-z0-9_.]{1,32}@[a-z0-9]+(\\.[a-z]{2,8})+", {}},
       "someone.else@example.org"},
      {"choice", {Kind::kChoice, "", {"positive", "negative", "neutral"}}, "neutral"},
  };
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

template <typename F>
double Microseconds(F f) {
  const auto begin = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin)
      .count();
}

std::shared_ptr<const CompiledConstraint> Compile(const ConstraintSpec& spec,
                                                  const std::shared_ptr<const TokenIndex>& index,
                                                  int64_t mask_steps) {
  CompileLimits limits;
  limits.mask_steps = mask_steps;
  auto compiled = CompileConstraint(spec, index, limits);
  if (!compiled.ok()) std::fprintf(stderr, "%s\n", compiled.status().ToString().c_str());
  CHECK(compiled.ok());
  return *std::move(compiled);
}

// Mask and Accept along the text's tokens: medians and the worst step, first time and again.
void Along(const Case& c, const char* suffix, const Tokenizer& tokenizer,
           const std::shared_ptr<const CompiledConstraint>& compiled) {
  for (const char* pass : {"first", "again"}) {
    ConstraintState state = ConstraintState::Start(compiled);
    std::vector<double> masks, accepts;
    for (const int32_t token : tokenizer.Encode(c.text).tokens) {
      masks.push_back(Microseconds([&] { CHECK(!state.Mask().empty()); }));
      accepts.push_back(Microseconds([&] { CHECK(state.Accept(token)); }));
    }
    CHECK(state.MayEnd());
    std::printf(
        "{\"case\": \"%s\", \"masks\": \"%s\", \"pass\": \"%s\", \"tokens\": %zu, \"mask_us\": "
        "%.2f, \"mask_worst_us\": %.2f, \"accept_us\": %.2f, \"accept_worst_us\": %.2f}\n",
        c.name.c_str(), suffix, pass, masks.size(), Median(masks),
        *std::max_element(masks.begin(), masks.end()), Median(accepts),
        *std::max_element(accepts.begin(), accepts.end()));
  }
}

// The same tokens, each mask that is not at hand computed as for another thread: what is left to
// the engine's (asking, a copy of the state, taking the mask in), and what the other one has to do.
void AlongAside(const Case& c, const Tokenizer& tokenizer,
                const std::shared_ptr<const CompiledConstraint>& compiled) {
  ConstraintState state = ConstraintState::Start(compiled);
  std::vector<double> engine, aside;
  for (const int32_t token : tokenizer.Encode(c.text).tokens) {
    std::optional<ConstraintState> copy;
    double own = Microseconds([&] {
      if (!state.HasMask()) copy.emplace(state);
    });
    if (copy) {
      TokenMask mask, drawn_by;
      aside.push_back(Microseconds([&] { mask = copy->ComputeMask(); }));
      own += Microseconds([&] {
        copy->KeepMask(mask);
        drawn_by = mask;
      });
      engine.push_back(own);
    }
    CHECK(state.Accept(token));
  }
  std::printf(
      "{\"case\": \"%s\", \"pass\": \"aside\", \"computed\": %zu, \"engine_us\": %.2f, "
      "\"engine_worst_us\": %.2f, \"aside_us\": %.1f, \"aside_worst_us\": %.1f}\n",
      c.name.c_str(), engine.size(), Median(engine),
      *std::max_element(engine.begin(), engine.end()), Median(aside),
      *std::max_element(aside.begin(), aside.end()));
}

void Run(const Tokenizer& tokenizer) {
  std::vector<double> times;
  std::shared_ptr<const TokenIndex> index;
  for (int i = 0; i < kRounds; ++i) {
    times.push_back(Microseconds([&] { index = *TokenIndex::Create(tokenizer); }));
  }
  std::printf("{\"case\": \"index\", \"us\": %.0f, \"nodes\": %zu, \"bytes\": %lld}\n",
              Median(times), index->nodes().size(), static_cast<long long>(index->bytes()));
  for (const Case& c : Cases()) {
    for (const int64_t mask_steps : {int64_t{0}, CompileLimits{}.mask_steps}) {
      times.clear();
      std::shared_ptr<const CompiledConstraint> compiled;
      for (int i = 0; i < kRounds; ++i) {
        times.push_back(Microseconds([&] { compiled = Compile(c.spec, index, mask_steps); }));
      }
      const char* suffix = mask_steps == 0 ? "none" : "made";
      std::printf(
          "{\"case\": \"%s\", \"masks\": \"%s\", \"compile_us\": %.0f, \"steps\": %lld, "
          "\"rule_states\": %lld, \"different_masks\": %lld, \"cache_bytes\": %lld}\n",
          c.name.c_str(), suffix, Median(times), static_cast<long long>(compiled->compile_steps()),
          static_cast<long long>(compiled->rule_states()),
          static_cast<long long>(compiled->masks()),
          static_cast<long long>(compiled->cache_bytes()));
      Along(c, suffix, tokenizer, compiled);
      if (mask_steps == 0) {
        AlongAside(c, tokenizer, Compile(c.spec, index, mask_steps));
      }
    }
  }
  const auto compiled = Compile(Cases()[0].spec, index, CompileLimits{}.mask_steps);
  const ConstraintState state = ConstraintState::Start(compiled);
  tests::ReportNanoseconds("cached_mask", 1'000'000,
                           [&](int64_t i) { return state.Mask()[static_cast<size_t>(i % 1536)]; });
  TokenMask mask;
  tests::ReportNanoseconds("cached_fill", 100'000, [&](int64_t i) {
    state.FillMask(&mask);
    return mask[static_cast<size_t>(i % 1536)];
  });
}

}  // namespace
}  // namespace scoville::model

int main() {
  const auto file = scoville::model::GgufFile::Open(scoville::tests::ModelPath());
  CHECK(file.ok());
  const auto tokenizer = scoville::model::Tokenizer::Create(**file);
  CHECK(tokenizer.ok());
  scoville::model::Run(**tokenizer);
  return 0;
}
