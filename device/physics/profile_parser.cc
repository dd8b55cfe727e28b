// The profile schema: every field with its dimension and bounds, and the checks across fields.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "base/yaml_reader.h"
#include "device/physics/profile.h"

namespace scoville::device {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kReferenceCelsius = 60.0;
constexpr int64_t kMaxClockStates = 64;

enum class Dimension : uint8_t {
  kNone,
  kRate,
  kBytes,
  kBandwidth,
  kFrequency,
  kTime,
  kVoltage,
  kVoltageSlope,
  kPower,
  kPerKelvin,
  kTemperature,
  kThermalResistance,
  kEnergyPerFlop,
  kEnergyPerBit
};

struct ProfileUnit {
  Dimension dimension;
  const char* name;
  double scale;  // to SI
};

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

struct Field {
  const char* key;
  ProfileNumber* number;
  Dimension dimension;
  double low;  // allowed whatever the file's own range says, SI
  double high;
  bool whole = false;
  // A field that may be left out takes the number that another field has (`like`), or is exactly
  // `absent`: no such effect.
  const ProfileNumber* like = nullptr;
  std::optional<double> absent = std::nullopt;
};

// The schema, in the order of the content hash.
std::vector<Field> Fields(Profile* p) {
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
      {"gemm_latency", &p->gemm_latency, D::kTime, 0, 1, false, nullptr, 0.0},
      {"attention_latency", &p->attention_latency, D::kTime, 0, 1, false, nullptr, 0.0},
      {"skew_share", &p->skew_share, D::kNone, 0, 1, false, nullptr, 0.0},
      {"expert_imbalance", &p->expert_imbalance, D::kNone, 1, 16, false, nullptr, 1.0},
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
      {"overlap", &p->overlap, D::kNone, 1, kInfinity},
      {"hidden_collectives", &p->hidden_collectives, D::kNone, 0, 0.99},
      {"issue_fixed_share", &p->issue_fixed_share, D::kNone, 0, 1},
      {"mix_penalty", &p->mix_penalty, D::kNone, 1, 10},
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

absl::Status ReadStatus(const YamlMap& map, NumberStatus* status) {
  const std::string names[] = {"published", "measured", "derived", "assumed"};
  size_t index = 0;
  RETURN_IF_ERROR(map.RequireChoice("status", names, &index));
  *status = static_cast<NumberStatus>(index);
  return absl::OkStatus();
}

// Reads status, source and reason and refuses what does not say where it comes from.
absl::Status ReadOrigin(const YamlMap& map, bool has_range, NumberStatus* status,
                        std::string* source, std::string* reason) {
  RETURN_IF_ERROR(ReadStatus(map, status));
  RETURN_IF_ERROR(map.Read("source", source));
  RETURN_IF_ERROR(map.Read("reason", reason));
  if (*status == NumberStatus::kPublished || *status == NumberStatus::kMeasured) {
    if (source->empty()) {
      return map.Error("status",
                       absl::StrCat("status ", NumberStatusName(*status), " needs a 'source'"));
    }
    return absl::OkStatus();
  }
  if (!has_range) {
    return map.Error("status",
                     absl::StrCat("status ", NumberStatusName(*status), " needs a 'range'"));
  }
  if (reason->empty() && source->empty()) {
    return map.Error("status", absl::StrCat("status ", NumberStatusName(*status),
                                            " needs a 'reason' or a 'source'"));
  }
  return absl::OkStatus();
}

absl::StatusOr<double> ReadScale(const YamlMap& map, Dimension dimension) {
  if (dimension == Dimension::kNone) {
    if (map.Has("unit")) {
      return map.Error("unit", "this number has no unit; remove the key");
    }
    return 1.0;
  }
  std::string unit;
  RETURN_IF_ERROR(map.Require("unit", &unit));
  std::vector<std::string> allowed;
  for (const ProfileUnit& u : kUnits) {
    if (u.dimension != dimension) {
      continue;
    }
    if (unit == u.name) {
      return u.scale;
    }
    allowed.push_back(u.name);
  }
  return map.Error("unit", absl::StrCat("'", unit, "' is no unit of this quantity, allowed ",
                                        absl::StrJoin(allowed, ", ")));
}

absl::Status ReadRange(const YamlMap& map, double scale, ProfileNumber* number) {
  ASSIGN_OR_RETURN(const std::vector<YamlNode> ends, map.List("range"));
  if (ends.size() != 2) {
    return map.Error("range", "expected [lowest, highest]");
  }
  const YamlDoubleRange any{-kInfinity, kInfinity};
  ASSIGN_OR_RETURN(const double low, ends[0].AsDouble(any));
  ASSIGN_OR_RETURN(const double high, ends[1].AsDouble(any));
  if (low > high) {
    return map.Error("range", "the lowest value stands above the highest");
  }
  number->low = low * scale;
  number->high = high * scale;
  return absl::OkStatus();
}

absl::Status ReadNumber(const YamlMap& root, const Field& field) {
  if (!root.Has(field.key)) {
    if (field.like != nullptr) {
      *field.number = *field.like;
      return absl::OkStatus();
    }
    if (field.absent) {
      // What the chip lacks, or the model of it leaves out, weakens no figure.
      field.number->value = *field.absent;
      field.number->status = NumberStatus::kPublished;
      return absl::OkStatus();
    }
  }
  ASSIGN_OR_RETURN(const YamlNode node, root.Node(field.key));
  if (node.is_null()) {
    return node.Error("null; an unknown number is an assumption with a range and a reason");
  }
  ASSIGN_OR_RETURN(const YamlMap map, node.AsMap());
  ASSIGN_OR_RETURN(const double scale, ReadScale(map, field.dimension));
  double value = 0;
  RETURN_IF_ERROR(map.Require("value", &value, YamlDoubleRange{-1e300, kInfinity}));
  ProfileNumber* number = field.number;
  number->value = value * scale;
  if (number->value < field.low || number->value > field.high) {
    return map.Error("value", absl::StrCat(value, " makes no sense here, allowed ",
                                           field.low / scale, " to ", field.high / scale));
  }
  if (field.whole && std::floor(number->value) != number->value) {
    return map.Error("value", absl::StrCat("expected a whole number, found ", value));
  }
  const bool has_range = map.Has("range");
  if (has_range) {
    RETURN_IF_ERROR(ReadRange(map, scale, number));
    if (number->value < *number->low || number->value > *number->high) {
      return map.Error("value", absl::StrCat(value, " lies outside its own range"));
    }
  }
  return ReadOrigin(map, has_range, &number->status, &number->source, &number->reason);
}

absl::Status ReadMath(const YamlMap& root, absl::string_view key, ProfileMath* math) {
  const std::string names[] = {"fp4", "fp8", "bf16"};
  ASSIGN_OR_RETURN(const YamlMap map, root.Map(key));
  size_t value = 0;
  RETURN_IF_ERROR(map.RequireChoice("value", names, &value));
  math->value = static_cast<MathType>(value);
  const bool has_range = map.Has("range");
  if (has_range) {
    ASSIGN_OR_RETURN(const std::vector<YamlNode> choices, map.List("range"));
    bool inside = false;
    for (const YamlNode& choice : choices) {
      ASSIGN_OR_RETURN(const size_t index, choice.AsChoice(names));
      inside = inside || index == value;
    }
    if (!inside) {
      return map.Error("value", absl::StrCat(names[value], " is not among its own range"));
    }
  }
  return ReadOrigin(map, has_range, &math->status, &math->source, &math->reason);
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

// What holds between fields.
absl::Status CheckTogether(const YamlMap& root, const Profile& p) {
  if (p.overlap.value != 1 && p.overlap.value != 2 && p.overlap.value != 4 &&
      p.overlap.value != kInfinity) {
    return root.Error("overlap", absl::StrCat(p.overlap.value, " is not among 1, 2, 4, .inf"));
  }
  if (p.clock_min.value >= p.clock_max.value) {
    return root.Error("clock_min", "not below clock_max");
  }
  double last_volts = 0;
  double last_watts = 0;
  for (const PState& s : p.pstates) {
    const double watts = p.retention_power.value + p.leakage_power.value * s.leakage_ratio +
                         p.activity_power.value * s.activity_ratio;
    if (s.volts <= 0 || s.volts < last_volts) {
      return root.Error("voltage_slope", absl::StrCat("the voltage falls as the clock rises (at ",
                                                      s.hertz / 1e9, " GHz)"));
    }
    if (watts < last_watts) {
      return root.Error("activity_power", absl::StrCat("the power falls as the clock rises (at ",
                                                       s.hertz / 1e9, " GHz)"));
    }
    last_volts = s.volts;
    last_watts = watts;
  }
  const double leakage = p.leakage_power.value * p.pstates.front().leakage_ratio;
  const double tail =
      p.retention_power.value +
      leakage * std::exp(p.leakage_slope.value * (p.trip_temperature.value - kReferenceCelsius));
  if (tail >= p.tdp.value) {
    return root.Error("tdp", absl::StrCat("idle at ", p.trip_temperature.value, " C draws ", tail,
                                          " W, not below the TDP: no cap could ever hold"));
  }
  if (p.off_power.value > p.parked_power.value ||
      p.parked_power.value > p.retention_power.value + leakage) {
    return root.Error("parked_power", "not between off and warm idle");
  }
  if (p.burst_power.value < p.tdp.value) {
    return root.Error("burst_power", "below the TDP");
  }
  for (int narrow = 0; narrow < kMathTypes - 1; ++narrow) {
    const absl::string_view type = MathTypeName(static_cast<MathType>(narrow));
    if ((p.peak[narrow].value > 0) != (p.energy_per_flop[narrow].value > 0)) {
      return root.Error(
          absl::StrCat("energy_", type),
          absl::StrCat("peak_", type, " and energy_", type, " stand together or not at all"));
    }
  }
  if (p.release_temperature.value >= p.throttle_temperature.value ||
      p.throttle_temperature.value >= p.trip_temperature.value ||
      p.inlet_temperature.value >= p.release_temperature.value) {
    return root.Error("release_temperature",
                      "expected inlet < release < throttle < trip temperature");
  }
  if (p.global_chips.value < p.local_chips.value) {
    return root.Error("global_chips", "fewer than local_chips");
  }
  return absl::OkStatus();
}

uint64_t Bits(double value) {
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}

void Seal(const std::vector<Field>& fields, Profile* p) {
  StableHasher hasher;
  hasher.Add(p->name);
  hasher.Add(p->what_if ? 1 : 0);
  for (const Field& f : fields) {
    hasher.Add(absl::string_view(f.key));
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

absl::Status ReadName(const YamlMap& root, Profile* p) {
  RETURN_IF_ERROR(root.Require("profile", &p->name));
  if (p->name.empty() || p->name.size() > 64 ||
      p->name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") != std::string::npos) {
    return root.Error("profile", "a name has 1 to 64 lower-case letters, digits and dashes");
  }
  RETURN_IF_ERROR(root.Require("description", &p->description));
  return root.Read("what_if", &p->what_if);
}

}  // namespace

absl::StatusOr<Profile> ParseProfile(absl::string_view text, absl::string_view file) {
  ASSIGN_OR_RETURN(const YamlDocument doc, YamlDocument::Parse(text, file));
  ASSIGN_OR_RETURN(const YamlMap root, doc.Root());
  Profile profile;
  RETURN_IF_ERROR(ReadName(root, &profile));
  const std::vector<Field> fields = Fields(&profile);
  for (const Field& field : fields) {
    root.Has(field.key);  // so that a mistyped one is told the right spelling
  }
  root.Has("rate_w4a8");
  root.Has("rate_w4a16");
  RETURN_IF_ERROR(root.FinishKeys());
  for (const Field& field : fields) {
    RETURN_IF_ERROR(ReadNumber(root, field));
  }
  RETURN_IF_ERROR(ReadMath(root, "rate_w4a8", &profile.w4a8));
  RETURN_IF_ERROR(ReadMath(root, "rate_w4a16", &profile.w4a16));
  RETURN_IF_ERROR(doc.Finish());
  MakePStates(&profile);
  RETURN_IF_ERROR(CheckTogether(root, profile));
  Seal(fields, &profile);
  return profile;
}

}  // namespace scoville::device
