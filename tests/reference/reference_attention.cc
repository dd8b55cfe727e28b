#include "tests/reference/reference_attention.h"

#include <cmath>

namespace scoville::tests {

std::vector<double> ReferenceAttention(
    const std::vector<float>& query, int64_t keys,
    absl::FunctionRef<double(int64_t position, int64_t dimension, bool key)> kv) {
  const int64_t size = static_cast<int64_t>(query.size());
  std::vector<double> weights;
  double sum = 0.0;
  for (int64_t p = 0; p < keys; ++p) {
    double dot = 0.0;
    for (int64_t d = 0; d < size; ++d) {
      dot += query[static_cast<size_t>(d)] * kv(p, d, true);
    }
    weights.push_back(std::exp(dot));
    sum += weights.back();
  }
  std::vector<double> out(query.size(), 0.0);
  for (int64_t p = 0; p < keys; ++p) {
    for (int64_t d = 0; d < size; ++d) {
      out[static_cast<size_t>(d)] += weights[static_cast<size_t>(p)] / sum * kv(p, d, false);
    }
  }
  return out;
}

}  // namespace scoville::tests
