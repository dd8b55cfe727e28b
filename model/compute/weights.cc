#include "model/compute/weights.h"

#include <sys/mman.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "model/compute/quantized_rows.h"
#include "model/gguf/dequantize.h"
#include "model/gguf/model_config_from_gguf.h"

namespace scoville::model {

namespace {

absl::StatusOr<const TensorInfo*> FindShaped(const GgufFile& file, const std::string& name,
                                             const std::vector<int64_t>& dims) {
  const TensorInfo* tensor = file.FindTensor(name);
  if (tensor == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("tensor ", name, " is missing"));
  }
  std::vector<int64_t> have = tensor->dims;
  while (have.size() > dims.size() && have.back() == 1) have.pop_back();
  if (have != dims) {
    return absl::InvalidArgumentError(absl::StrCat("tensor ", name, " has shape [",
                                                   absl::StrJoin(tensor->dims, ", "), "], want [",
                                                   absl::StrJoin(dims, ", "), "]"));
  }
  return tensor;
}

absl::StatusOr<std::vector<float>> LoadVector(const GgufFile& file, const std::string& name,
                                              int64_t size) {
  ASSIGN_OR_RETURN(const TensorInfo* tensor, FindShaped(file, name, {size}));
  std::vector<float> values(static_cast<size_t>(size));
  const absl::Status status = DequantizeRow(tensor->type, tensor->data, absl::MakeSpan(values));
  if (!status.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("tensor ", name, ": ", status.message()));
  }
  return values;
}

absl::Status CheckShape(const ModelConfig& c) {
  if (c.head_size % 16 != 0 || c.width % kBlockValues != 0 || c.ffn_width % kBlockValues != 0 ||
      c.heads * c.head_size % kBlockValues != 0) {
    return absl::UnimplementedError(
        absl::StrCat("model shape: head size ", c.head_size, " must be a multiple of 16; width ",
                     c.width, ", FFN width ", c.ffn_width, " and heads times head size ",
                     c.heads * c.head_size, " multiples of ", kBlockValues));
  }
  if (c.rope_dims % 2 != 0 || c.rope_dims > c.head_size) {
    return absl::InvalidArgumentError(absl::StrCat("rope.dimension_count ", c.rope_dims,
                                                   " must be even and at most ", c.head_size));
  }
  return absl::OkStatus();
}

// Tensors that the graph would have to use and does not.
absl::Status RefuseUnserved(const GgufFile& file) {
  for (const TensorInfo& t : file.tensors()) {
    const absl::string_view name = t.name;
    if (name.size() > 5 && name.substr(name.size() - 5) == ".bias") {
      return absl::UnimplementedError(absl::StrCat("tensor ", name, ": biases are not served"));
    }
    for (const absl::string_view part : {"_exps.", "attn_q_norm.", "attn_k_norm.", "post_"}) {
      if (absl::StrContains(name, part)) {
        return absl::UnimplementedError(
            absl::StrCat("tensor ", name, " belongs to a graph that is not served"));
      }
    }
  }
  return absl::OkStatus();
}

struct MatrixSlot {
  PackedMatrix* matrix;
  const TensorInfo* tensor;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Weights>> Weights::Load(const GgufFile& file) {
  auto weights = std::unique_ptr<Weights>(new Weights());
  ASSIGN_OR_RETURN(weights->config_, ModelConfigFromGguf(file));
  RETURN_IF_ERROR(CheckShape(weights->config_));
  RETURN_IF_ERROR(RefuseUnserved(file));
  weights->layers_.resize(static_cast<size_t>(weights->config_.layers));
  RETURN_IF_ERROR(weights->LoadVectors(file));
  RETURN_IF_ERROR(weights->LoadRope(file));
  RETURN_IF_ERROR(weights->LoadEmbedding(file));
  RETURN_IF_ERROR(weights->LoadMatrices(file));
  return weights;
}

Weights::~Weights() {
  if (memory_ != nullptr) munmap(memory_, memory_bytes_);
}

absl::Status Weights::LoadVectors(const GgufFile& file) {
  for (int64_t i = 0; i < config_.layers; ++i) {
    LayerWeights& layer = layers_[static_cast<size_t>(i)];
    const std::string prefix = absl::StrCat("blk.", i, ".");
    ASSIGN_OR_RETURN(layer.attention_norm,
                     LoadVector(file, prefix + "attn_norm.weight", config_.width));
    ASSIGN_OR_RETURN(layer.ffn_norm, LoadVector(file, prefix + "ffn_norm.weight", config_.width));
  }
  ASSIGN_OR_RETURN(output_norm_, LoadVector(file, "output_norm.weight", config_.width));
  return absl::OkStatus();
}

absl::Status Weights::LoadRope(const GgufFile& file) {
  const std::string key = absl::StrCat(config_.architecture, ".rope.scaling.type");
  if (file.Has(key)) {
    ASSIGN_OR_RETURN(const absl::string_view type, file.GetString(key));
    if (type != "none") {
      return absl::UnimplementedError(absl::StrCat(key, " = ", type, " is not served"));
    }
  }
  const int64_t pairs = config_.rope_dims / 2;
  std::vector<float> factors(static_cast<size_t>(pairs), 1.0f);
  if (file.FindTensor("rope_freqs.weight") != nullptr) {
    ASSIGN_OR_RETURN(factors, LoadVector(file, "rope_freqs.weight", pairs));
  }
  for (int64_t i = 0; i < pairs; ++i) {
    const double exponent = -2.0 * static_cast<double>(i) / static_cast<double>(config_.rope_dims);
    const double frequency = std::pow(static_cast<double>(config_.rope_base), exponent);
    rope_frequencies_.push_back(frequency / static_cast<double>(factors[static_cast<size_t>(i)]));
  }
  return absl::OkStatus();
}

absl::Status Weights::LoadEmbedding(const GgufFile& file) {
  ASSIGN_OR_RETURN(const TensorInfo* tensor,
                   FindShaped(file, "token_embd.weight", {config_.width, config_.vocabulary}));
  RETURN_IF_ERROR(CheckFinite(*tensor));
  embedding_type_ = tensor->type;
  embedding_.assign(tensor->data.begin(), tensor->data.end());
  return absl::OkStatus();
}

absl::Status Weights::LoadMatrices(const GgufFile& file) {
  const int64_t q = config_.heads * config_.head_size;
  const int64_t kv = config_.kv_heads * config_.head_size;
  std::vector<MatrixSlot> slots;
  const auto add = [&](PackedMatrix* m, const std::string& name, int64_t in,
                       int64_t out) -> absl::Status {
    ASSIGN_OR_RETURN(const TensorInfo* tensor, FindShaped(file, name, {in, out}));
    slots.push_back({m, tensor});
    return absl::OkStatus();
  };
  for (int64_t i = 0; i < config_.layers; ++i) {
    LayerWeights& l = layers_[static_cast<size_t>(i)];
    const std::string p = absl::StrCat("blk.", i, ".");
    RETURN_IF_ERROR(add(&l.q, p + "attn_q.weight", config_.width, q));
    RETURN_IF_ERROR(add(&l.k, p + "attn_k.weight", config_.width, kv));
    RETURN_IF_ERROR(add(&l.v, p + "attn_v.weight", config_.width, kv));
    RETURN_IF_ERROR(add(&l.attention_output, p + "attn_output.weight", q, config_.width));
    RETURN_IF_ERROR(add(&l.gate, p + "ffn_gate.weight", config_.width, config_.ffn_width));
    RETURN_IF_ERROR(add(&l.up, p + "ffn_up.weight", config_.width, config_.ffn_width));
    RETURN_IF_ERROR(add(&l.down, p + "ffn_down.weight", config_.ffn_width, config_.width));
  }
  const bool tied = file.FindTensor("output.weight") == nullptr;
  RETURN_IF_ERROR(
      add(&head_, tied ? "token_embd.weight" : "output.weight", config_.width, config_.vocabulary));

  for (const MatrixSlot& slot : slots) {
    memory_bytes_ += static_cast<size_t>(PackedMatrix::BytesFor(*slot.tensor));
  }
  void* memory =
      mmap(nullptr, memory_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "cannot allocate ", memory_bytes_, " bytes for the weights: ", std::strerror(errno)));
  }
  memory_ = static_cast<uint8_t*>(memory);
  madvise(memory_, memory_bytes_, MADV_HUGEPAGE);

  std::map<std::string, int> kept, requantised;
  uint8_t* next = memory_;
  for (const MatrixSlot& slot : slots) {
    ASSIGN_OR_RETURN(*slot.matrix, PackedMatrix::Pack(*slot.tensor, next));
    next += PackedMatrix::BytesFor(*slot.tensor);
    const std::string type(GgmlTypeName(slot.tensor->type));
    ++(IsRequantised(slot.tensor->type) ? requantised : kept)[type];
  }
  const auto pair = absl::PairFormatter(" x ");
  format_ = absl::StrCat("as stored: ", kept.empty() ? "none" : absl::StrJoin(kept, ", ", pair),
                         "; requantised to 8 bits: ",
                         requantised.empty() ? "none" : absl::StrJoin(requantised, ", ", pair));
  return absl::OkStatus();
}

void Weights::Embed(int32_t token, float* out) const {
  const int64_t row_bytes =
      config_.width / GgmlBlockSize(embedding_type_) * GgmlBlockBytes(embedding_type_);
  const absl::Status status = DequantizeRow(
      embedding_type_,
      absl::MakeConstSpan(embedding_.data() + token * row_bytes, static_cast<size_t>(row_bytes)),
      absl::MakeSpan(out, static_cast<size_t>(config_.width)));
  CHECK(status.ok());
}

}  // namespace scoville::model
