// Rules as deterministic automata over classes of bytes and calls of rules.
//
// Made from a RuleGraph in three steps: what can never reach the end of its rule, by bytes that the
// vocabulary can write and by calls of rules that can end, is cut off (so from every state an end
// can be reached); bytes that no edge tells apart become one class; each rule that is left becomes
// deterministic by the subset construction, calls being symbols beside the classes.
// A rule that calls itself before any byte is refused by BuildAutomaton's caller: such graphs are
// not made (a CHECK).
//
// Units: states count over all rules; 0 is the dead one. Ownership: a value. Threading: immutable.
// Errors: kResourceExhausted and kCancelled by the budget; kInvalidArgument if nothing is left.
#ifndef SCOVILLE_MODEL_GRAMMAR_AUTOMATON_H_
#define SCOVILLE_MODEL_GRAMMAR_AUTOMATON_H_

#include <array>
#include <bitset>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "model/grammar/compile_limits.h"
#include "model/grammar/rule_graph.h"

namespace scoville::model {

class Automaton {
 public:
  struct Call {
    int32_t start = 0;      // of the called rule
    int32_t return_to = 0;  // the state of the caller after it
  };

  int32_t start() const { return start_; }
  int32_t classes() const { return classes_; }
  int32_t states() const { return static_cast<int32_t>(ends_.size()); }
  int32_t ClassOf(uint8_t byte) const { return class_of_[byte]; }
  // A byte of the class.
  uint8_t Example(int32_t byte_class) const { return examples_[static_cast<size_t>(byte_class)]; }

  int32_t Next(int32_t state, int32_t byte_class) const {
    return rows_[static_cast<size_t>(state) * static_cast<size_t>(classes_) +
                 static_cast<size_t>(byte_class)];
  }
  bool EndsRule(int32_t state) const { return ends_[static_cast<size_t>(state)] != 0; }
  bool HasBytes(int32_t state) const { return has_bytes_[static_cast<size_t>(state)] != 0; }
  absl::Span<const Call> Calls(int32_t state) const {
    const auto s = static_cast<size_t>(state);
    return absl::MakeConstSpan(calls_).subspan(call_begin_[s], call_begin_[s + 1] - call_begin_[s]);
  }

 private:
  friend class AutomatonBuilder;

  int32_t start_ = 0;
  int32_t classes_ = 0;
  std::array<int32_t, 256> class_of_ = {};
  std::vector<uint8_t> examples_;
  std::vector<int32_t> rows_;
  std::vector<uint8_t> ends_;
  std::vector<uint8_t> has_bytes_;
  std::vector<size_t> call_begin_;
  std::vector<Call> calls_;
};

// Rule 0 is the whole. `writable`: the bytes that the vocabulary can write one by one.
absl::StatusOr<Automaton> BuildAutomaton(const RuleGraph& graph, const std::bitset<256>& writable,
                                         Budget& budget);

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_GRAMMAR_AUTOMATON_H_
