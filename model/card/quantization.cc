#include "model/card/quantization.h"

#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/nearest_name.h"
#include "base/status_macros.h"

namespace scoville::model::internal {

namespace {

// A pattern is tried against a handful of names; what people write has a few alternatives.
constexpr size_t kMaxAlternatives = 64;
constexpr size_t kMaxPatternBytes = 4096;

// What a method makes of the modules that it converts.
struct Method {
  Precision weights = Precision::kBf16;
  Precision activations = Precision::kBf16;
  bool experts_only = false;
};

// "a(b|c)d" as "abd" and "acd".
std::vector<std::string> Alternatives(const std::string& pattern) {
  std::vector<std::string> done;
  std::vector<std::string> open = {pattern};
  while (!open.empty() && done.size() + open.size() <= kMaxAlternatives) {
    const std::string next = std::move(open.back());
    open.pop_back();
    const size_t from = next.find('(');
    const size_t to = from == std::string::npos ? from : next.find(')', from);
    if (to == std::string::npos) {
      done.push_back(next);
      continue;
    }
    const std::string inside = next.substr(from + 1, to - from - 1);
    for (size_t at = 0; at <= inside.size();) {
      const size_t bar = std::min(inside.find('|', at), inside.size());
      open.push_back(next.substr(0, from) + inside.substr(at, bar - at) + next.substr(to + 1));
      at = bar + 1;
    }
  }
  return done;
}

// The literal pieces of the pattern, in order.
std::vector<std::string> Pieces(absl::string_view pattern, bool is_regex) {
  std::vector<std::string> pieces(1);
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (is_regex && c == '\\' && i + 1 < pattern.size()) {
      // \. is a dot; \d, \w and their like match what they will.
      ++i;
      if (absl::ascii_isalpha(static_cast<unsigned char>(pattern[i]))) {
        pieces.emplace_back();
      } else {
        pieces.back().push_back(pattern[i]);
      }
    } else if (c == '*' || (is_regex && (c == '+' || c == '?' || c == '^' || c == '$'))) {
      pieces.emplace_back();
    } else if (is_regex && c == '.' && i + 1 < pattern.size() &&
               (pattern[i + 1] == '*' || pattern[i + 1] == '+')) {
      pieces.emplace_back();
    } else {
      pieces.back().push_back(c);
    }
  }
  return pieces;
}

bool InOrder(const std::vector<std::string>& pieces, absl::string_view module) {
  size_t at = 0;
  bool any = false;
  for (const std::string& piece : pieces) {
    if (piece.empty()) {
      continue;
    }
    const size_t found = module.find(piece, at);
    if (found == absl::string_view::npos) {
      return false;
    }
    at = found + piece.size();
    any = true;
  }
  return any;
}

// One entry of config_groups: {num_bits, type, group_size} of weights or activations.
absl::StatusOr<Precision> ReadNumberFormat(const CardFields& fields) {
  ASSIGN_OR_RETURN(const int64_t bits, fields.Int({"num_bits"}, 1, 64));
  ASSIGN_OR_RETURN(const std::string type, fields.TextOr("type", "float"));
  ASSIGN_OR_RETURN(const int64_t group, fields.IntOr({"group_size"}, 0, -1, 1 << 20));
  if (bits >= 16) {
    return Precision::kBf16;
  }
  if (bits == 8) {
    return Precision::kFp8;  // 8-bit integers take the same bytes
  }
  if (bits == 4) {
    return type == "int" ? Precision::kInt4 : group == 16 ? Precision::kNvfp4 : Precision::kMxfp4;
  }
  return fields.Error("num_bits", absl::StrCat(bits, " bits, supported are 4, 8 and 16"));
}

absl::StatusOr<Method> ReadGroups(const CardFields& config) {
  ASSIGN_OR_RETURN(const CardFields groups, config.Object("config_groups"));
  const std::vector<std::string> names = groups.Names();
  if (names.empty()) {
    return config.Error("config_groups", "the field is missing: the stored widths are unknown");
  }
  // The widest product decides where groups differ; one group is the rule.
  std::optional<Method> method;
  for (const std::string& name : names) {
    ASSIGN_OR_RETURN(const CardFields group, groups.Object(name.c_str()));
    ASSIGN_OR_RETURN(const CardFields weights, group.Object("weights"));
    Method one;
    ASSIGN_OR_RETURN(one.weights, ReadNumberFormat(weights));
    ASSIGN_OR_RETURN(const CardFields inputs, group.Object("input_activations"));
    if (inputs.Has("num_bits")) {
      ASSIGN_OR_RETURN(one.activations, ReadNumberFormat(inputs));
    }
    if (!method || BytesPerValue(one.weights) > BytesPerValue(method->weights)) {
      method = one;
    }
  }
  return *method;
}

absl::StatusOr<Method> ReadModelopt(const CardFields& config) {
  ASSIGN_OR_RETURN(const CardFields nested, config.Object("quantization"));
  const CardFields& fields = nested.Has("quant_algo") ? nested : config;
  ASSIGN_OR_RETURN(const std::string algorithm, fields.TextOr("quant_algo", ""));
  if (absl::StartsWith(algorithm, "FP8")) {
    return Method{Precision::kFp8, Precision::kFp8, false};
  }
  if (algorithm == "NVFP4") {
    return Method{Precision::kNvfp4, Precision::kNvfp4, false};
  }
  if (algorithm == "W4A16_NVFP4") {
    return Method{Precision::kNvfp4, Precision::kBf16, false};
  }
  if (algorithm == "W4A8_NVFP4_FP8") {
    return Method{Precision::kNvfp4, Precision::kFp8, false};
  }
  if (algorithm == "W4A16_AWQ") {
    return Method{Precision::kInt4, Precision::kBf16, false};
  }
  if (config.Has("config_groups")) {
    return ReadGroups(config);
  }
  return fields.Error("quant_algo", absl::StrCat("'", algorithm,
                                                 "' is not among FP8, NVFP4, W4A16_NVFP4, "
                                                 "W4A8_NVFP4_FP8, W4A16_AWQ; say the precisions "
                                                 "in a \"scoville\" block"));
}

absl::StatusOr<Method> ReadMethod(const CardFields& config) {
  ASSIGN_OR_RETURN(const std::string name, config.TextOr("quant_method", ""));
  if (name == "fp8" || name == "fbgemm_fp8") {
    return Method{Precision::kFp8, Precision::kFp8, false};
  }
  if (name == "mxfp4") {
    return Method{Precision::kMxfp4, Precision::kBf16, true};
  }
  if (name == "modelopt" || name == "modelopt_fp4") {
    return ReadModelopt(config);
  }
  if (name == "compressed-tensors") {
    return ReadGroups(config);
  }
  if (name == "awq" || name == "gptq") {
    ASSIGN_OR_RETURN(const int64_t bits, config.IntOr({"bits", "w_bit"}, 4, 1, 64));
    if (bits != 4 && bits != 8) {
      return config.Error("bits", absl::StrCat(bits, " bits, supported are 4 and 8"));
    }
    return Method{bits == 4 ? Precision::kInt4 : Precision::kFp8, Precision::kBf16, false};
  }
  return config.Error("quant_method",
                      absl::StrCat("'", name,
                                   "' is not among fp8, mxfp4, modelopt, "
                                   "compressed-tensors, awq, gptq; remove the block and "
                                   "say the precisions in a \"scoville\" block"));
}

absl::StatusOr<Precision> ReadPlain(const CardFields& outer, const CardFields& text) {
  for (const CardFields* fields : {&text, &outer}) {
    for (const char* name : {"torch_dtype", "dtype"}) {
      if (!fields->Has(name)) {
        continue;
      }
      ASSIGN_OR_RETURN(const std::string type, fields->TextOr(name, ""));
      // A 32-bit checkpoint is served in 16 bits, as engines do.
      if (type == "bfloat16" || type == "float16" || type == "float32" || type == "auto") {
        return Precision::kBf16;
      }
      if (absl::StartsWith(type, "float8_e4m3")) {
        return Precision::kFp8;
      }
      return fields->Error(name, absl::StrCat("'", type,
                                              "' is not among bfloat16, float16, "
                                              "float32, float8_e4m3fn"));
    }
  }
  return Precision::kBf16;
}

absl::StatusOr<Precision> ReadKv(const CardFields& config) {
  ASSIGN_OR_RETURN(const CardFields scheme, config.Object("kv_cache_scheme"));
  if (scheme.Has("num_bits")) {
    return ReadNumberFormat(scheme);
  }
  ASSIGN_OR_RETURN(const CardFields nested, config.Object("quantization"));
  for (const CardFields* fields : {&config, &nested}) {
    ASSIGN_OR_RETURN(const std::string name, fields->TextOr("kv_cache_quant_algo", ""));
    if (absl::StartsWith(name, "FP8")) {
      return Precision::kFp8;
    }
  }
  return Precision::kBf16;
}

absl::StatusOr<std::vector<std::string>> ReadExcluded(const CardFields& config) {
  ASSIGN_OR_RETURN(const CardFields nested, config.Object("quantization"));
  std::vector<std::string> all;
  for (const CardFields* fields : {&config, &nested}) {
    for (const char* name : {"modules_to_not_convert", "ignore", "exclude_modules"}) {
      ASSIGN_OR_RETURN(std::vector<std::string> some, fields->Texts(name));
      all.insert(all.end(), some.begin(), some.end());
    }
  }
  return all;
}

}  // namespace

bool NamesModule(absl::Span<const std::string> patterns, absl::string_view module) {
  for (const std::string& pattern : patterns) {
    if (pattern.size() > kMaxPatternBytes) {
      continue;
    }
    const bool is_regex = absl::StartsWith(pattern, "re:");
    if (!is_regex) {
      if (InOrder(Pieces(pattern, false), module)) {
        return true;
      }
      continue;
    }
    for (const std::string& one : Alternatives(pattern.substr(3))) {
      if (InOrder(Pieces(one, true), module)) {
        return true;
      }
    }
  }
  return false;
}

absl::StatusOr<Precision> PrecisionNamed(absl::string_view name) {
  std::vector<std::string> known;
  for (int i = 0; i <= static_cast<int>(Precision::kInt4); ++i) {
    const auto precision = static_cast<Precision>(i);
    if (name == PrecisionName(precision)) {
      return precision;
    }
    known.emplace_back(PrecisionName(precision));
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "'", name, "' is not among ", absl::StrJoin(known, ", "), DidYouMean(name, known)));
}

absl::StatusOr<StoredPrecisions> ReadStoredPrecisions(const CardFields& outer,
                                                      const CardFields& text,
                                                      int64_t middle_layer) {
  StoredPrecisions out;
  ASSIGN_OR_RETURN(const Precision plain, ReadPlain(outer, text));
  out.attention = out.dense = out.shared = out.experts = out.head = plain;
  if (plain == Precision::kFp8) {
    out.activations = plain;
    out.head = Precision::kBf16;
  }
  const CardFields& holder = text.Has("quantization_config") ? text : outer;
  if (!holder.Has("quantization_config")) {
    return out;
  }
  ASSIGN_OR_RETURN(const CardFields config, holder.Object("quantization_config"));
  ASSIGN_OR_RETURN(const Method method, ReadMethod(config));
  ASSIGN_OR_RETURN(const std::vector<std::string> excluded, ReadExcluded(config));
  ASSIGN_OR_RETURN(out.kv, ReadKv(config));
  out.activations = method.activations;
  const std::string layer = absl::StrCat("model.layers.", middle_layer, ".");
  const auto stored = [&](const std::string& module) {
    return NamesModule(excluded, module) ? plain : method.weights;
  };
  out.experts = stored(layer + "mlp.experts.0.gate_proj");
  if (!method.experts_only) {
    out.attention = stored(layer + "self_attn.o_proj");
    out.dense = stored("model.layers.0.mlp.gate_proj");
    out.shared = stored(layer + "mlp.shared_experts.gate_proj");
  }
  // Engines leave the head in 16 bits unless told otherwise, and none of these methods tells.
  return out;
}

}  // namespace scoville::model::internal
