#include "sim/power/bands.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"

namespace scoville::sim::power {

std::vector<Band> BandsOver(const std::vector<Deployment>& samples,
                            const std::function<std::vector<double>(const Deployment&)>& figures) {
  std::vector<std::vector<double>> by_point;
  for (const Deployment& sample : samples) {
    const std::vector<double> values = figures(sample);
    by_point.resize(std::max(by_point.size(), values.size()));
    for (size_t i = 0; i < values.size(); ++i) {
      by_point[i].push_back(values[i]);
    }
  }
  std::vector<Band> bands;
  for (std::vector<double>& values : by_point) {
    bands.push_back(BandOf(std::move(values)));
  }
  return bands;
}

void SetBand(const std::vector<Band>& bands, charts::Series* series) {
  series->low.clear();
  series->high.clear();
  for (const Band& band : bands) {
    series->low.push_back(band.low);
    series->high.push_back(band.high);
  }
}

void AddBandColumns(const std::string& key, const std::string& heading, charts::Table* table) {
  table->columns.push_back({absl::StrCat(key, "_p5"), absl::StrCat(heading, " p5")});
  table->columns.push_back({absl::StrCat(key, "_p95"), absl::StrCat(heading, " p95")});
}

void AddBandCells(const Band& band, std::vector<charts::Cell>* row) {
  row->emplace_back(band.low);
  row->emplace_back(band.high);
}

}  // namespace scoville::sim::power
