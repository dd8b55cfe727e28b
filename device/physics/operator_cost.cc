#include "device/physics/operator_cost.h"

#include <cmath>

namespace scoville::device {

GemmCost PriceGemm(const Profile& profile, MathType math, double rows, double columns, double inner,
                   double copies) {
  const double row_tiles = std::ceil(rows / profile.row_tile.value);
  const double column_tiles =
      profile.column_tile.value > 1 ? std::ceil(columns / profile.column_tile.value) : columns;
  const double tile_flops = 2.0 * profile.row_tile.value * profile.column_tile.value * inner;
  const double tiles = row_tiles * column_tiles * copies;
  const double units = profile.compute_units.value;
  const double run = units > 1 ? std::ceil(tiles / units) * units : tiles;
  GemmCost cost;
  cost.flops_executed = tiles * tile_flops;
  cost.compute_seconds = run * tile_flops / (profile.Efficiency(math) * profile.Peak(math));
  return cost;
}

}  // namespace scoville::device
