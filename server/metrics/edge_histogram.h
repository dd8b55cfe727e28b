// A histogram over fixed edges, in integers: what one Prometheus histogram series is made of.
//
// Values above the last edge count in the implicit +Inf bucket. A value equal to an edge belongs to
// that edge's bucket, as Prometheus has it.
//
// Units: the caller's (ns, tokens, microjoules). Ownership: a plain value, copied for a scrape;
// borrows its edges, which are constants. Threading: one thread. Errors: none.
#ifndef SCOVILLE_SERVER_METRICS_EDGE_HISTOGRAM_H_
#define SCOVILLE_SERVER_METRICS_EDGE_HISTOGRAM_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "base/status_macros.h"

namespace scoville::server {

class EdgeHistogram {
 public:
  // `edges` ascend and outlive the histogram.
  explicit EdgeHistogram(absl::Span<const int64_t> edges)
      : edges_(edges), counts_(edges.size() + 1, 0) {}

  void Add(int64_t value) {
    const auto at = std::lower_bound(edges_.begin(), edges_.end(), value);
    ++counts_[static_cast<size_t>(at - edges_.begin())];
    ++count_;
    sum_ += value;
  }

  // `other` has the same edges.
  void Merge(const EdgeHistogram& other) {
    CHECK(other.edges_.data() == edges_.data());
    for (size_t i = 0; i < counts_.size(); ++i) {
      counts_[i] += other.counts_[i];
    }
    count_ += other.count_;
    sum_ += other.sum_;
  }

  absl::Span<const int64_t> edges() const { return edges_; }
  int64_t count() const { return count_; }
  int64_t sum() const { return sum_; }
  // Values at or below `edge`, which must be one of edges().
  int64_t CountUpTo(int64_t edge) const {
    int64_t total = 0;
    for (size_t i = 0; i < edges_.size() && edges_[i] <= edge; ++i) {
      total += counts_[i];
    }
    return total;
  }

 private:
  absl::Span<const int64_t> edges_;
  std::vector<int64_t> counts_;  // not cumulative; the last one is beyond the last edge
  int64_t count_ = 0;
  int64_t sum_ = 0;
};

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_METRICS_EDGE_HISTOGRAM_H_
