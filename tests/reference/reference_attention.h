// Attention by its definition, in doubles and plain loops.
//
// Threading: none. Errors: none.
#ifndef SCOVILLE_TESTS_REFERENCE_REFERENCE_ATTENTION_H_
#define SCOVILLE_TESTS_REFERENCE_REFERENCE_ATTENTION_H_

#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"

namespace scoville::tests {

// The mean of the values of positions 0 .. keys - 1, weighted by exp(query x key); the query is
// scaled already. `kv(position, dimension, key)` is an element of a key, else of a value.
std::vector<double> ReferenceAttention(
    const std::vector<float>& query, int64_t keys,
    absl::FunctionRef<double(int64_t position, int64_t dimension, bool key)> kv);

}  // namespace scoville::tests

#endif  // SCOVILLE_TESTS_REFERENCE_REFERENCE_ATTENTION_H_
