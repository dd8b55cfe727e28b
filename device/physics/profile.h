// The published and assumed numbers of one accelerator chip, each with where it comes from.
//
// A profile is a YAML file (deploy/profiles/); the default ones are also compiled in, so a daemon
// runs without the file tree. Every number says how it is known; the weakest status behind a figure
// and the content hash go into every report.
//
// Units: SI doubles as named in each comment (FLOP/s, B/s, s, Hz, V, W, J per FLOP, J per bit),
// converted from the units written in the file. Ownership: a plain value, copied freely.
// Threading: immutable after loading. Errors: InvalidArgument with file:line:column for a file that
// breaks the schema, NotFound for an unknown built-in name with the nearest one.
#ifndef SCOVILLE_DEVICE_PHYSICS_PROFILE_H_
#define SCOVILLE_DEVICE_PHYSICS_PROFILE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/stable_hash.h"
#include "base/units.h"

namespace scoville::device {

// How a number is known, strongest first.
enum class NumberStatus : uint8_t { kPublished = 0, kMeasured = 1, kDerived = 2, kAssumed = 3 };

absl::string_view NumberStatusName(NumberStatus status);

// One number of a profile, in SI units.
struct ProfileNumber {
  double value = 0;
  NumberStatus status = NumberStatus::kAssumed;
  std::string source;  // where it is printed, or the bound it was taken from
  std::string reason;  // why this value, for derived and assumed numbers
  // The values a sampled profile may take; always present for derived and assumed numbers.
  std::optional<double> low;
  std::optional<double> high;
};

// The arithmetic a matrix unit runs at: the wider of its two operands.
enum class MathType : uint8_t { kFp4 = 0, kFp8 = 1, kBf16 = 2 };
inline constexpr int kMathTypes = 3;

absl::string_view MathTypeName(MathType type);

// A choice between rates, with its reason.
struct ProfileMath {
  MathType value = MathType::kBf16;
  NumberStatus status = NumberStatus::kAssumed;
  std::string source;
  std::string reason;
};

// One clock of the chip and what follows from it; a table made at load, slowest first.
struct PState {
  double hertz = 0;
  double volts = 0;
  double slowdown = 1;         // f0 / f, >= 1
  double leakage_ratio = 1;    // V / V0
  double switching_ratio = 1;  // psi = (V / V0)^2: energy of one operation
  double activity_ratio = 1;   // phi = (f / f0) psi: power of the clock trees
};

// Constants of the operator forms (operator_cost.h), each group as fitted to measured calls of one
// kernel. A group that the file leaves out leaves its operators to the simple form.
struct GemmConstants {
  bool given = false;
  ProfileNumber bandwidth_efficiency;  // the profile's unless given
  ProfileNumber latency;               // s, an empty call
  ProfileNumber wave_latency;          // s, of one wave of tiles
  ProfileNumber split_latency;         // s, gathering a split reduction; infinite: never split
  ProfileNumber row_latency;           // s, a row's conversion to the product's type, at the least
  ProfileNumber value_latency;         // s, a value's
  ProfileNumber unaligned_efficiency;  // of the rate, rows that are no multiple of 16
  ProfileNumber tile_by_rows;          // 1: the tile follows the rows; 0: the fastest one is taken
  ProfileNumber overlap;               // 1, 2, 4 or infinity
};

struct DecodeConstants {
  bool given = false;
  ProfileNumber latency;        // s, an empty call
  ProfileNumber latency_fp8;    // s, with an FP8 cache
  ProfileNumber split_latency;  // s, gathering a context that units shared
  ProfileNumber item_latency;   // s, of one pair of sequence and KV head
  ProfileNumber tile_latency;   // s, of one tile of the context
};

struct PrefillConstants {
  bool given = false;
  ProfileNumber efficiency_fp8;  // eta_F with an FP8 cache; the profile's attention's unless given
  ProfileNumber bandwidth_efficiency;
  ProfileNumber latency;
  ProfileNumber latency_fp8;
  ProfileNumber item_latency;   // s, of one tile of queries
  ProfileNumber conversion;     // passes over the new K and V in 16 bits, with an FP8 cache
  ProfileNumber query_tile;     // query rows of one item
  ProfileNumber packed_tokens;  // up to so many new tokens the heads of a group share a tile
  ProfileNumber overlap;
  ProfileNumber one_launch;  // 1: decodes beside a chunk are items of its call, whole tiles
};

struct AllReduceConstants {
  bool given = false;
  ProfileNumber bandwidth_efficiency;  // of the link
  ProfileNumber latency;
  ProfileNumber rank_latency;    // s, for each rank
  ProfileNumber second_latency;  // s, of a second pass
};

struct OperatorConstants {
  GemmConstants gemm[kMathTypes];  // by MathType
  DecodeConstants decode;
  PrefillConstants prefill;
  AllReduceConstants all_reduce;
};

struct Profile {
  std::string name;
  std::string description;
  // A what-if is never a default, and reports that use it say that it is no forecast.
  bool what_if = false;

  // Matrix rates at the top clock, FLOP/s, and the rates mixed-width products run at. A chip that
  // lacks a narrow type runs it at the next wider one: Peak() and RunsAt() say which.
  ProfileNumber peak[kMathTypes];  // by MathType; 0: lacking
  ProfileMath w4a8;
  ProfileMath w4a16;
  ProfileNumber efficiency[kMathTypes];  // eta_F of matrix products, by MathType
  ProfileNumber bandwidth_efficiency;    // eta_B
  // Of attention kernels; the matrix products' unless given.
  ProfileNumber attention_efficiency;
  ProfileNumber attention_bandwidth_efficiency;
  ProfileNumber row_tile;       // rows a matrix product is rounded up to
  ProfileNumber column_tile;    // columns likewise; 1: columns fill every unit evenly
  ProfileNumber compute_units;  // tiles that run at once; 1: no rounding up to whole waves
  ProfileNumber query_tile;     // query rows that share one pass over the KV cache
  // Rows of matrix work that the query heads of one KV head fill up in a decode. It costs energy
  // alone, since the pass waits for memory. 1: no filling up.
  ProfileNumber decode_query_rows;
  ProfileNumber gemm_latency;       // s, fixed part of one matrix product
  ProfileNumber attention_latency;  // s, fixed part of one layer's attention
  ProfileNumber skew_share;         // of (longest - mean) context that a decode batch waits for
  ProfileNumber expert_imbalance;   // gamma: busiest over mean chip, experts spread over chips

  // Memory (bytes, B/s) and links (B/s in one direction; chips in a domain).
  ProfileNumber hbm_capacity;
  ProfileNumber hbm_bandwidth;
  ProfileNumber local_bandwidth;
  ProfileNumber local_chips;
  ProfileNumber global_bandwidth;
  ProfileNumber global_chips;

  // Clocks (Hz), voltage (V: flat up to the knee, then rising), seconds to change state.
  ProfileNumber clock_min;
  ProfileNumber clock_max;  // f0
  ProfileNumber clock_states;
  ProfileNumber clock_switch;
  ProfileNumber voltage_min;
  ProfileNumber voltage_knee;   // Hz
  ProfileNumber voltage_slope;  // V per Hz

  // Latencies (s).
  ProfileNumber issue_latency;    // per layer
  ProfileNumber hop_latency;      // per hop
  ProfileNumber all_reduce_hops;  // hops of one collective
  ProfileNumber host_step;        // h0
  ProfileNumber host_sequence;    // h_seq
  // Bytes of HBM traffic that sampling one row takes on every chip: sorts and passes over its
  // logits, in the forward phase.
  ProfileNumber sampling_traffic;

  // Overlap: p of the roofline's norm (1, 2, 4 or infinity), hidden share of the collectives'
  // bytes, clock-independent share of the issue latency, factor on attention when prefill and
  // decode share a step.
  ProfileNumber overlap;
  ProfileNumber hidden_collectives;
  ProfileNumber issue_fixed_share;
  ProfileNumber mix_penalty;

  // Power (W), per chip.
  ProfileNumber tdp;
  ProfileNumber burst_power;
  ProfileNumber burst_window;  // s
  ProfileNumber retention_power;
  ProfileNumber leakage_power;      // at V0 and 60 degrees C
  ProfileNumber activity_power;     // at f0
  ProfileNumber leakage_slope;      // per kelvin, exponential
  ProfileNumber host_gap_activity;  // kappa: share of the activity power in a host gap
  ProfileNumber parked_power;
  ProfileNumber off_power;
  ProfileNumber parked_exit;                  // s
  ProfileNumber energy_per_flop[kMathTypes];  // J/FLOP at V0, by MathType
  ProfileNumber hbm_energy_per_bit;           // J/bit
  ProfileNumber link_energy_per_bit;          // J/bit

  // Heat: two nodes, junction and sink (K/W and s), temperatures in degrees C.
  ProfileNumber junction_resistance;
  ProfileNumber junction_time;
  ProfileNumber sink_resistance;
  ProfileNumber sink_time;
  ProfileNumber inlet_temperature;
  ProfileNumber throttle_temperature;  // above: one clock state down per throttle_interval
  ProfileNumber release_temperature;   // below: up again
  ProfileNumber trip_temperature;      // the device stops
  ProfileNumber throttle_interval;     // s

  ProfileNumber overhead_power;  // W of host, network and rack per chip; never in device power

  OperatorConstants operators;

  // Made at load.
  std::vector<PState> pstates;  // slowest first
  NumberStatus weakest = NumberStatus::kPublished;
  // Over name, values, statuses and ranges in the schema's order; not over texts and layout.
  Hash128 content_hash;

  // The type that products of `type` run at: itself, or the next wider one the chip has.
  MathType RunsAt(MathType type) const {
    int index = static_cast<int>(type);
    while (peak[index].value == 0) {
      ++index;  // bf16 is always there
    }
    return static_cast<MathType>(index);
  }
  double Peak(MathType type) const { return peak[static_cast<int>(RunsAt(type))].value; }
  double Efficiency(MathType type) const {
    return efficiency[static_cast<int>(RunsAt(type))].value;
  }
  // The constants of products that run at `type`: its own group's, or the next wider one's; nullptr
  // if there is none.
  const GemmConstants* Gemm(MathType type) const {
    for (int index = static_cast<int>(RunsAt(type)); index < kMathTypes; ++index) {
      if (operators.gemm[index].given) {
        return &operators.gemm[index];
      }
    }
    return nullptr;
  }
  double EnergyPerFlop(MathType type) const {
    return energy_per_flop[static_cast<int>(RunsAt(type))].value;
  }
  int top_state() const { return static_cast<int>(pstates.size()) - 1; }
  Power TdpPower() const { return Power(static_cast<int64_t>(tdp.value * 1000.0 + 0.5)); }
};

// Reads the text of a profile file; `file` names it in errors.
absl::StatusOr<Profile> ParseProfile(absl::string_view text, absl::string_view file);

// Reads a profile file.
absl::StatusOr<Profile> LoadProfile(absl::string_view path);

// The profiles compiled in, in alphabetical order.
std::vector<std::string> BuiltinProfileNames();
absl::StatusOr<Profile> BuiltinProfile(absl::string_view name);

// `jalapeno-gen1`.
Profile DefaultProfile();

// A number by its key in the file. `unit` is one that files may use and in which the number is
// short; in it the number is value / `scale`.
struct NamedNumber {
  std::string key;
  ProfileNumber number;
  std::string unit;
  double scale = 1;
  bool whole = false;
};

// In the schema's order, without those that follow another one because the file leaves them out.
std::vector<NamedNumber> ProfileNumbers(const Profile& profile);

// The profile with other values (SI) in place of its own: tables and hash are made again, numbers
// that follow a changed one follow it. InvalidArgument for an unknown key and for values that make
// no sense by themselves or together. Values may lie outside the profile's own ranges.
absl::StatusOr<Profile> WithNumbers(const Profile& profile,
                                    absl::Span<const std::pair<std::string, double>> values);

// A built-in name, or the path of a file (anything with a '/' or ending in .yaml or .yml).
absl::StatusOr<Profile> FindProfile(absl::string_view name_or_path);

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_PHYSICS_PROFILE_H_
