#include "model/gguf/model_config_from_gguf.h"

#include <cmath>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"

namespace scoville::model {

namespace {

// Bounds that any served model keeps far below; they make the products in ModelConfig safe.
constexpr int64_t kMaxLayers = 1024;
constexpr int64_t kMaxHeads = 4096;
constexpr int64_t kMaxWidth = 1 << 20;
constexpr int64_t kMaxVocabulary = 1 << 20;
constexpr int64_t kMaxContext = int64_t{1} << 31;

// Reads keys below `llama.`; a present key of the wrong type is an error even where it may be
// absent.
class Section {
 public:
  Section(const GgufFile& file, absl::string_view prefix) : file_(file), prefix_(prefix) {}

  std::string Key(absl::string_view name) const { return absl::StrCat(prefix_, ".", name); }
  bool Has(absl::string_view name) const { return file_.Has(Key(name)); }

  absl::StatusOr<int64_t> Int(absl::string_view name, int64_t most) const {
    ASSIGN_OR_RETURN(const int64_t value, Required(file_.GetInt(Key(name))));
    if (value < 1 || value > most) {
      return absl::InvalidArgumentError(
          absl::StrCat("GGUF key `", Key(name), "` is ", value, ", allowed are 1 to ", most));
    }
    return value;
  }
  absl::StatusOr<int64_t> IntOr(absl::string_view name, int64_t most, int64_t fallback) const {
    return Has(name) ? Int(name, most) : fallback;
  }
  absl::StatusOr<double> Float(absl::string_view name) const {
    ASSIGN_OR_RETURN(const double value, Required(file_.GetFloat(Key(name))));
    if (!std::isfinite(value) || value <= 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("GGUF key `", Key(name), "` is ", value, ", it must be positive"));
    }
    return value;
  }
  absl::StatusOr<double> FloatOr(absl::string_view name, double fallback) const {
    return Has(name) ? Float(name) : fallback;
  }

 private:
  // A missing key makes the file invalid; NotFound is for missing files.
  template <typename T>
  static absl::StatusOr<T> Required(absl::StatusOr<T> value) {
    if (absl::IsNotFound(value.status())) {
      return absl::InvalidArgumentError(value.status().message());
    }
    return value;
  }

  const GgufFile& file_;
  std::string prefix_;
};

absl::Status Unserved(absl::string_view what) {
  return absl::UnimplementedError(absl::StrCat(what, " is not supported"));
}

// Features that would change every result and that the graph does not have.
absl::Status RefuseUnservedFeatures(const GgufFile& file, const Section& section, int64_t context) {
  if (section.Has("expert_count")) {
    ASSIGN_OR_RETURN(const int64_t experts, file.GetInt(section.Key("expert_count")));
    if (experts > 0) return Unserved(absl::StrCat("a mixture of ", experts, " experts"));
  }
  if (section.Has("attention.sliding_window")) {
    ASSIGN_OR_RETURN(const int64_t window, file.GetInt(section.Key("attention.sliding_window")));
    if (window > 0 && window < context) {
      return Unserved(absl::StrCat("a sliding attention window of ", window, " tokens"));
    }
  }
  if (section.Has("rope.scaling.type")) {
    ASSIGN_OR_RETURN(const absl::string_view type,
                     file.GetString(section.Key("rope.scaling.type")));
    if (type != "none") return Unserved(absl::StrCat("RoPE scaling of type `", type, "`"));
  }
  for (const char* key : {"rope.scale_linear", "rope.scaling.factor"}) {
    if (!section.Has(key)) continue;
    ASSIGN_OR_RETURN(const double factor, section.Float(key));
    if (factor != 1.0) return Unserved(absl::StrCat("RoPE scaling by ", factor));
  }
  return absl::OkStatus();
}

bool IsLlamaTensor(absl::string_view name, int64_t layers) {
  if (name == "token_embd.weight" || name == "output_norm.weight" || name == "output.weight") {
    return true;
  }
  if (!absl::ConsumePrefix(&name, "blk.")) return false;
  const size_t dot = name.find('.');
  int64_t layer = -1;
  if (dot == absl::string_view::npos || !absl::SimpleAtoi(name.substr(0, dot), &layer)) {
    return false;
  }
  if (layer < 0 || layer >= layers) return false;
  name.remove_prefix(dot + 1);
  for (const char* part : {"attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_norm",
                           "ffn_gate", "ffn_up", "ffn_down"}) {
    if (name == absl::StrCat(part, ".weight")) return true;
  }
  return false;
}

absl::Status CountTensors(const GgufFile& file, ModelConfig& config) {
  for (const TensorInfo& tensor : file.tensors()) {
    // A bias or a frequency table that is left out would make wrong tokens silently.
    if (!IsLlamaTensor(tensor.name, config.layers)) {
      return Unserved(absl::StrCat("tensor `", tensor.name, "` in a model of architecture `",
                                   config.architecture, "`"));
    }
    config.parameters += tensor.row_length() * tensor.rows();
    config.weight_bytes += static_cast<int64_t>(tensor.data.size());
  }
  const TensorInfo* embedding = file.FindTensor("token_embd.weight");
  if (embedding == nullptr) {
    return absl::InvalidArgumentError("the GGUF file has no tensor `token_embd.weight`");
  }
  if (embedding->dims.size() != 2 || embedding->dims[0] != config.width) {
    return absl::InvalidArgumentError(absl::StrCat(
        "tensor `token_embd.weight` does not have rows of the embedding length ", config.width));
  }
  if (config.vocabulary == 0) config.vocabulary = embedding->dims[1];
  if (embedding->dims[1] != config.vocabulary) {
    return absl::InvalidArgumentError(absl::StrCat("tensor `token_embd.weight` has ",
                                                   embedding->dims[1], " rows, the vocabulary has ",
                                                   config.vocabulary, " tokens"));
  }
  config.tied_head = file.FindTensor("output.weight") == nullptr;
  return absl::OkStatus();
}

absl::Status ReadAttention(const Section& section, ModelConfig& config) {
  ASSIGN_OR_RETURN(config.heads, section.Int("attention.head_count", kMaxHeads));
  ASSIGN_OR_RETURN(config.kv_heads,
                   section.IntOr("attention.head_count_kv", kMaxHeads, config.heads));
  if (config.heads % config.kv_heads != 0) {
    return absl::InvalidArgumentError(absl::StrCat(config.kv_heads, " KV heads do not divide ",
                                                   config.heads, " attention heads"));
  }
  if (!section.Has("attention.key_length") && config.width % config.heads != 0) {
    return absl::InvalidArgumentError(absl::StrCat(config.heads, " attention heads do not divide ",
                                                   "the embedding length ", config.width));
  }
  ASSIGN_OR_RETURN(config.head_size,
                   section.IntOr("attention.key_length", kMaxWidth, config.width / config.heads));
  ASSIGN_OR_RETURN(const int64_t value_size,
                   section.IntOr("attention.value_length", kMaxWidth, config.head_size));
  if (value_size != config.head_size) {
    return Unserved(
        absl::StrCat("a value size of ", value_size, " beside a key size of ", config.head_size));
  }
  ASSIGN_OR_RETURN(config.rope_dims,
                   section.IntOr("rope.dimension_count", config.head_size, config.head_size));
  if (config.rope_dims % 2 != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("GGUF key `", section.Key("rope.dimension_count"), "` is odd"));
  }
  ASSIGN_OR_RETURN(const double base, section.FloatOr("rope.freq_base", 10'000.0));
  config.rope_base = static_cast<float>(base);
  ASSIGN_OR_RETURN(const double epsilon, section.Float("attention.layer_norm_rms_epsilon"));
  config.rms_epsilon = static_cast<float>(epsilon);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ModelConfig> ModelConfigFromGguf(const GgufFile& file) {
  ModelConfig config;
  auto architecture = file.GetString("general.architecture");
  if (!architecture.ok()) return absl::InvalidArgumentError(architecture.status().message());
  config.architecture = std::string(*architecture);
  if (config.architecture != "llama") {
    return absl::UnimplementedError(absl::StrCat("model architecture `", config.architecture,
                                                 "` is not supported; supported: llama"));
  }
  if (file.Has("general.name")) {
    ASSIGN_OR_RETURN(const absl::string_view name, file.GetString("general.name"));
    config.name = std::string(name);
  } else {
    const absl::string_view file_name = file.path();
    const absl::string_view stem = file_name.substr(file_name.rfind('/') + 1);
    config.name = std::string(absl::StripSuffix(stem, ".gguf"));
  }
  const Section section(file, config.architecture);
  ASSIGN_OR_RETURN(config.layers, section.Int("block_count", kMaxLayers));
  ASSIGN_OR_RETURN(config.context, section.Int("context_length", kMaxContext));
  ASSIGN_OR_RETURN(config.width, section.Int("embedding_length", kMaxWidth));
  ASSIGN_OR_RETURN(config.ffn_width, section.Int("feed_forward_length", kMaxWidth));
  ASSIGN_OR_RETURN(config.vocabulary, section.IntOr("vocab_size", kMaxVocabulary, 0));
  RETURN_IF_ERROR(ReadAttention(section, config));
  RETURN_IF_ERROR(RefuseUnservedFeatures(file, section, config.context));
  RETURN_IF_ERROR(CountTensors(file, config));
  return config;
}

}  // namespace scoville::model
