#include "tests/reference/reference_transformer.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/gguf/dequantize.h"
#include "model/gguf/model_config_from_gguf.h"

namespace scoville::tests {

namespace {

using model::GgufFile;
using model::TensorInfo;

absl::StatusOr<ReferenceMatrix> LoadMatrix(const GgufFile& file, const std::string& name) {
  const TensorInfo* tensor = file.FindTensor(name);
  if (tensor == nullptr) {
    return absl::NotFoundError(absl::StrCat("tensor ", name, " is missing"));
  }
  ReferenceMatrix m;
  m.inputs = tensor->row_length();
  m.outputs = tensor->rows();
  m.values.resize(static_cast<size_t>(m.inputs * m.outputs));
  RETURN_IF_ERROR(model::DequantizeRow(tensor->type, tensor->data, absl::MakeSpan(m.values)));
  return m;
}

absl::StatusOr<std::vector<float>> LoadVector(const GgufFile& file, const std::string& name) {
  ASSIGN_OR_RETURN(ReferenceMatrix m, LoadMatrix(file, name));
  return m.values;
}

// y = W x for every position. Eight partial sums, because one long sum in float loses digits.
std::vector<std::vector<float>> Multiply(const ReferenceMatrix& w,
                                         const std::vector<std::vector<float>>& x) {
  std::vector<std::vector<float>> y(x.size(), std::vector<float>(static_cast<size_t>(w.outputs)));
  for (int64_t o = 0; o < w.outputs; ++o) {
    const float* row = w.values.data() + o * w.inputs;
    for (size_t p = 0; p < x.size(); ++p) {
      const float* in = x[p].data();
      float sum[8] = {};
      int64_t i = 0;
      for (; i + 8 <= w.inputs; i += 8) {
        for (int j = 0; j < 8; ++j) sum[j] += row[i + j] * in[i + j];
      }
      float rest = 0.0f;
      for (; i < w.inputs; ++i) rest += row[i] * in[i];
      y[p][static_cast<size_t>(o)] =
          ((sum[0] + sum[4]) + (sum[1] + sum[5])) + ((sum[2] + sum[6]) + (sum[3] + sum[7])) + rest;
    }
  }
  return y;
}

void Add(std::vector<std::vector<float>>& x, const std::vector<std::vector<float>>& y) {
  for (size_t p = 0; p < x.size(); ++p) {
    for (size_t i = 0; i < x[p].size(); ++i) x[p][i] += y[p][i];
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<ReferenceTransformer>> ReferenceTransformer::Load(
    const GgufFile& file) {
  auto t = std::make_unique<ReferenceTransformer>();
  ASSIGN_OR_RETURN(t->config_, model::ModelConfigFromGguf(file));
  ASSIGN_OR_RETURN(t->embedding_, LoadMatrix(file, "token_embd.weight"));
  const bool tied = file.FindTensor("output.weight") == nullptr;
  ASSIGN_OR_RETURN(t->head_, LoadMatrix(file, tied ? "token_embd.weight" : "output.weight"));
  ASSIGN_OR_RETURN(t->output_norm_, LoadVector(file, "output_norm.weight"));
  for (int64_t i = 0; i < t->config_.layers; ++i) {
    const std::string p = absl::StrCat("blk.", i, ".");
    ReferenceLayer l;
    ASSIGN_OR_RETURN(l.attention_norm, LoadVector(file, p + "attn_norm.weight"));
    ASSIGN_OR_RETURN(l.ffn_norm, LoadVector(file, p + "ffn_norm.weight"));
    ASSIGN_OR_RETURN(l.q, LoadMatrix(file, p + "attn_q.weight"));
    ASSIGN_OR_RETURN(l.k, LoadMatrix(file, p + "attn_k.weight"));
    ASSIGN_OR_RETURN(l.v, LoadMatrix(file, p + "attn_v.weight"));
    ASSIGN_OR_RETURN(l.attention_output, LoadMatrix(file, p + "attn_output.weight"));
    ASSIGN_OR_RETURN(l.gate, LoadMatrix(file, p + "ffn_gate.weight"));
    ASSIGN_OR_RETURN(l.up, LoadMatrix(file, p + "ffn_up.weight"));
    ASSIGN_OR_RETURN(l.down, LoadMatrix(file, p + "ffn_down.weight"));
    t->layers_.push_back(std::move(l));
  }
  return t;
}

ReferenceTransformer::Rows ReferenceTransformer::Normalise(const Rows& x,
                                                           const std::vector<float>& weight) const {
  Rows y = x;
  for (auto& row : y) {
    double squares = 0.0;
    for (const float v : row) squares += static_cast<double>(v) * static_cast<double>(v);
    const double mean = squares / static_cast<double>(row.size());
    const float scale = static_cast<float>(1.0 / std::sqrt(mean + config_.rms_epsilon));
    for (size_t i = 0; i < row.size(); ++i) row[i] = row[i] * scale * weight[i];
  }
  return y;
}

// Rotates the pairs (2i, 2i + 1) of each head by position / base^(2i / dims).
void ReferenceTransformer::Rotate(Rows& x, int64_t heads) const {
  for (size_t p = 0; p < x.size(); ++p) {
    for (int64_t h = 0; h < heads; ++h) {
      float* v = x[p].data() + h * config_.head_size;
      for (int64_t i = 0; i < config_.rope_dims; i += 2) {
        const double angle =
            static_cast<double>(p) /
            std::pow(static_cast<double>(config_.rope_base),
                     static_cast<double>(i) / static_cast<double>(config_.rope_dims));
        const float c = static_cast<float>(std::cos(angle));
        const float s = static_cast<float>(std::sin(angle));
        const float a = v[i];
        const float b = v[i + 1];
        v[i] = a * c - b * s;
        v[i + 1] = a * s + b * c;
      }
    }
  }
}

ReferenceTransformer::Rows ReferenceTransformer::Attend(const Rows& q, const Rows& k,
                                                        const Rows& v) const {
  const int64_t size = config_.head_size;
  const float scale = 1.0f / std::sqrt(static_cast<float>(size));
  Rows out(q.size(), std::vector<float>(static_cast<size_t>(config_.heads * size), 0.0f));
  for (size_t p = 0; p < q.size(); ++p) {
    for (int64_t h = 0; h < config_.heads; ++h) {
      const int64_t kv = h / (config_.heads / config_.kv_heads);
      std::vector<double> weight(p + 1);
      double largest = -1e300;
      for (size_t j = 0; j <= p; ++j) {
        float dot = 0.0f;
        for (int64_t i = 0; i < size; ++i) {
          dot += q[p][static_cast<size_t>(h * size + i)] * k[j][static_cast<size_t>(kv * size + i)];
        }
        weight[j] = static_cast<double>(dot * scale);
        largest = std::max(largest, weight[j]);
      }
      double sum = 0.0;
      for (double& w : weight) sum += w = std::exp(w - largest);
      for (size_t j = 0; j <= p; ++j) {
        const float w = static_cast<float>(weight[j] / sum);
        for (int64_t i = 0; i < size; ++i) {
          out[p][static_cast<size_t>(h * size + i)] += w * v[j][static_cast<size_t>(kv * size + i)];
        }
      }
    }
  }
  return out;
}

std::vector<std::vector<float>> ReferenceTransformer::Run(absl::Span<const int32_t> tokens) const {
  Rows x;
  for (const int32_t token : tokens) {
    const auto begin = embedding_.values.begin() + token * config_.width;
    x.emplace_back(begin, begin + config_.width);
  }
  for (const ReferenceLayer& layer : layers_) {
    Rows h = Normalise(x, layer.attention_norm);
    Rows q = Multiply(layer.q, h);
    Rows k = Multiply(layer.k, h);
    const Rows v = Multiply(layer.v, h);
    Rotate(q, config_.heads);
    Rotate(k, config_.kv_heads);
    Add(x, Multiply(layer.attention_output, Attend(q, k, v)));

    h = Normalise(x, layer.ffn_norm);
    Rows gate = Multiply(layer.gate, h);
    const Rows up = Multiply(layer.up, h);
    for (size_t p = 0; p < gate.size(); ++p) {
      for (size_t i = 0; i < gate[p].size(); ++i) {
        const float g = gate[p][i];
        gate[p][i] = g / (1.0f + std::exp(-g)) * up[p][i];
      }
    }
    Add(x, Multiply(layer.down, gate));
  }
  return Multiply(head_, Normalise(x, output_norm_));
}

std::vector<double> LogSoftmax(absl::Span<const float> logits) {
  const double largest = static_cast<double>(*std::max_element(logits.begin(), logits.end()));
  double sum = 0.0;
  for (const float v : logits) sum += std::exp(static_cast<double>(v) - largest);
  std::vector<double> out;
  for (const float v : logits) out.push_back(static_cast<double>(v) - largest - std::log(sum));
  return out;
}

}  // namespace scoville::tests
