// Bars that split steps: time by what it waits for, energy by what draws it, in the same colours
// wherever they are shown.
//
// Ownership: values. Threading: pure. Errors: none.
#ifndef SCOVILLE_SIM_POWER_CAUSES_H_
#define SCOVILLE_SIM_POWER_CAUSES_H_

#include <string>
#include <vector>

#include "sim/charts/figure.h"
#include "sim/charts/table.h"
#include "sim/power/deployment.h"

namespace scoville::sim::power {

// Upright bars, one a point, named by `labels`.
charts::BarPanel TimeByCause(const std::vector<OperatingPoint>& points,
                             const std::vector<std::string>& labels);  // ms
charts::BarPanel TimeShares(const std::vector<OperatingPoint>& points,
                            const std::vector<std::string>& labels);  // %
// mJ per output token; static is all that does not come from work.
charts::BarPanel EnergyByCause(const std::vector<OperatingPoint>& points,
                               const std::vector<std::string>& labels);

// Columns and cells of the time's shares, in percent.
void AddCauseColumns(charts::Table* table);
void AddCauseCells(const OperatingPoint& point, std::vector<charts::Cell>* row);

}  // namespace scoville::sim::power

#endif  // SCOVILLE_SIM_POWER_CAUSES_H_
