#include "device/physics/model_timing.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace scoville::device {

namespace {

// Stored bits of a weight up to which a file counts as 4-bit, and as 8-bit.
constexpr double kFourBitLimit = 6.0;
constexpr double kEightBitLimit = 9.0;

// Bytes of HBM traffic per token, layer and value of the width, besides weights and KV.
constexpr double kActivationPasses = 12.0;

double StoredBits(const model::ModelConfig& config) {
  if (config.parameters <= 0 || config.weight_bytes <= 0) {
    return 0;
  }
  return 8.0 * static_cast<double>(config.weight_bytes) / static_cast<double>(config.parameters);
}

// Scales included: 32 values share one 8-bit scale in the MX formats.
double UsualBytes(WeightFormat format) {
  switch (format) {
    case WeightFormat::kBf16:
      return 2.0;
    case WeightFormat::kFp8:
      return 1.03;
    case WeightFormat::kW4A16:
    case WeightFormat::kW4A8:
    case WeightFormat::kFp4:
      return 0.53;
  }
  return 2.0;
}

MathType LinearMath(const Profile& profile, WeightFormat format) {
  switch (format) {
    case WeightFormat::kBf16:
      return MathType::kBf16;
    case WeightFormat::kFp8:
      return MathType::kFp8;
    case WeightFormat::kW4A16:
      return profile.w4a16.value;
    case WeightFormat::kW4A8:
      return profile.w4a8.value;
    case WeightFormat::kFp4:
      return MathType::kFp4;
  }
  return MathType::kBf16;
}

absl::Status CheckInputs(const Profile& profile, const model::ModelConfig& config,
                         const NumericFormat& format, int64_t chips) {
  if (config.layers < 1 || config.width < 1 || config.heads < 1 || config.kv_heads < 1 ||
      config.head_size < 1 || config.vocabulary < 1 || config.ffn_width < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("model '", config.name, "': a dimension is missing or not positive"));
  }
  if (!(format.weight_bytes >= 0 && format.weight_bytes <= 8) ||
      !(format.kv_bytes > 0 && format.kv_bytes <= 8) ||
      !(format.activation_bytes > 0 && format.activation_bytes <= 8)) {
    return absl::InvalidArgumentError(
        "a weight, KV or activation value takes more than 0 and at most 8 bytes");
  }
  const int64_t most = static_cast<int64_t>(profile.global_chips.value);
  if (chips < 1 || chips > most) {
    return absl::InvalidArgumentError(absl::StrCat("a device of ", chips, " chips: profile '",
                                                   profile.name, "' allows 1 to ", most));
  }
  return absl::OkStatus();
}

}  // namespace

NumericFormat DefaultFormat(const model::ModelConfig& config) {
  const double bits = StoredBits(config);
  NumericFormat format;
  format.weights = bits > kEightBitLimit  ? WeightFormat::kBf16
                   : bits > kFourBitLimit ? WeightFormat::kFp8
                                          : WeightFormat::kW4A16;
  return format;
}

absl::StatusOr<ModelTiming> MakeModelTiming(const Profile& profile,
                                            const model::ModelConfig& config,
                                            const NumericFormat& format, int64_t chips) {
  if (absl::Status status = CheckInputs(profile, config, format, chips); !status.ok()) {
    return status;
  }
  const double layers = static_cast<double>(config.layers);
  const double width = static_cast<double>(config.width);
  const double t = static_cast<double>(chips);
  const double head_size = static_cast<double>(config.head_size);
  ModelTiming m;
  m.layers = config.layers;
  m.chips = chips;
  m.linear_math = LinearMath(profile, format.weights);
  m.attention_math = format.attention;
  m.layer_parameters = static_cast<double>(config.layer_parameters());
  m.head_parameters = width * static_cast<double>(config.vocabulary);
  const double stored = StoredBits(config) / 8.0;
  m.weight_bytes_per_parameter = format.weight_bytes > 0 ? format.weight_bytes
                                 : stored > 0            ? stored
                                                         : UsualBytes(format.weights);
  m.attention_flops_per_pair = 4.0 * layers * static_cast<double>(config.heads) * head_size;
  // KV heads are spread over the chips; beyond their number they replicate.
  const double spread = static_cast<double>(std::min(chips, config.kv_heads));
  m.kv_row_bytes_per_chip =
      layers * 2.0 * static_cast<double>(config.kv_heads) * head_size * format.kv_bytes / spread;
  m.activation_bytes_per_token = kActivationPasses * layers * width * format.activation_bytes / t;
  if (chips > 1) {
    m.link_bytes_per_token = layers * 2.0 * (2.0 * (t - 1.0) / t) * width * format.activation_bytes;
    m.collectives = 2 * config.layers;
  }
  m.link_bandwidth = t <= profile.local_chips.value ? profile.local_bandwidth.value
                                                    : profile.global_bandwidth.value;
  return m;
}

}  // namespace scoville::device
