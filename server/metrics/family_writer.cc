#include "server/metrics/family_writer.h"

#include <prometheus/text_serializer.h>

#include <sstream>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace scoville::server {

void FamilyWriter::Begin(absl::string_view name, absl::string_view help,
                         prometheus::MetricType type) {
  prometheus::MetricFamily family;
  family.name = absl::StrCat(prefix_, name);
  family.help = std::string(help);
  family.type = type;
  families_.push_back(std::move(family));
}

void FamilyWriter::Counter(absl::string_view name, absl::string_view help) {
  Begin(name, help, prometheus::MetricType::Counter);
}
void FamilyWriter::Gauge(absl::string_view name, absl::string_view help) {
  Begin(name, help, prometheus::MetricType::Gauge);
}
void FamilyWriter::Histogram(absl::string_view name, absl::string_view help) {
  Begin(name, help, prometheus::MetricType::Histogram);
}

prometheus::ClientMetric& FamilyWriter::NewSeries(const Labels& labels) {
  CHECK(!families_.empty());
  prometheus::ClientMetric& series = families_.back().metric.emplace_back();
  for (const auto& [name, value] : labels) {
    series.label.push_back({name, value});
  }
  return series;
}

void FamilyWriter::Add(const Labels& labels, double value) {
  prometheus::ClientMetric& series = NewSeries(labels);
  if (families_.back().type == prometheus::MetricType::Counter) {
    series.counter.value = value;
  } else {
    series.gauge.value = value;
  }
}

void FamilyWriter::Add(const Labels& labels, const EdgeHistogram& histogram,
                       absl::Span<const int64_t> edges, double per_unit) {
  prometheus::ClientMetric::Histogram& out = NewSeries(labels).histogram;
  out.sample_count = static_cast<uint64_t>(histogram.count());
  out.sample_sum = static_cast<double>(histogram.sum()) / per_unit;
  for (const int64_t edge : edges) {
    out.bucket.push_back(
        {static_cast<uint64_t>(histogram.CountUpTo(edge)), static_cast<double>(edge) / per_unit});
  }
}

std::string FamilyWriter::Serialize() const {
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, families_);
  return out.str();
}

}  // namespace scoville::server
