#include "model/card/model_card.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace scoville::model {

namespace {

// Stored bits of a weight up to which a file counts as 4-bit, and as 8-bit.
constexpr double kFourBitLimit = 6.0;
constexpr double kEightBitLimit = 9.0;

// Widths, counts and ranks above this are mistakes; products of three stay far below 2^63.
constexpr int64_t kLargestDimension = int64_t{1} << 20;

absl::Status Positive(const ModelCard& card, absl::string_view field, int64_t value) {
  if (value < 1 || value > kLargestDimension) {
    return absl::InvalidArgumentError(absl::StrCat("model '", card.name, "': ", field, " is ",
                                                   value, ", allowed 1 to ", kLargestDimension));
  }
  return absl::OkStatus();
}

absl::Status CheckGroup(const ModelCard& card, const LayerGroup& group) {
  absl::Status status = Positive(card, "the number of layers of a group", group.count);
  if (status.ok()) {
    status = Positive(card, "the FFN's width", group.ffn_width);
  }
  if (!status.ok()) {
    return status;
  }
  if (group.window < 0 || group.shared_width < 0 || group.shared_width > kLargestDimension ||
      group.experts < 0 || group.experts > kLargestDimension) {
    return absl::InvalidArgumentError(
        absl::StrCat("model '", card.name,
                     "': a window, expert count or shared width is out of "
                     "range"));
  }
  if (group.experts > 0 &&
      (group.experts_per_token < 1 || group.experts_per_token > group.experts)) {
    return absl::InvalidArgumentError(
        absl::StrCat("model '", card.name, "': ", group.experts_per_token,
                     " experts a token, allowed 1 to ", group.experts));
  }
  if (group.window > 0 && group.window != card.window()) {
    return absl::InvalidArgumentError(absl::StrCat("model '", card.name, "': two windows (",
                                                   card.window(), " and ", group.window,
                                                   " tokens), one is supported"));
  }
  return absl::OkStatus();
}

absl::Status CheckAttention(const ModelCard& card) {
  absl::Status status = Positive(card, "heads", card.heads);
  if (!card.latent) {
    if (status.ok()) {
      status = Positive(card, "KV heads", card.kv_heads);
    }
    if (status.ok()) {
      status = Positive(card, "the head's size", card.head_size);
    }
    if (status.ok() && card.heads % card.kv_heads != 0) {
      status = absl::InvalidArgumentError(absl::StrCat("model '", card.name, "': ", card.kv_heads,
                                                       " KV heads do not divide ", card.heads,
                                                       " heads"));
    }
    return status;
  }
  const LatentAttention& l = *card.latent;
  if (status.ok() && l.query_rank != 0) {
    status = Positive(card, "the queries' rank", l.query_rank);
  }
  for (const auto& [name, value] :
       {std::pair<const char*, int64_t>{"the latent KV rank", l.kv_rank},
        {"the unrotated head size", l.nope_size},
        {"the rotated head size", l.rope_size},
        {"the value's head size", l.value_size}}) {
    if (status.ok()) {
      status = Positive(card, name, value);
    }
  }
  return status;
}

}  // namespace

absl::string_view PrecisionName(Precision precision) {
  constexpr absl::string_view kNames[] = {"bf16", "fp8", "mxfp4", "nvfp4", "int4"};
  return kNames[static_cast<int>(precision)];
}

double BytesPerValue(Precision precision) {
  // FP8 with one 32-bit scale per 128 values (or a few per tensor); MXFP4: 4 + 8 / 32 bits; the
  // 16-bit scale of 32 four-bit values, or 8 bits over 16, make 4.5 bits.
  constexpr double kBytes[] = {2.0, 1.03, 0.53, 0.5625, 0.5625};
  return kBytes[static_cast<int>(precision)];
}

double KvBytesPerValue(Precision precision) {
  return precision == Precision::kFp8 ? 1.0 : BytesPerValue(precision);
}

int64_t ModelCard::layers() const {
  int64_t sum = 0;
  for (const LayerGroup& group : groups) {
    sum += group.count;
  }
  return sum;
}

int64_t ModelCard::window() const {
  for (const LayerGroup& group : groups) {
    if (group.window > 0) {
      return group.window;
    }
  }
  return 0;
}

int64_t ModelCard::attention_parameters() const {
  if (!latent) {
    return 2 * width * heads * head_size + 2 * width * kv_heads * head_size;
  }
  const LatentAttention& l = *latent;
  const int64_t query = heads * (l.nope_size + l.rope_size);
  return (l.query_rank > 0 ? width * l.query_rank + l.query_rank * query : width * query) +
         width * (l.kv_rank + l.rope_size) + l.kv_rank * heads * (l.nope_size + l.value_size) +
         heads * l.value_size * width;
}

int64_t ModelCard::ffn_parameters(const LayerGroup& group) const {
  if (group.experts == 0) {
    return 3 * width * group.ffn_width;
  }
  return 3 * width * group.shared_width + width * group.experts;  // the router's matrix too
}

int64_t ModelCard::expert_parameters(const LayerGroup& group) const {
  return group.experts * 3 * width * group.ffn_width;
}

int64_t ModelCard::layer_parameters() const {
  int64_t sum = 0;
  for (const LayerGroup& group : groups) {
    sum +=
        group.count * (attention_parameters() + ffn_parameters(group) + expert_parameters(group));
  }
  return sum;
}

int64_t ModelCard::total_parameters() const {
  return layer_parameters() + (tied_head ? 1 : 2) * width * vocabulary;
}

int64_t ModelCard::active_parameters() const {
  int64_t sum = width * vocabulary;
  for (const LayerGroup& group : groups) {
    sum += group.count * (attention_parameters() + ffn_parameters(group) +
                          group.experts_per_token * 3 * width * group.ffn_width);
  }
  return sum;
}

int64_t ModelCard::kv_values_per_layer() const {
  return latent ? latent->kv_rank + latent->rope_size : 2 * kv_heads * head_size;
}

double ModelCard::stored_bytes() const {
  int64_t routed = 0;
  for (const LayerGroup& group : groups) {
    routed += group.count * expert_parameters(group);
  }
  const double dense = weight_bytes > 0 ? weight_bytes : BytesPerValue(weights);
  return static_cast<double>(total_parameters() - routed) * dense +
         static_cast<double>(routed) * BytesPerValue(expert_weights);
}

absl::Status Validate(const ModelCard& card) {
  absl::Status status = CheckAttention(card);
  if (status.ok()) {
    status = Positive(card, "the width", card.width);
  }
  if (status.ok() && (card.vocabulary < 1 || card.vocabulary > int64_t{1} << 24)) {
    status = absl::InvalidArgumentError(absl::StrCat("model '", card.name, "': a vocabulary of ",
                                                     card.vocabulary, ", allowed 1 to 16777216"));
  }
  if (status.ok() && (card.context < 1 || card.context > int64_t{1} << 30)) {
    status = absl::InvalidArgumentError(absl::StrCat("model '", card.name, "': a context of ",
                                                     card.context, ", allowed 1 to 2^30"));
  }
  if (status.ok() && !(card.weight_bytes >= 0 && card.weight_bytes <= 8)) {
    status = absl::InvalidArgumentError(
        absl::StrCat("model '", card.name, "': a weight takes more than 0 and at most 8 bytes"));
  }
  if (status.ok() && (card.groups.empty() || card.groups.size() > size_t{kMaxLayerGroups})) {
    status = absl::InvalidArgumentError(
        absl::StrCat("model '", card.name, "': ", card.groups.size(),
                     " kinds of layers, allowed 1 to ", kMaxLayerGroups));
  }
  for (const LayerGroup& group : card.groups) {
    if (status.ok()) {
      status = CheckGroup(card, group);
    }
  }
  return status;
}

ModelCard CardOf(const ModelConfig& config) {
  ModelCard card;
  card.name = config.name;
  card.width = config.width;
  card.heads = config.heads;
  card.kv_heads = config.kv_heads;
  card.head_size = config.head_size;
  LayerGroup group;
  group.count = config.layers;
  group.ffn_width = config.ffn_width;
  card.groups.push_back(group);
  card.vocabulary = config.vocabulary;
  card.context = config.context;
  card.tied_head = config.tied_head;
  if (config.parameters > 0 && config.weight_bytes > 0) {
    card.weight_bytes =
        static_cast<double>(config.weight_bytes) / static_cast<double>(config.parameters);
    const double bits = 8.0 * card.weight_bytes;
    card.weights = bits > kEightBitLimit  ? Precision::kBf16
                   : bits > kFourBitLimit ? Precision::kFp8
                                          : Precision::kInt4;
    if (card.weights == Precision::kFp8) {
      card.activations = Precision::kFp8;
    }
  }
  return card;
}

}  // namespace scoville::model
