#include "device/physics/profile_schema.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace scoville::device {

namespace internal {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kReferenceCelsius = 60.0;
constexpr int64_t kMaxClockStates = 64;

// Of one dimension from large to small.
constexpr ProfileUnit kUnits[] = {
    {Dimension::kRate, "PFLOP/s", 1e15},
    {Dimension::kRate, "TFLOP/s", 1e12},
    {Dimension::kBytes, "GiB", 1073741824.0},
    {Dimension::kBytes, "GB", 1e9},
    {Dimension::kBandwidth, "TB/s", 1e12},
    {Dimension::kBandwidth, "GB/s", 1e9},
    {Dimension::kFrequency, "GHz", 1e9},
    {Dimension::kFrequency, "MHz", 1e6},
    {Dimension::kTime, "s", 1.0},
    {Dimension::kTime, "ms", 1e-3},
    {Dimension::kTime, "us", 1e-6},
    {Dimension::kTime, "ns", 1e-9},
    {Dimension::kVoltage, "V", 1.0},
    {Dimension::kVoltage, "mV", 1e-3},
    {Dimension::kVoltageSlope, "V/GHz", 1e-9},
    {Dimension::kPower, "kW", 1e3},
    {Dimension::kPower, "W", 1.0},
    {Dimension::kPower, "mW", 1e-3},
    {Dimension::kPerKelvin, "1/K", 1.0},
    {Dimension::kTemperature, "C", 1.0},
    {Dimension::kThermalResistance, "K/W", 1.0},
    {Dimension::kEnergyPerFlop, "pJ/FLOP", 1e-12},
    {Dimension::kEnergyPerBit, "pJ/bit", 1e-12},
};

uint64_t Bits(double value) {
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}

// Whether a field took the number of another one, as those that a file leaves out do.
bool Follows(const Field& field) {
  return field.like != nullptr && field.number->value == field.like->value &&
         field.number->status == field.like->status && field.number->low == field.like->low &&
         field.number->high == field.like->high && field.number->source == field.like->source &&
         field.number->reason == field.like->reason;
}

std::vector<Field> PowerAndHeat(Profile* p) {
  using D = Dimension;
  return {
      {"tdp", &p->tdp, D::kPower, 0.001, 1e5},
      {"burst_power", &p->burst_power, D::kPower, 0.001, 1e5},
      {"burst_window", &p->burst_window, D::kTime, 1e-6, 10},
      {"retention_power", &p->retention_power, D::kPower, 0, 1e5},
      {"leakage_power", &p->leakage_power, D::kPower, 0, 1e5},
      {"activity_power", &p->activity_power, D::kPower, 0, 1e5},
      {"leakage_slope", &p->leakage_slope, D::kPerKelvin, 0, 0.1},
      {"host_gap_activity", &p->host_gap_activity, D::kNone, 0, 1},
      {"parked_power", &p->parked_power, D::kPower, 0, 1e5},
      {"off_power", &p->off_power, D::kPower, 0, 1e5},
      {"parked_exit", &p->parked_exit, D::kTime, 0, 60},
      {"energy_fp4", &p->energy_per_flop[0], D::kEnergyPerFlop, 0, 1e-9, false, nullptr, 0.0},
      {"energy_fp8", &p->energy_per_flop[1], D::kEnergyPerFlop, 0, 1e-9, false, nullptr, 0.0},
      {"energy_bf16", &p->energy_per_flop[2], D::kEnergyPerFlop, 0, 1e-9},
      {"hbm_energy", &p->hbm_energy_per_bit, D::kEnergyPerBit, 0, 1e-9},
      {"link_energy", &p->link_energy_per_bit, D::kEnergyPerBit, 0, 1e-9},
      {"junction_resistance", &p->junction_resistance, D::kThermalResistance, 1e-6, 100},
      {"junction_time", &p->junction_time, D::kTime, 1e-3, 1e4},
      {"sink_resistance", &p->sink_resistance, D::kThermalResistance, 1e-6, 100},
      {"sink_time", &p->sink_time, D::kTime, 1e-3, 1e5},
      {"inlet_temperature", &p->inlet_temperature, D::kTemperature, -40, 100},
      {"throttle_temperature", &p->throttle_temperature, D::kTemperature, 0, 200},
      {"release_temperature", &p->release_temperature, D::kTemperature, 0, 200},
      {"trip_temperature", &p->trip_temperature, D::kTemperature, 0, 200},
      {"throttle_interval", &p->throttle_interval, D::kTime, 1e-6, 10},
      {"overhead_power", &p->overhead_power, D::kPower, 0, 1e5},
  };
}

std::vector<Field> Rates(Profile* p) {
  using D = Dimension;
  const double tiny = std::numeric_limits<double>::min();  // "above zero"
  return {
      {"peak_fp4", &p->peak[0], D::kRate, tiny, 1e18, false, nullptr, 0.0},
      {"peak_fp8", &p->peak[1], D::kRate, tiny, 1e18, false, nullptr, 0.0},
      {"peak_bf16", &p->peak[2], D::kRate, tiny, 1e18},
      {"compute_efficiency", &p->efficiency[2], D::kNone, 0.01, 1},
      {"compute_efficiency_fp8", &p->efficiency[1], D::kNone, 0.01, 1, false, &p->efficiency[2]},
      {"compute_efficiency_fp4", &p->efficiency[0], D::kNone, 0.01, 1, false, &p->efficiency[1]},
      {"bandwidth_efficiency", &p->bandwidth_efficiency, D::kNone, 0.01, 1},
      {"attention_efficiency", &p->attention_efficiency, D::kNone, 0.01, 1, false,
       &p->efficiency[2]},
      {"attention_bandwidth_efficiency", &p->attention_bandwidth_efficiency, D::kNone, 0.01, 1,
       false, &p->bandwidth_efficiency},
      {"row_tile", &p->row_tile, D::kNone, 1, 4096, true},
      {"column_tile", &p->column_tile, D::kNone, 1, 4096, true, nullptr, 1.0},
      {"compute_units", &p->compute_units, D::kNone, 1, 65536, true, nullptr, 1.0},
      {"query_tile", &p->query_tile, D::kNone, 1, 65536, true},
      {"decode_query_rows", &p->decode_query_rows, D::kNone, 1, 4096, true, nullptr, 1.0},
      {"gemm_latency", &p->gemm_latency, D::kTime, 0, 1, false, nullptr, 0.0},
      {"attention_latency", &p->attention_latency, D::kTime, 0, 1, false, nullptr, 0.0},
      {"skew_share", &p->skew_share, D::kNone, 0, 1, false, nullptr, 0.0},
      {"expert_imbalance", &p->expert_imbalance, D::kNone, 1, 16, false, nullptr, 1.0},
  };
}

std::vector<Field> LinksClocksAndLatencies(Profile* p) {
  using D = Dimension;
  return {
      {"hbm_capacity", &p->hbm_capacity, D::kBytes, 1e6, 1e15},
      {"hbm_bandwidth", &p->hbm_bandwidth, D::kBandwidth, 1e6, 1e16},
      {"local_bandwidth", &p->local_bandwidth, D::kBandwidth, 1e6, 1e15},
      {"local_chips", &p->local_chips, D::kNone, 1, 1e6, true},
      {"global_bandwidth", &p->global_bandwidth, D::kBandwidth, 1e6, 1e15},
      {"global_chips", &p->global_chips, D::kNone, 1, 1e6, true},
      {"clock_min", &p->clock_min, D::kFrequency, 1e6, 1e11},
      {"clock_max", &p->clock_max, D::kFrequency, 1e6, 1e11},
      {"clock_states", &p->clock_states, D::kNone, 2, kMaxClockStates, true},
      {"clock_switch", &p->clock_switch, D::kTime, 0, 1},
      {"voltage_min", &p->voltage_min, D::kVoltage, 0.1, 2},
      {"voltage_knee", &p->voltage_knee, D::kFrequency, 0, 1e11},
      {"voltage_slope", &p->voltage_slope, D::kVoltageSlope, -1e-8, 1e-8},
      {"issue_latency", &p->issue_latency, D::kTime, 0, 1},
      {"hop_latency", &p->hop_latency, D::kTime, 0, 1},
      {"all_reduce_hops", &p->all_reduce_hops, D::kNone, 0, 64, true},
      {"host_step", &p->host_step, D::kTime, 0, 1},
      {"host_sequence", &p->host_sequence, D::kTime, 0, 1},
      {"sampling_traffic", &p->sampling_traffic, D::kBytes, 0, 1e12, false, nullptr, 0.0},
      {"overlap", &p->overlap, D::kNone, 1, kInfinity},
      {"hidden_collectives", &p->hidden_collectives, D::kNone, 0, 0.99},
      {"issue_fixed_share", &p->issue_fixed_share, D::kNone, 0, 1},
      {"mix_penalty", &p->mix_penalty, D::kNone, 1, 10},
  };
}

// Fixed times of operators, seconds.
constexpr double kMostLatency = 1.0;

std::vector<Field> GemmFields(const Profile& p, GemmConstants* c) {
  using D = Dimension;
  return {
      {"bandwidth_efficiency", &c->bandwidth_efficiency, D::kNone, 0.01, 1, false,
       &p.bandwidth_efficiency},
      {"latency", &c->latency, D::kTime, 0, kMostLatency},
      {"wave_latency", &c->wave_latency, D::kTime, 0, kMostLatency},
      {"split_latency", &c->split_latency, D::kTime, 0, kMostLatency, false, nullptr, kInfinity},
      {"row_latency", &c->row_latency, D::kTime, 0, kMostLatency, false, nullptr, 0.0},
      {"value_latency", &c->value_latency, D::kTime, 0, kMostLatency, false, nullptr, 0.0},
      {"unaligned_efficiency", &c->unaligned_efficiency, D::kNone, 0.01, 1, false, nullptr, 1.0},
      {"tile_by_rows", &c->tile_by_rows, D::kNone, 0, 1, true, nullptr, 0.0},
      {"overlap", &c->overlap, D::kNone, 1, kInfinity, false, nullptr, 4.0},
  };
}

std::vector<Field> DecodeFields(DecodeConstants* c) {
  using D = Dimension;
  return {
      {"latency", &c->latency, D::kTime, 0, kMostLatency},
      {"latency_fp8", &c->latency_fp8, D::kTime, 0, kMostLatency, false, &c->latency},
      {"split_latency", &c->split_latency, D::kTime, 0, kMostLatency},
      {"item_latency", &c->item_latency, D::kTime, 0, kMostLatency},
      {"tile_latency", &c->tile_latency, D::kTime, 0, kMostLatency},
  };
}

std::vector<Field> PrefillFields(const Profile& p, PrefillConstants* c) {
  using D = Dimension;
  return {
      {"efficiency_fp8", &c->efficiency_fp8, D::kNone, 0.01, 1, false, &p.attention_efficiency},
      {"bandwidth_efficiency", &c->bandwidth_efficiency, D::kNone, 0.01, 1},
      {"latency", &c->latency, D::kTime, 0, kMostLatency},
      {"latency_fp8", &c->latency_fp8, D::kTime, 0, kMostLatency, false, &c->latency},
      {"item_latency", &c->item_latency, D::kTime, 0, kMostLatency},
      {"conversion", &c->conversion, D::kNone, 0, 100, false, nullptr, 0.0},
      {"query_tile", &c->query_tile, D::kNone, 1, 65536, true},
      {"packed_tokens", &c->packed_tokens, D::kNone, 0, kInfinity, true, nullptr, 0.0},
      {"overlap", &c->overlap, D::kNone, 1, kInfinity, false, nullptr, 1.0},
      {"one_launch", &c->one_launch, D::kNone, 0, 1, true, nullptr, 0.0},
  };
}

std::vector<Field> AllReduceFields(AllReduceConstants* c) {
  using D = Dimension;
  return {
      {"bandwidth_efficiency", &c->bandwidth_efficiency, D::kNone, 0.01, 1},
      {"latency", &c->latency, D::kTime, 0, kMostLatency},
      {"rank_latency", &c->rank_latency, D::kTime, 0, kMostLatency},
      {"second_latency", &c->second_latency, D::kTime, 0, kMostLatency},
  };
}

bool IsOverlap(double p) { return p == 1 || p == 2 || p == 4 || p == kInfinity; }

}  // namespace

absl::Span<const ProfileUnit> ProfileUnits() { return kUnits; }

std::vector<Field> Fields(Profile* p) {
  std::vector<Field> fields = Rates(p);
  const auto add = [&](const std::vector<Field>& more) {
    fields.insert(fields.end(), more.begin(), more.end());
  };
  add(LinksClocksAndLatencies(p));
  add(PowerAndHeat(p));
  for (const OperatorGroup& group : OperatorGroups(p)) {
    if (*group.given) {
      add(group.fields);
    }
  }
  return fields;
}

std::vector<OperatorGroup> OperatorGroups(Profile* p) {
  OperatorConstants* c = &p->operators;
  std::vector<OperatorGroup> groups;
  for (int type = 0; type < kMathTypes; ++type) {
    groups.push_back({absl::StrCat("gemm_", MathTypeName(static_cast<MathType>(type))),
                      &c->gemm[type].given, GemmFields(*p, &c->gemm[type])});
  }
  groups.push_back({"decode", &c->decode.given, DecodeFields(&c->decode)});
  groups.push_back({"prefill", &c->prefill.given, PrefillFields(*p, &c->prefill)});
  groups.push_back({"all_reduce", &c->all_reduce.given, AllReduceFields(&c->all_reduce)});
  for (OperatorGroup& group : groups) {
    for (Field& field : group.fields) {
      field.key = absl::StrCat("operators.", group.key, ".", field.key);
    }
  }
  return groups;
}

void MakePStates(Profile* p) {
  const int states = static_cast<int>(p->clock_states.value);
  const double f0 = p->clock_max.value;
  const auto volts = [p](double hertz) {
    const double above = hertz > p->voltage_knee.value ? hertz - p->voltage_knee.value : 0.0;
    return p->voltage_min.value + p->voltage_slope.value * above;
  };
  const double v0 = volts(f0);
  p->pstates.clear();
  for (int i = 0; i < states; ++i) {
    PState s;
    s.hertz =
        i == states - 1 ? f0 : p->clock_min.value + (f0 - p->clock_min.value) * i / (states - 1);
    s.volts = volts(s.hertz);
    s.slowdown = f0 / s.hertz;
    s.leakage_ratio = s.volts / v0;
    s.switching_ratio = s.leakage_ratio * s.leakage_ratio;
    s.activity_ratio = s.hertz / f0 * s.switching_ratio;
    p->pstates.push_back(s);
  }
}

namespace {

absl::Status CheckOverlaps(const Failure& fail, const Profile& p) {
  const auto check = [&](absl::string_view key, bool given, const ProfileNumber& overlap) {
    return !given || IsOverlap(overlap.value)
               ? absl::OkStatus()
               : fail(key, absl::StrCat(overlap.value, " is not among 1, 2, 4, .inf"));
  };
  RETURN_IF_ERROR(check("overlap", true, p.overlap));
  for (int type = 0; type < kMathTypes; ++type) {
    const absl::string_view name = MathTypeName(static_cast<MathType>(type));
    const GemmConstants& gemm = p.operators.gemm[type];
    RETURN_IF_ERROR(
        check(absl::StrCat("operators.gemm_", name, ".overlap"), gemm.given, gemm.overlap));
    if (gemm.given && p.peak[type].value == 0) {
      return fail(absl::StrCat("operators.gemm_", name), absl::StrCat("there is no peak_", name));
    }
  }
  const PrefillConstants& prefill = p.operators.prefill;
  return check("operators.prefill.overlap", prefill.given, prefill.overlap);
}

}  // namespace

absl::Status CheckTogether(const Failure& fail, const Profile& p) {
  RETURN_IF_ERROR(CheckOverlaps(fail, p));
  if (p.clock_min.value >= p.clock_max.value) {
    return fail("clock_min", "not below clock_max");
  }
  double last_volts = 0;
  double last_watts = 0;
  for (const PState& s : p.pstates) {
    const double watts = p.retention_power.value + p.leakage_power.value * s.leakage_ratio +
                         p.activity_power.value * s.activity_ratio;
    if (s.volts <= 0 || s.volts < last_volts) {
      return fail("voltage_slope", absl::StrCat("the voltage falls as the clock rises (at ",
                                                s.hertz / 1e9, " GHz)"));
    }
    if (watts < last_watts) {
      return fail("activity_power",
                  absl::StrCat("the power falls as the clock rises (at ", s.hertz / 1e9, " GHz)"));
    }
    last_volts = s.volts;
    last_watts = watts;
  }
  const double leakage = p.leakage_power.value * p.pstates.front().leakage_ratio;
  const double tail =
      p.retention_power.value +
      leakage * std::exp(p.leakage_slope.value * (p.trip_temperature.value - kReferenceCelsius));
  if (tail >= p.tdp.value) {
    return fail("tdp", absl::StrCat("idle at ", p.trip_temperature.value, " C draws ", tail,
                                    " W, not below the TDP: no cap could ever hold"));
  }
  if (p.off_power.value > p.parked_power.value ||
      p.parked_power.value > p.retention_power.value + leakage) {
    return fail("parked_power", "not between off and warm idle");
  }
  if (p.burst_power.value < p.tdp.value) {
    return fail("burst_power", "below the TDP");
  }
  for (int narrow = 0; narrow < kMathTypes - 1; ++narrow) {
    const absl::string_view type = MathTypeName(static_cast<MathType>(narrow));
    if ((p.peak[narrow].value > 0) != (p.energy_per_flop[narrow].value > 0)) {
      return fail(absl::StrCat("energy_", type), absl::StrCat("peak_", type, " and energy_", type,
                                                              " stand together or not at all"));
    }
  }
  if (p.release_temperature.value >= p.throttle_temperature.value ||
      p.throttle_temperature.value >= p.trip_temperature.value ||
      p.inlet_temperature.value >= p.release_temperature.value) {
    return fail("release_temperature", "expected inlet < release < throttle < trip temperature");
  }
  if (p.global_chips.value < p.local_chips.value) {
    return fail("global_chips", "fewer than local_chips");
  }
  return absl::OkStatus();
}

void Seal(const std::vector<Field>& fields, Profile* p) {
  StableHasher hasher;
  p->weakest = NumberStatus::kPublished;
  hasher.Add(p->name);
  hasher.Add(p->what_if ? 1 : 0);
  for (const Field& f : fields) {
    hasher.Add(f.key);
    hasher.Add(Bits(f.number->value));
    hasher.Add(static_cast<uint64_t>(f.number->status));
    hasher.Add(f.number->low.has_value() ? 1 : 0);
    hasher.Add(Bits(f.number->low.value_or(0)));
    hasher.Add(Bits(f.number->high.value_or(0)));
    p->weakest = std::max(p->weakest, f.number->status);
  }
  for (const ProfileMath* math : {&p->w4a8, &p->w4a16}) {
    hasher.Add(static_cast<uint64_t>(math->value));
    hasher.Add(static_cast<uint64_t>(math->status));
    p->weakest = std::max(p->weakest, math->status);
  }
  p->content_hash = hasher.hash();
}

}  // namespace internal

std::vector<NamedNumber> ProfileNumbers(const Profile& profile) {
  Profile copy = profile;
  std::vector<NamedNumber> numbers;
  for (const internal::Field& field : internal::Fields(&copy)) {
    if (internal::Follows(field)) {
      continue;
    }
    NamedNumber& named =
        numbers.emplace_back(NamedNumber{field.key, *field.number, "", 1, field.whole});
    for (const internal::ProfileUnit& unit : internal::ProfileUnits()) {  // from large to small
      if (unit.dimension == field.dimension &&
          (named.unit.empty() || named.number.value < named.scale)) {
        named.unit = unit.name;
        named.scale = unit.scale;
      }
    }
  }
  return numbers;
}

absl::StatusOr<Profile> WithNumbers(const Profile& profile,
                                    absl::Span<const std::pair<std::string, double>> values) {
  Profile changed = profile;
  const std::vector<internal::Field> fields = internal::Fields(&changed);
  std::vector<bool> follows;
  for (const internal::Field& field : fields) {
    follows.push_back(internal::Follows(field));
  }
  const auto fail = [&](absl::string_view key, absl::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat(profile.name, ": ", key, ": ", what));
  };
  for (const auto& [key, value] : values) {
    const auto field =
        std::find_if(fields.begin(), fields.end(),
                     [&, key = key](const internal::Field& f) { return key == f.key; });
    if (field == fields.end() || !(value >= field->low && value <= field->high)) {
      return fail(key, field == fields.end() ? "no such number" : "makes no sense");
    }
    field->number->value = value;
    follows[static_cast<size_t>(field - fields.begin())] = false;
  }
  for (size_t i = 0; i < fields.size(); ++i) {
    if (follows[i]) {
      fields[i].number->value = fields[i].like->value;
    }
  }
  internal::MakePStates(&changed);
  RETURN_IF_ERROR(internal::CheckTogether(fail, changed));
  internal::Seal(fields, &changed);
  return changed;
}

}  // namespace scoville::device
