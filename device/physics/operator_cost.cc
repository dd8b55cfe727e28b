#include "device/physics/operator_cost.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace scoville::device {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Tile {
  double rows;
  double columns;
};
constexpr Tile kTiles[] = {{64, 64}, {64, 128}, {128, 128}};
constexpr double kSplits[] = {1, 2, 4, 8};
constexpr double kLeastInnerOfSplit = 256;
// Where the rows choose: the first that holds all of them, else the last.
constexpr Tile kTilesByRows[] = {{64, 64}, {128, 64}, {256, 64}};
// Partial sums are 32 bits, written and read.
constexpr double kSplitBytes = 8.0;
constexpr double kRowAlignment = 16.0;
constexpr double kMostContextSplits = 16.0;
constexpr double kResultBytes = 2.0;

double BytesOf(MathType type) {
  constexpr double kBytes[] = {0.5, 1.0, 2.0};
  return kBytes[static_cast<int>(type)];
}

// The product's work on the units, with a tile and a split.
struct Plan {
  double seconds = kInfinity;
  double flops_executed = 0;
};

Plan PlanProduct(const Profile& profile, const GemmConstants& c, double unit_rate,
                 const GemmShape& s, Tile tile, double split) {
  const double tiles = std::ceil(s.rows / tile.rows) * std::ceil(s.columns / tile.columns);
  const double tile_flops = 2.0 * tile.rows * tile.columns * s.inner;
  const double waves = std::ceil(tiles * s.copies * split / profile.compute_units.value);
  Plan plan;
  plan.flops_executed = tiles * s.copies * tile_flops;
  plan.seconds = waves * (tile_flops / split / unit_rate + c.wave_latency.value);
  if (split > 1) {
    plan.seconds += c.split_latency.value +
                    kSplitBytes * s.rows * s.columns * split / profile.hbm_bandwidth.value;
  }
  return plan;
}

Plan BestPlan(const Profile& profile, const GemmConstants& c, double unit_rate,
              const GemmShape& s) {
  Plan best;
  for (const Tile& tile : kTiles) {
    for (const double split : kSplits) {
      if (split > 1 && (s.copies != 1 || s.inner / split < kLeastInnerOfSplit ||
                        c.split_latency.value == kInfinity)) {
        break;
      }
      const Plan plan = PlanProduct(profile, c, unit_rate, s, tile, split);
      if (plan.seconds < best.seconds) {
        best = plan;
      }
    }
  }
  return best;
}

Plan PlanByRows(const Profile& profile, const GemmConstants& c, double unit_rate,
                const GemmShape& s) {
  Tile tile = kTilesByRows[0];
  for (const Tile& next : kTilesByRows) {
    if (s.rows > tile.rows) {
      tile = next;
    }
  }
  if (s.rows > tile.rows && std::floor(s.rows / kRowAlignment) * kRowAlignment != s.rows) {
    unit_rate = unit_rate * c.unaligned_efficiency.value;
  }
  return PlanProduct(profile, c, unit_rate, s, tile, 1.0);
}

// Seconds that one query tile takes for one key row on a unit.
double RowSeconds(const Profile& profile, const AttentionShape& shape, double efficiency) {
  const PrefillConstants& c = profile.operators.prefill;
  return 4.0 * shape.head_size * c.query_tile.value * profile.compute_units.value /
         (efficiency * profile.Peak(MathType::kBf16));
}

bool IsNarrow(const AttentionShape& shape) { return shape.kv_bytes < 2.0; }

}  // namespace

double Overlap(double x, double y, double p) {
  if (p == 1) {
    return x + y;
  }
  if (p == 2) {
    return std::sqrt(x * x + y * y);
  }
  const double high = std::max(x, y);
  if (p != 4 || high == 0) {
    return high;  // p is infinite, or there is nothing to do
  }
  const double ratio = std::min(x, y) / high;
  const double square = ratio * ratio;
  return high * std::sqrt(std::sqrt(1.0 + square * square));
}

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

OperatorTime TimeGemm(const Profile& profile, MathType math, const GemmShape& s) {
  const GemmConstants& c = *profile.Gemm(math);
  const double unit_rate =
      profile.Efficiency(math) * profile.Peak(math) / profile.compute_units.value;
  const Plan plan = c.tile_by_rows.value == 1 ? PlanByRows(profile, c, unit_rate, s)
                                              : BestPlan(profile, c, unit_rate, s);
  const double width = BytesOf(profile.RunsAt(math));
  const double weight = s.weight_bytes > 0 ? s.weight_bytes : width;
  OperatorTime t;
  t.flops_executed = plan.flops_executed;
  t.compute_seconds = plan.seconds;
  t.bytes = s.copies *
            (s.inner * (weight * s.columns + width * s.rows) + kResultBytes * s.rows * s.columns);
  t.memory_seconds = t.bytes / (c.bandwidth_efficiency.value * profile.hbm_bandwidth.value);
  t.serial_seconds =
      s.copies * s.rows * std::max(c.row_latency.value, s.inner * c.value_latency.value);
  t.latency_seconds = c.latency.value;
  t.overlap = c.overlap.value;
  return t;
}

OperatorTime TimeDecodes(const Profile& profile, const AttentionShape& shape,
                         const DecodeSums& decodes) {
  const DecodeConstants& c = profile.operators.decode;
  const double units = profile.compute_units.value;
  const double pairs = decodes.sequences * shape.kv_heads;
  const double mean = decodes.tiles / decodes.sequences;
  const double longest = std::max(mean, decodes.longest_tiles);
  const double split = std::min(std::max(1.0, std::floor(units / pairs)),
                                std::min(std::ceil(longest), kMostContextSplits));
  const double waves = std::ceil(pairs * split / units);
  // The tiles of the slowest unit: of the longest context while all pairs run at once, of the mean
  // one over several waves.
  const double chain = split > 1 ? std::ceil(longest / split) : waves > 1 ? mean : longest;
  OperatorTime t;
  t.compute_seconds = waves * (c.item_latency.value + c.tile_latency.value * chain);
  t.bytes = shape.head_size * (2.0 * shape.kv_bytes * shape.kv_heads * decodes.tiles * kKvTile +
                               2.0 * kResultBytes * shape.heads * decodes.sequences);
  t.memory_seconds =
      t.bytes / (profile.attention_bandwidth_efficiency.value * profile.hbm_bandwidth.value);
  t.latency_seconds = (IsNarrow(shape) ? c.latency_fp8.value : c.latency.value) +
                      (split > 1 ? c.split_latency.value : 0.0);
  t.overlap = 2;
  return t;
}

PrefillSums PrefillOf(const Profile& profile, const AttentionShape& shape, double tokens,
                      double cached) {
  const PrefillConstants& c = profile.operators.prefill;
  const double group = shape.heads / shape.kv_heads;
  const double query_tile = c.query_tile.value;
  const bool packed = tokens <= c.packed_tokens.value;
  const double span = packed ? query_tile / group : query_tile;
  PrefillSums sums;
  sums.tokens = tokens;
  sums.cached = cached;
  sums.tiles = std::ceil((cached + tokens) / kKvTile);
  sums.longest_rows = sums.tiles * kKvTile;
  const double fresh = sums.longest_rows - cached;
  sums.items =
      packed ? std::ceil(tokens * group / query_tile) : group * std::ceil(tokens / query_tile);
  // The mean of the first and the last item.
  sums.item_rows = sums.items * (cached + (fresh + std::min(fresh, span)) / 2.0);
  return sums;
}

OperatorTime TimePrefill(const Profile& profile, const AttentionShape& shape,
                         const PrefillSums& prompts) {
  const PrefillConstants& c = profile.operators.prefill;
  const double units = profile.compute_units.value;
  const bool narrow = IsNarrow(shape);
  const double row_seconds = RowSeconds(
      profile, shape, narrow ? c.efficiency_fp8.value : profile.attention_efficiency.value);
  const double rows = std::max(shape.kv_heads * prompts.item_rows / units, prompts.longest_rows);
  OperatorTime t;
  t.compute_seconds =
      rows * row_seconds + c.item_latency.value * std::ceil(shape.kv_heads * prompts.items / units);
  const double new_values = prompts.tokens * shape.head_size;
  t.bytes =
      new_values * (2.0 * kResultBytes * shape.heads + 4.0 * shape.kv_bytes * shape.kv_heads) +
      2.0 * shape.kv_bytes * shape.head_size * prompts.cached * shape.kv_heads;
  const double converted =
      narrow ? c.conversion.value * 2.0 * kResultBytes * new_values * shape.kv_heads : 0.0;
  t.memory_seconds =
      (t.bytes + converted) / (c.bandwidth_efficiency.value * profile.hbm_bandwidth.value);
  t.latency_seconds = narrow ? c.latency_fp8.value : c.latency.value;
  t.overlap = c.overlap.value;
  return t;
}

LaunchTime TimeOneLaunch(const Profile& profile, const AttentionShape& shape,
                         const PrefillSums& prompts, const DecodeSums& decodes) {
  const PrefillConstants& c = profile.operators.prefill;
  const double units = profile.compute_units.value;
  const bool narrow = IsNarrow(shape);
  const double row_seconds = RowSeconds(
      profile, shape, narrow ? c.efficiency_fp8.value : profile.attention_efficiency.value);
  const double prompt_rows = shape.kv_heads * prompts.item_rows;
  const double decode_rows = shape.heads * decodes.tiles * kKvTile;
  const double items = shape.kv_heads * prompts.items + shape.heads * decodes.sequences;
  const double rows = std::max((prompt_rows + decode_rows) / units,
                               std::max(prompts.longest_rows, decodes.longest_tiles * kKvTile));
  const double busy = rows * row_seconds + c.item_latency.value * std::ceil(items / units);
  const double all_rows = prompt_rows + decode_rows;
  const auto part = [&](double own_rows, double tiles, double tokens) {
    OperatorTime t;
    t.compute_seconds = all_rows > 0 ? busy * own_rows / all_rows : 0.0;
    t.bytes = shape.head_size * (2.0 * shape.kv_bytes * shape.kv_heads * tiles * kKvTile +
                                 2.0 * kResultBytes * shape.heads * tokens);
    t.memory_seconds = t.bytes / (c.bandwidth_efficiency.value * profile.hbm_bandwidth.value);
    t.overlap = c.overlap.value;
    return t;
  };
  LaunchTime launch;
  launch.prompts = part(prompt_rows, prompts.tiles, prompts.tokens);
  launch.decodes = part(decode_rows, decodes.tiles, decodes.sequences);
  launch.prompts.latency_seconds = narrow ? c.latency_fp8.value : c.latency.value;
  return launch;
}

AllReduceTime TimeAllReduce(const Profile& profile, double ranks, double bytes, double link) {
  const AllReduceConstants& c = profile.operators.all_reduce;
  const double seconds = bytes / (c.bandwidth_efficiency.value * link);
  AllReduceTime one{c.latency.value + c.rank_latency.value * ranks, (ranks - 1.0) * seconds};
  AllReduceTime two{one.latency_seconds + c.second_latency.value,
                    2.0 * (ranks - 1.0) / ranks * seconds};
  return one.latency_seconds + one.transfer_seconds <= two.latency_seconds + two.transfer_seconds
             ? one
             : two;
}

}  // namespace scoville::device
