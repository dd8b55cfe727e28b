// Collects metric families for one scrape in the form prometheus-cpp serialises.
//
// Ownership: owns what was added. Threading: one thread. Errors: none.
#ifndef SCOVILLE_SERVER_METRICS_FAMILY_WRITER_H_
#define SCOVILLE_SERVER_METRICS_FAMILY_WRITER_H_

#include <prometheus/metric_family.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/units.h"
#include "server/metrics/edge_histogram.h"

namespace scoville::server {

using Labels = std::vector<std::pair<std::string, std::string>>;

// Divides integers into the unit a series is in: correctly rounded, and therefore never decreasing
// where the integer does not.
inline double NsToSeconds(int64_t ns) { return static_cast<double>(ns) / 1e9; }
inline double ToJoules(Energy e) { return static_cast<double>(e.total_picojoules()) / 1e12; }

class FamilyWriter {
 public:
  // `prefix` stands before each name.
  explicit FamilyWriter(std::string prefix) : prefix_(std::move(prefix)) {}

  // Begin a family; the Add calls that follow are its series.
  void Counter(absl::string_view name, absl::string_view help);
  void Gauge(absl::string_view name, absl::string_view help);
  void Histogram(absl::string_view name, absl::string_view help);

  void Add(const Labels& labels, double value);
  // `edges` is a subset of the histogram's; each edge and the sum are divided by `per_unit`.
  void Add(const Labels& labels, const EdgeHistogram& histogram, absl::Span<const int64_t> edges,
           double per_unit);
  void Add(const Labels& labels, const EdgeHistogram& histogram, double per_unit) {
    Add(labels, histogram, histogram.edges(), per_unit);
  }

  std::string Serialize() const;

 private:
  void Begin(absl::string_view name, absl::string_view help, prometheus::MetricType type);
  prometheus::ClientMetric& NewSeries(const Labels& labels);

  std::string prefix_;
  std::vector<prometheus::MetricFamily> families_;
};

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_METRICS_FAMILY_WRITER_H_
