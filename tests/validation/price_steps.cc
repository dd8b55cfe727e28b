// Prices steps of models on chips: one JSON object a line in, one a line out.
//
//   {"profile": "h100-sxm", "numbers": {"host_step": 0.002}, "card": "llama-3.1-8b",
//    "precision": {"weights": "fp8", "experts": "mxfp4", "activations": "fp8", "kv": "fp8"},
//    "rates": {"w4a8": "fp4"}, "chips": 1, "expert_parallel": false,
//    "data_parallel_attention": false, "state": 18, "celsius": 60,
//    "decodes": [{"count": 64, "context": 500}], "prefills": [{"cached": 0, "new": 250}]}
//
// Profile, card and at least one sequence are needed. `numbers` (SI) stand in place of the
// profile's own, `precision` and `rates` likewise. "state": "all" prices every clock, slowest
// first; without it the top one is meant. Lines that begin alike are cheap: profile and model are
// kept from one line to the next.
//
// {"profile": "jalapeno-gen1", "list": true} gives the profile's numbers instead, SI, with ranges.
// Infinity is the text "inf".
//
// Units: seconds, watts and joules of the whole device, FLOPs and bytes as named. Errors: the first
// bad line ends the program with status 1 and "line N: field: what" on stderr.
#include <array>
#include <cmath>
#include <cstdint>
#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "device/physics/model_timing.h"
#include "device/physics/power_model.h"
#include "device/physics/profile.h"
#include "device/physics/step_cost.h"
#include "device/physics/step_shape.h"
#include "model/card/model_card.h"
#include "model/card/model_card_reader.h"

namespace scoville::device {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kInfinityText[] = "inf";
constexpr int64_t kMostTokens = 100'000'000;
constexpr int64_t kMostSequences = 1'000'000;

absl::Status Error(absl::string_view field, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", what));
}

absl::Status OnlyThese(const Json& object, absl::string_view where,
                       std::initializer_list<absl::string_view> known) {
  if (!object.is_object()) {
    return Error(where, "must be an object");
  }
  for (const auto& item : object.items()) {
    bool found = false;
    for (const absl::string_view name : known) {
      found = found || item.key() == name;
    }
    if (!found) {
      return Error(where, absl::StrCat("no field '", item.key(), "'"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> Whole(const Json& object, const char* name, int64_t absent, int64_t low,
                              int64_t high) {
  if (!object.contains(name)) {
    return absent;
  }
  const Json& value = object[name];
  const bool in_range =
      value.is_number_integer() && value.get<int64_t>() >= low && value.get<int64_t>() <= high;
  if (!in_range) {
    return Error(name, absl::StrCat("must be a whole number from ", low, " to ", high));
  }
  return value.get<int64_t>();
}

absl::StatusOr<bool> Flag(const Json& object, const char* name) {
  if (!object.contains(name)) {
    return false;
  }
  if (!object[name].is_boolean()) {
    return Error(name, "must be true or false");
  }
  return object[name].get<bool>();
}

absl::StatusOr<std::string> Text(const Json& object, const char* name) {
  if (!object.contains(name) || !object[name].is_string()) {
    return Error(name, "is needed, a text");
  }
  return object[name].get<std::string>();
}

absl::StatusOr<model::Precision> ReadPrecision(const Json& value, absl::string_view field) {
  for (const model::Precision p :
       {model::Precision::kBf16, model::Precision::kFp8, model::Precision::kMxfp4,
        model::Precision::kNvfp4, model::Precision::kInt4}) {
    if (value.is_string() && value.get<std::string>() == model::PrecisionName(p)) {
      return p;
    }
  }
  return Error(field, "must be bf16, fp8, mxfp4, nvfp4 or int4");
}

absl::StatusOr<MathType> ReadMath(const Json& value, absl::string_view field) {
  for (const MathType type : {MathType::kFp4, MathType::kFp8, MathType::kBf16}) {
    if (value.is_string() && value.get<std::string>() == MathTypeName(type)) {
      return type;
    }
  }
  return Error(field, "must be fp4, fp8 or bf16");
}

absl::StatusOr<Profile> ReadProfile(const Json& line) {
  ASSIGN_OR_RETURN(const std::string name, Text(line, "profile"));
  ASSIGN_OR_RETURN(Profile profile, FindProfile(name));
  const Json numbers = line.value("numbers", Json::object());
  if (!numbers.is_object()) {
    return Error("numbers", "must be an object of SI numbers");
  }
  std::vector<std::pair<std::string, double>> values;
  for (const auto& item : numbers.items()) {
    if (item.value() == kInfinityText) {
      values.emplace_back(item.key(), std::numeric_limits<double>::infinity());
      continue;
    }
    if (!item.value().is_number()) {
      return Error(item.key(), "must be a number, in SI units");
    }
    values.emplace_back(item.key(), item.value().get<double>());
  }
  if (!values.empty()) {
    ASSIGN_OR_RETURN(profile, WithNumbers(profile, values));
  }
  const Json rates = line.value("rates", Json::object());
  RETURN_IF_ERROR(OnlyThese(rates, "rates", {"w4a8", "w4a16"}));
  if (rates.contains("w4a8")) {
    ASSIGN_OR_RETURN(profile.w4a8.value, ReadMath(rates["w4a8"], "rates.w4a8"));
  }
  if (rates.contains("w4a16")) {
    ASSIGN_OR_RETURN(profile.w4a16.value, ReadMath(rates["w4a16"], "rates.w4a16"));
  }
  return profile;
}

absl::StatusOr<model::ModelCard> ReadCard(const Json& line) {
  ASSIGN_OR_RETURN(const std::string name, Text(line, "card"));
  ASSIGN_OR_RETURN(model::ModelCard card, model::FindCard(name));
  const Json precision = line.value("precision", Json::object());
  RETURN_IF_ERROR(OnlyThese(precision, "precision", {"weights", "experts", "activations", "kv"}));
  const std::array<std::pair<const char*, model::Precision*>, 4> fields = {
      {{"weights", &card.weights},
       {"experts", &card.expert_weights},
       {"activations", &card.activations},
       {"kv", &card.kv}}};
  for (const auto& [field, target] : fields) {
    if (precision.contains(field)) {
      ASSIGN_OR_RETURN(*target, ReadPrecision(precision[field], field));
    }
  }
  if (precision.contains("weights")) {
    card.weight_bytes = 0;  // a file's own average is of its own width
  }
  return card;
}

// What consecutive lines usually share.
struct Device {
  std::string key;
  Profile profile;
  ModelTiming timing;
};

std::string KeyOf(const Json& line) {
  Json key = line;
  for (const char* name : {"decodes", "prefills", "state", "celsius"}) {
    key.erase(name);
  }
  return key.dump();
}

absl::StatusOr<Device> ReadDevice(const Json& line) {
  Device device;
  ASSIGN_OR_RETURN(device.profile, ReadProfile(line));
  ASSIGN_OR_RETURN(const model::ModelCard card, ReadCard(line));
  Parallelism parallelism;
  ASSIGN_OR_RETURN(parallelism.chips, Whole(line, "chips", 1, 1, 1'000'000));
  ASSIGN_OR_RETURN(parallelism.expert_parallel, Flag(line, "expert_parallel"));
  ASSIGN_OR_RETURN(parallelism.data_parallel_attention, Flag(line, "data_parallel_attention"));
  ASSIGN_OR_RETURN(device.timing, MakeModelTiming(device.profile, card, parallelism));
  device.key = KeyOf(line);
  return device;
}

absl::Status AddSequences(const Json& line, const char* name, StepRole role,
                          const ShapeRules& rules, StepShape* shape) {
  const Json list = line.value(name, Json::array());
  if (!list.is_array()) {
    return Error(name, "must be a list");
  }
  const bool decode = role == StepRole::kDecode;
  const char* cached = decode ? "context" : "cached";
  for (const Json& entry : list) {
    RETURN_IF_ERROR(decode ? OnlyThese(entry, name, {"count", "context"})
                           : OnlyThese(entry, name, {"count", "cached", "new", "unfinished"}));
    SequenceWork work;
    work.role = role;
    ASSIGN_OR_RETURN(const int64_t count, Whole(entry, "count", 1, 0, kMostSequences));
    ASSIGN_OR_RETURN(work.cached, Whole(entry, cached, 0, 0, kMostTokens));
    ASSIGN_OR_RETURN(work.new_tokens, Whole(entry, "new", 1, 1, kMostTokens));
    ASSIGN_OR_RETURN(const bool unfinished, Flag(entry, "unfinished"));
    work.output_rows = unfinished ? 0 : 1;
    for (int64_t i = 0; i < count; ++i) {
      shape->Add(work, rules);
    }
  }
  return absl::OkStatus();
}

Json StallsJson(const StallTimes& s) {
  return {{"host", ToSeconds(s.host)},     {"compute", ToSeconds(s.compute)},
          {"memory", ToSeconds(s.memory)}, {"comm", ToSeconds(s.comm)},
          {"fixed", ToSeconds(s.fixed)},   {"throttle", ToSeconds(s.throttle)}};
}

Json WorkJson(const StepPrice& price) {
  double flops[kMathTypes] = {0, 0, 0};
  double bytes = 0;
  for (const StepTerm* t :
       {&price.linear, &price.experts, &price.attention[0], &price.attention[1], &price.head}) {
    flops[static_cast<int>(t->math)] += t->flops_executed;
    bytes += t->bytes_per_chip;
  }
  return {{"flops_model", price.flops_model},
          {"flops_executed",
           {{"fp4", flops[static_cast<int>(MathType::kFp4)]},
            {"fp8", flops[static_cast<int>(MathType::kFp8)]},
            {"bf16", flops[static_cast<int>(MathType::kBf16)]}}},
          {"hbm_bytes_per_chip", bytes},
          {"link_bytes_per_chip", price.link_bytes_per_chip},
          {"forward_seconds", price.forward_seconds},
          {"comm_share", price.comm_share}};
}

Json PriceJson(const Device& device, const StepShape& shape, int state, double celsius) {
  const PowerModel power(device.profile, device.timing.chips);
  const double leakage = power.LeakageFactor(celsius);
  const StepPrice price = PriceStep(device.profile, device.timing, shape, state);
  const double seconds = ToSeconds(price.duration);
  const double joules = power.StepEnergy(price, state, leakage).joules();
  return {{"state", state},
          {"clock_hz", device.profile.pstates[state].hertz},
          {"seconds", seconds},
          {"host_gap_seconds", ToSeconds(price.host_gap)},
          {"stalls", StallsJson(price.stalls)},
          {"watts",
           {{"host_gap", ToWatts(power.HostGap(state, leakage))},
            {"forward", ToWatts(power.Forward(price, state, leakage))},
            {"mean", joules / seconds}}},
          {"joules", joules},
          {"mfu", price.mfu},
          {"mbu", price.mbu},
          {"work", WorkJson(price)}};
}

Json NumberJson(double value) { return std::isinf(value) ? Json(kInfinityText) : Json(value); }

absl::StatusOr<Json> ListNumbers(const Json& line) {
  ASSIGN_OR_RETURN(const Profile profile, ReadProfile(line));
  Json numbers = Json::object();
  for (const NamedNumber& named : ProfileNumbers(profile)) {
    const ProfileNumber& number = named.number;
    Json& entry = numbers[named.key];
    entry["value"] = NumberJson(number.value);
    entry["status"] = std::string(NumberStatusName(number.status));
    if (number.low && number.high) {
      entry["range"] = {NumberJson(*number.low), NumberJson(*number.high)};
    }
    entry["unit"] = named.unit;
    entry["scale"] = named.scale;
  }
  return numbers;
}

absl::StatusOr<Json> PriceLine(const std::string& text, Device* kept) {
  const Json line = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (line.is_discarded()) {
    return absl::InvalidArgumentError("is no JSON");
  }
  RETURN_IF_ERROR(
      OnlyThese(line, "object",
                {"profile", "numbers", "rates", "card", "precision", "chips", "expert_parallel",
                 "data_parallel_attention", "state", "celsius", "decodes", "prefills", "list"}));
  ASSIGN_OR_RETURN(const bool list, Flag(line, "list"));
  if (list) {
    return ListNumbers(line);
  }
  if (kept->key != KeyOf(line)) {
    ASSIGN_OR_RETURN(*kept, ReadDevice(line));
  }
  StepShape shape;
  const ShapeRules& rules = kept->timing.rules;
  RETURN_IF_ERROR(AddSequences(line, "decodes", StepRole::kDecode, rules, &shape));
  RETURN_IF_ERROR(AddSequences(line, "prefills", StepRole::kPrefill, rules, &shape));
  if (shape.total_sequences() == 0) {
    return Error("decodes", "a step needs a sequence, here or in prefills");
  }
  const Json temperature = line.value("celsius", Json(60.0));
  if (!temperature.is_number()) {
    return Error("celsius", "must be a number");
  }
  const double celsius = temperature.get<double>();
  const int top = kept->profile.top_state();
  if (line.contains("state") && line["state"] == "all") {
    Json states = Json::array();
    for (int state = 0; state <= top; ++state) {
      states.push_back(PriceJson(*kept, shape, state, celsius));
    }
    return states;
  }
  ASSIGN_OR_RETURN(const int64_t state, Whole(line, "state", top, 0, top));
  return PriceJson(*kept, shape, static_cast<int>(state), celsius);
}

int Run() {
  Device kept;
  std::string text;
  for (int number = 1; std::getline(std::cin, text); ++number) {
    const absl::StatusOr<Json> priced = PriceLine(text, &kept);
    if (!priced.ok()) {
      std::cerr << "line " << number << ": " << priced.status().message() << "\n";
      return 1;
    }
    std::cout << priced->dump() << "\n";
  }
  return 0;
}

}  // namespace
}  // namespace scoville::device

int main() { return scoville::device::Run(); }
