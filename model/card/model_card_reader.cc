#include "model/card/model_card_reader.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/nearest_name.h"
#include "base/status_macros.h"
#include "model/card/builtin_cards.h"
#include "model/card/card_json.h"
#include "model/card/quantization.h"

namespace scoville::model {

namespace {

using internal::CardDocument;
using internal::CardFields;
using internal::StoredPrecisions;

// What Validate allows of one dimension; a file's numbers are bounded before they are used.
constexpr int64_t kMax = int64_t{1} << 20;
constexpr int64_t kMaxLayers = 4096;
constexpr size_t kMaxFileBytes = size_t{1} << 20;

enum class Family : uint8_t { kDense, kExperts, kLatentExperts };

struct Architecture {
  const char* name;
  Family family;
};

constexpr Architecture kArchitectures[] = {
    {"llama", Family::kDense},
    {"mistral", Family::kDense},
    {"qwen2", Family::kDense},
    {"qwen3", Family::kDense},
    {"mixtral", Family::kExperts},
    {"qwen3_moe", Family::kExperts},
    {"gpt_oss", Family::kExperts},
    {"deepseek_v2", Family::kLatentExperts},
    {"deepseek_v3", Family::kLatentExperts},
    {"kimi_k2", Family::kLatentExperts},
};

absl::StatusOr<Architecture> ReadArchitecture(const CardFields& text) {
  ASSIGN_OR_RETURN(const std::string type, text.TextOr("model_type", ""));
  std::vector<std::string> known;
  for (const Architecture& one : kArchitectures) {
    if (type == one.name) {
      return one;
    }
    known.emplace_back(one.name);
  }
  return text.Error(
      "model_type",
      absl::StrCat(type.empty() ? "the field is missing" : absl::StrCat("'", type, "'"),
                   ", supported are ", absl::StrJoin(known, ", "), DidYouMean(type, known),
                   "; a model built like one of these may be given its name"));
}

absl::Status ReadAttention(const CardFields& text, Family family, ModelCard* card) {
  ASSIGN_OR_RETURN(card->heads, text.Int({"num_attention_heads"}, 1, kMax));
  if (family == Family::kLatentExperts) {
    LatentAttention latent;
    ASSIGN_OR_RETURN(latent.query_rank, text.IntOr({"q_lora_rank"}, 0, 0, kMax));
    ASSIGN_OR_RETURN(latent.kv_rank, text.Int({"kv_lora_rank"}, 1, kMax));
    ASSIGN_OR_RETURN(latent.nope_size, text.Int({"qk_nope_head_dim"}, 1, kMax));
    ASSIGN_OR_RETURN(latent.rope_size, text.Int({"qk_rope_head_dim"}, 1, kMax));
    ASSIGN_OR_RETURN(latent.value_size, text.Int({"v_head_dim"}, 1, kMax));
    card->latent = latent;
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(card->kv_heads, text.IntOr({"num_key_value_heads"}, card->heads, 1, kMax));
  if (!text.Has("head_dim") && card->width % card->heads != 0) {
    return text.Error("head_dim", absl::StrCat("the field is missing, and ", card->heads,
                                               " heads do not divide a width of ", card->width));
  }
  ASSIGN_OR_RETURN(card->head_size, text.IntOr({"head_dim"}, card->width / card->heads, 1, kMax));
  return absl::OkStatus();
}

// Whether each layer has experts; an empty answer is a dense model.
absl::StatusOr<std::vector<bool>> ReadExpertLayers(const CardFields& text, Family family,
                                                   int64_t layers) {
  std::vector<bool> out;
  if (family == Family::kDense) {
    return out;
  }
  ASSIGN_OR_RETURN(const int64_t first, text.IntOr({"first_k_dense_replace"}, 0, 0, kMaxLayers));
  ASSIGN_OR_RETURN(const int64_t frequency, text.IntOr({"moe_layer_freq"}, 1, 1, kMaxLayers));
  ASSIGN_OR_RETURN(const int64_t step, text.IntOr({"decoder_sparse_step"}, 1, 1, kMaxLayers));
  ASSIGN_OR_RETURN(const std::vector<int64_t> dense, text.Ints("mlp_only_layers", 0, kMaxLayers));
  const std::set<int64_t> only(dense.begin(), dense.end());
  for (int64_t i = 0; i < layers; ++i) {
    out.push_back(i >= first && i % frequency == 0 && (i + 1) % step == 0 && only.count(i) == 0);
  }
  return out;
}

// The window of each layer; 0: everything.
absl::StatusOr<std::vector<int64_t>> ReadWindows(const CardFields& text,
                                                 absl::string_view architecture, int64_t layers) {
  const auto count = static_cast<size_t>(layers);
  std::vector<int64_t> out(count, 0);
  ASSIGN_OR_RETURN(const int64_t window, text.IntOr({"sliding_window"}, 0, 0, int64_t{1} << 30));
  ASSIGN_OR_RETURN(const std::vector<std::string> types, text.Texts("layer_types"));
  if (!types.empty()) {
    if (types.size() != count) {
      return text.Error("layer_types",
                        absl::StrCat("has ", types.size(), " entries for ", layers, " layers"));
    }
    for (size_t i = 0; i < count; ++i) {
      if (types[i] == "sliding_attention") {
        if (window == 0) {
          return text.Error("layer_types", "names sliding layers, but sliding_window is missing");
        }
        out[i] = window;
      } else if (types[i] != "full_attention") {
        return text.Error(
            "layer_types",
            absl::StrCat("'", types[i], "' is not among full_attention, sliding_attention"));
      }
    }
    return out;
  }
  if (window == 0) {
    return out;
  }
  if (architecture == "gpt_oss") {
    for (size_t i = 0; i < count; i += 2) {
      out[i] = window;  // every other layer, the first one too
    }
  } else if (architecture == "mistral" || architecture == "mixtral") {
    std::fill(out.begin(), out.end(), window);
  } else {
    ASSIGN_OR_RETURN(const bool use, text.BoolOr("use_sliding_window", false));
    ASSIGN_OR_RETURN(const int64_t first, text.IntOr({"max_window_layers"}, 0, 0, kMax));
    for (size_t i = 0; use && i < count; ++i) {
      out[i] = static_cast<int64_t>(i) >= first ? window : 0;
    }
  }
  return out;
}

absl::StatusOr<LayerGroup> ReadExpertGroup(const CardFields& text) {
  LayerGroup group;
  ASSIGN_OR_RETURN(group.ffn_width,
                   text.Int({"moe_intermediate_size", "intermediate_size"}, 1, kMax));
  ASSIGN_OR_RETURN(group.experts,
                   text.Int({"num_experts", "num_local_experts", "n_routed_experts"}, 1, kMax));
  ASSIGN_OR_RETURN(group.experts_per_token,
                   text.Int({"num_experts_per_tok", "experts_per_token"}, 1, group.experts));
  ASSIGN_OR_RETURN(const int64_t shared, text.IntOr({"n_shared_experts"}, 0, 0, 1024));
  group.shared_width = shared * group.ffn_width;
  return group;
}

absl::Status ReadLayers(const CardFields& text, const Architecture& architecture, ModelCard* card) {
  ASSIGN_OR_RETURN(const int64_t layers, text.Int({"num_hidden_layers"}, 1, kMaxLayers));
  ASSIGN_OR_RETURN(const std::vector<bool> with_experts,
                   ReadExpertLayers(text, architecture.family, layers));
  ASSIGN_OR_RETURN(const std::vector<int64_t> windows,
                   ReadWindows(text, architecture.name, layers));
  for (int64_t i = 0; i < layers; ++i) {
    const auto at = static_cast<size_t>(i);
    LayerGroup group;
    if (!with_experts.empty() && with_experts[at]) {
      ASSIGN_OR_RETURN(group, ReadExpertGroup(text));
    } else {
      ASSIGN_OR_RETURN(group.ffn_width, text.Int({"intermediate_size"}, 1, kMax));
    }
    group.window = windows[at];
    const auto same =
        std::find_if(card->groups.begin(), card->groups.end(), [&group](const LayerGroup& other) {
          return other.window == group.window && other.experts == group.experts;
        });
    if (same != card->groups.end()) {
      ++same->count;
    } else {
      group.count = 1;
      card->groups.push_back(group);
    }
  }
  return absl::OkStatus();
}

// The precisions of the checkpoint, reduced to what a card says. Where the parts that are no
// experts differ, the larger part names the arithmetic and the bytes are averaged.
void ApplyStored(const StoredPrecisions& stored, ModelCard* card) {
  const auto attention = static_cast<double>(card->layers() * card->attention_parameters());
  double dense = 0;
  double shared = 0;
  double routers = 0;
  for (const LayerGroup& group : card->groups) {
    const auto count = static_cast<double>(group.count);
    const auto width = static_cast<double>(card->width);
    if (group.experts == 0) {
      dense += count * 3.0 * width * static_cast<double>(group.ffn_width);
    } else {
      shared += count * 3.0 * width * static_cast<double>(group.shared_width);
      routers += count * width * static_cast<double>(group.experts);
    }
  }
  const auto tables =
      static_cast<double>((card->tied_head ? 1 : 2) * card->width * card->vocabulary);
  double of_precision[static_cast<int>(Precision::kInt4) + 1] = {};
  of_precision[static_cast<int>(stored.attention)] += attention;
  of_precision[static_cast<int>(stored.dense)] += dense;
  of_precision[static_cast<int>(stored.shared)] += shared;
  card->weights = static_cast<Precision>(
      std::max_element(std::begin(of_precision), std::end(of_precision)) - of_precision);
  card->expert_weights = stored.experts;
  card->activations = stored.activations;
  card->kv = stored.kv;
  const double bytes = attention * BytesPerValue(stored.attention) +
                       dense * BytesPerValue(stored.dense) + shared * BytesPerValue(stored.shared) +
                       (routers + tables) * BytesPerValue(Precision::kBf16);
  const double count = attention + dense + shared + routers + tables;
  const bool plain = stored.attention == Precision::kBf16 && stored.dense == Precision::kBf16 &&
                     stored.shared == Precision::kBf16;
  card->weight_bytes = plain ? 0 : bytes / count;
}

// What the deployment does otherwise than the checkpoint.
absl::Status ApplyOverrides(const CardFields& root, ModelCard* card) {
  ASSIGN_OR_RETURN(const CardFields own, root.Object("scoville"));
  const std::string known[] = {"weights", "experts", "activations", "kv"};
  RETURN_IF_ERROR(own.OnlyThese(known));
  Precision* const targets[] = {&card->weights, &card->expert_weights, &card->activations,
                                &card->kv};
  for (size_t i = 0; i < std::size(known); ++i) {
    if (!own.Has(known[i].c_str())) {
      continue;
    }
    ASSIGN_OR_RETURN(const std::string name, own.TextOr(known[i].c_str(), ""));
    const absl::StatusOr<Precision> precision = internal::PrecisionNamed(name);
    if (!precision.ok()) {
      return own.Error(known[i], precision.status().message());
    }
    *targets[i] = *precision;
    if (i == 0) {
      card->weight_bytes = 0;
    }
  }
  if (IsFourBit(card->kv)) {
    return own.Error("kv", "four-bit caches are not supported; use fp8 or bf16");
  }
  return absl::OkStatus();
}

std::string NameOf(absl::string_view path) {
  const std::filesystem::path file{std::string(path)};
  const bool usual = file.filename() == "config.json";
  std::string name = usual ? file.parent_path().filename().string() : file.stem().string();
  if (name.empty() || name == "." || name == "..") {
    name = "config";
  }
  return absl::AsciiStrToLower(name);
}

}  // namespace

absl::StatusOr<ModelCard> ParseModelCard(absl::string_view text, absl::string_view file,
                                         absl::string_view name) {
  ASSIGN_OR_RETURN(const CardDocument document, CardDocument::Parse(text, file));
  const CardFields root = document.Root();
  ASSIGN_OR_RETURN(const CardFields nested, root.Object("text_config"));
  const CardFields& fields = nested.Has("hidden_size") ? nested : root;
  ModelCard card;
  card.name = std::string(name);
  ASSIGN_OR_RETURN(const Architecture architecture, ReadArchitecture(fields));
  ASSIGN_OR_RETURN(card.width, fields.Int({"hidden_size"}, 1, kMax));
  ASSIGN_OR_RETURN(card.vocabulary, fields.Int({"vocab_size"}, 1, int64_t{1} << 24));
  ASSIGN_OR_RETURN(card.context, fields.Int({"max_position_embeddings"}, 1, int64_t{1} << 30));
  // Absent means untied in each of these families; the outer object speaks for a nested one.
  ASSIGN_OR_RETURN(const bool outer_tied, root.BoolOr("tie_word_embeddings", false));
  ASSIGN_OR_RETURN(card.tied_head, fields.BoolOr("tie_word_embeddings", outer_tied));
  RETURN_IF_ERROR(ReadAttention(fields, architecture.family, &card));
  RETURN_IF_ERROR(ReadLayers(fields, architecture, &card));
  ASSIGN_OR_RETURN(const StoredPrecisions stored,
                   internal::ReadStoredPrecisions(root, fields, card.layers() / 2));
  ApplyStored(stored, &card);
  RETURN_IF_ERROR(ApplyOverrides(root, &card));
  if (absl::Status status = Validate(card); !status.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(file, ": ", status.message()));
  }
  return card;
}

absl::StatusOr<ModelCard> LoadModelCard(absl::string_view path) {
  std::filesystem::path file{std::string(path)};
  std::error_code error;
  if (std::filesystem::is_directory(file, error)) {
    file /= "config.json";
  }
  const std::string shown = file.lexically_normal().string();
  std::ifstream in(file, std::ios::binary);
  if (!in) {
    return absl::NotFoundError(
        absl::StrCat(shown, ": the model card cannot be opened; name the config.json of a model"));
  }
  // One byte more than allowed, so that the parser sees a file that is too large.
  std::string text(kMaxFileBytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad() || (in.fail() && !in.eof())) {
    return absl::NotFoundError(absl::StrCat(shown, ": the model card cannot be read"));
  }
  text.resize(static_cast<size_t>(in.gcount()));
  return ParseModelCard(text, shown, NameOf(shown));
}

std::vector<std::string> BuiltinCardNames() {
  std::vector<std::string> names;
  for (const internal::BuiltinCardText& builtin : internal::BuiltinCardTexts()) {
    names.emplace_back(builtin.name);
  }
  return names;
}

absl::StatusOr<ModelCard> BuiltinCard(absl::string_view name) {
  for (const internal::BuiltinCardText& builtin : internal::BuiltinCardTexts()) {
    if (name == builtin.name) {
      return ParseModelCard(builtin.json, absl::StrCat("built-in ", name, "/config.json"), name);
    }
  }
  const std::vector<std::string> names = BuiltinCardNames();
  return absl::NotFoundError(absl::StrCat("no built-in model card '", name, "', there are ",
                                          absl::StrJoin(names, ", "), DidYouMean(name, names),
                                          "; a file is named by a path with '/' or .json"));
}

absl::StatusOr<ModelCard> FindCard(absl::string_view name_or_path) {
  const bool is_path =
      absl::StrContains(name_or_path, "/") || absl::EndsWith(name_or_path, ".json");
  return is_path ? LoadModelCard(name_or_path) : BuiltinCard(name_or_path);
}

}  // namespace scoville::model
