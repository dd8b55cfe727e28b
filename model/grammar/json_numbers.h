// Whole and decimal numbers between bounds, as they are written in JSON.
//
// Exact by digits: no value outside the bounds can be written, and every one inside can, as long as
// the number of digits allows: whole numbers have at most 18 (they fit 64 bits), decimals 16 before
// the point, 20 behind it and 2 in the exponent (any reader's double holds them), so that no number
// goes on for ever. Decimals between bounds have no exponent.
//
// Threading: pure functions. Errors: the graph's budget.
#ifndef SCOVILLE_MODEL_GRAMMAR_JSON_NUMBERS_H_
#define SCOVILLE_MODEL_GRAMMAR_JSON_NUMBERS_H_

#include <cstdint>

#include "model/grammar/rule_graph.h"

namespace scoville::model {

inline constexpr int64_t kLargestInteger = 999'999'999'999'999'999;
inline constexpr int64_t kLargestWholePart = 9'999'999'999'999'999;

// Inclusive, within +-kLargestInteger; low <= high.
int32_t AddIntegers(int32_t from, int64_t low, int64_t high, RuleGraph& graph);

struct NumberBounds {
  int64_t low = -kLargestWholePart;
  int64_t high = kLargestWholePart;
  bool without_low = false;  // exclusive
  bool without_high = false;
};
// low <= high; if equal, neither is exclusive.
int32_t AddNumbers(int32_t from, const NumberBounds& bounds, RuleGraph& graph);
int32_t AddAnyNumber(int32_t from, RuleGraph& graph);

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_GRAMMAR_JSON_NUMBERS_H_
