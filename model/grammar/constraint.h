// Constrained decoding: JSON Schema, JSON object, regular expression and choice as sets of allowed
// tokens.
//
//   auto index = TokenIndex::Create(tokenizer);                   // once a tokenizer
//   auto compiled = CompileConstraint(spec, index, limits);       // any thread
//   auto state = ConstraintState::Start(*compiled);               // a value of the request
//   context.allowed = state.Mask();  token = Sample(...);  state.Accept(token);
//
// A constraint becomes rules, each a deterministic automaton over classes of bytes and calls of
// other rules; a state is the set of (automaton state, stack of returns) that the bytes so far
// allow (README.md). What cannot be finished is cut off when compiling, so an allowed token never
// leads to where neither a token nor the end is possible.
//
// Units: bytes, token ids; a mask has one bit a token, bit i of word i / 32 first. Ownership: a
// state shares the compiled constraint, which shares the index; both are freed with the last
// holder. Threading: CompileConstraint and ConstraintState::ComputeMask are pure and may run on any
// thread at once. All else of the states of one compiled constraint belongs to one thread (the
// engine's): they share its cache of states and masks. Made when compiling are at most a quarter of
// `cache_bytes`, which stay; found later are at most `cache_bytes` and one mask's work more. The
// cache decides about time alone, never about an answer. Errors:
// kInvalidArgument says what is wrong, where (a JSON pointer or the byte of the pattern) and what
// to do; kResourceExhausted which bound was met; kCancelled.
#ifndef SCOVILLE_MODEL_GRAMMAR_CONSTRAINT_H_
#define SCOVILLE_MODEL_GRAMMAR_CONSTRAINT_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "model/grammar/compile_limits.h"
#include "model/grammar/token_index.h"
#include "model/text/tokenizer.h"

namespace scoville::model {

struct ConstraintSpec {
  enum class Kind { kNone, kJsonSchema, kJsonObject, kRegex, kChoice };
  Kind kind = Kind::kNone;
  std::string text;                  // the schema or the pattern
  std::vector<std::string> choices;  // of kChoice

  friend bool operator==(const ConstraintSpec&, const ConstraintSpec&) = default;
};

using TokenMask = std::vector<uint32_t>;

class CompiledConstraint;

// kNone is refused: whoever has no constraint compiles none.
absl::StatusOr<std::shared_ptr<const CompiledConstraint>> CompileConstraint(
    const ConstraintSpec& spec, std::shared_ptr<const TokenIndex> index,
    const CompileLimits& limits);
// The same with an index of its own, which takes about as long as a small schema.
absl::StatusOr<std::shared_ptr<const CompiledConstraint>> CompileConstraint(
    const ConstraintSpec& spec, const Tokenizer& tokenizer, const CompileLimits& limits);

class CompiledConstraint {
 public:
  ~CompiledConstraint();
  CompiledConstraint(const CompiledConstraint&) = delete;
  CompiledConstraint& operator=(const CompiledConstraint&) = delete;

  // What was read more widely or narrowly than written ("oneOf is read as anyOf"), one a place.
  const std::vector<std::string>& notes() const;
  int64_t compile_steps() const;  // what compiling cost, masks made beforehand included
  int64_t rule_states() const;    // of the automata of all rules
  int64_t masks() const;          // different masks held now
  int64_t cache_bytes() const;    // held now by states and masks
  int64_t cache_resets() const;   // how often the cache was full and started anew

 private:
  friend class ConstraintState;
  friend absl::StatusOr<std::shared_ptr<const CompiledConstraint>> CompileConstraint(
      const ConstraintSpec& spec, std::shared_ptr<const TokenIndex> index,
      const CompileLimits& limits);
  struct Impl;
  explicit CompiledConstraint(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Where a request is in its constraint. A copy costs the depth of nesting.
class ConstraintState {
 public:
  static ConstraintState Start(std::shared_ptr<const CompiledConstraint> constraint);

  // Moves on by a token; false and unchanged if it is not allowed. An end token ends the state.
  bool Accept(int32_t token);
  bool Allows(int32_t token) const;
  // An end token is allowed here; nothing else is. After an end token both are true.
  bool MayEnd() const;
  bool MustEnd() const;

  // The allowed tokens, end tokens included; never none. Valid until the next Start, Accept or
  // Allows on the same constraint, so the masks of a whole step can be at hand together; whoever
  // reads it later or on another thread copies it.
  absl::Span<const uint32_t> Mask() const;
  void FillMask(TokenMask* mask) const;
  // Whether Mask() has its answer at hand, in time that does not depend on the vocabulary.
  bool HasMask() const;
  // The same mask without the shared cache: for another thread, when HasMask() is false. KeepMask
  // brings it home, on the engine's thread.
  TokenMask ComputeMask() const;
  // Nothing if it takes more than so many steps (of compile_limits.h) or four times `cache_bytes`:
  // bounds that are met at the same place on every machine.
  std::optional<TokenMask> ComputeMask(int64_t most_steps) const;
  void KeepMask(const TokenMask& mask) const;
  // Where it is: at equal places of one constraint the masks are equal. Valid until it moves on.
  absl::Span<const int32_t> place() const { return place_; }
  const CompiledConstraint* constraint() const { return constraint_.get(); }

  bool ended() const { return ended_; }

 private:
  ConstraintState() = default;
  uint32_t Id() const;  // in the cache as it is now

  std::shared_ptr<const CompiledConstraint> constraint_;
  std::vector<int32_t> place_;  // the readings in full, for when the cache starts anew
  mutable uint32_t id_ = 0;
  mutable int64_t generation_ = -1;
  bool ended_ = false;
};

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_GRAMMAR_CONSTRAINT_H_
