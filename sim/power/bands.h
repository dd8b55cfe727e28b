// Bands of a sweep: one function of a deployment, asked of every sampled one.
//
// Ownership: values. Threading: pure. Errors: none.
#ifndef SCOVILLE_SIM_POWER_BANDS_H_
#define SCOVILLE_SIM_POWER_BANDS_H_

#include <functional>
#include <vector>

#include "sim/charts/figure.h"
#include "sim/charts/table.h"
#include "sim/power/deployment.h"
#include "sim/power/profile_samples.h"

namespace scoville::sim::power {

// Point by point over the samples; `figures` gives as many for each sample.
std::vector<Band> BandsOver(const std::vector<Deployment>& samples,
                            const std::function<std::vector<double>(const Deployment&)>& figures);

// Draws the band around a series of as many points.
void SetBand(const std::vector<Band>& bands, charts::Series* series);

// Two columns p5 and p95 of `key`, and their cells.
void AddBandColumns(const std::string& key, const std::string& heading, charts::Table* table);
void AddBandCells(const Band& band, std::vector<charts::Cell>* row);

}  // namespace scoville::sim::power

#endif  // SCOVILLE_SIM_POWER_BANDS_H_
