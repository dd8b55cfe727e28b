// Any bytes as one file of a directory of operator tables: an error that names the file, or times
// that are finite and above zero for every step.
//
// The first byte says which file the rest is; the others are small and right.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "device/physics/model_timing.h"
#include "device/physics/profile.h"
#include "device/physics/tables/operator_tables.h"
#include "tests/fuzz/fuzz_target.h"

namespace scoville::tests {

namespace {

constexpr const char* kAttention =
    "prefill_chunk,kv_prefill,n_decode,kv_decode,time_us\n"
    "16,0,0,0,8\n16,64,0,0,9.5\n64,0,0,0,12\n64,64,0,0,14\n"
    "0,0,1,16,8\n0,0,1,64,9\n0,0,8,16,9\n0,0,8,64,20.25\n"
    "16,0,1,16,9\r\n";
constexpr const char* kPerSequence =
    "layer,sequences,time_us\nlm_head,1,100\nlm_head,8,120\nsampler,1,20\n";
constexpr const char* kSkew =
    "regime,n,t_mean_us,t_max_us,t_skew_us\npure,2,10,20,11\nmixed,2,10,20,9\n";
constexpr const char* kAllReduce = "bytes,time_us\n1024,12\n4096,14\n";

std::string Dense() {
  std::string text = "layer,tokens,time_us\n";
  for (const char* layer : {"embedding", "layernorm", "qkv_proj", "rotary_emb", "o_proj",
                            "gate_up_proj", "act_fn", "down_proj", "final_layernorm"}) {
    absl::StrAppend(&text, layer, ",1,3\n", layer, ",64,5\n");
  }
  return text;
}

device::OperatorTableTexts Texts() {
  return {kAttention, Dense(), kPerSequence, std::string(kSkew), std::string(kAllReduce)};
}

struct Deployment {
  device::Profile profile = device::DefaultProfile();
  device::ModelTiming model;
};

const Deployment& TestDeployment() {
  static const Deployment* const deployment = [] {
    model::ModelCard card;
    card.name = "m";
    card.groups = {{2, 0, 64, 0, 0, 0}};
    card.width = 32;
    card.heads = 4;
    card.kv_heads = 2;
    card.head_size = 8;
    card.context = 4096;
    card.vocabulary = 100;
    auto* const d = new Deployment();
    auto model = device::MakeModelTiming(d->profile, card, {});
    CHECK(model.ok());
    d->model = *std::move(model);
    return d;
  }();
  return *deployment;
}

}  // namespace

void RunInput(absl::Span<const uint8_t> input) {
  if (input.empty()) {
    return;
  }
  device::OperatorTableTexts texts = Texts();
  std::string text(reinterpret_cast<const char*>(input.data()) + 1, input.size() - 1);
  switch (input[0] % 5) {
    case 0:
      texts.attention = std::move(text);
      break;
    case 1:
      texts.dense = std::move(text);
      break;
    case 2:
      texts.per_sequence = std::move(text);
      break;
    case 3:
      texts.skew = std::move(text);
      break;
    default:
      texts.all_reduce = std::move(text);
  }
  const Deployment& d = TestDeployment();
  const auto tables = device::OperatorTables::Parse(texts, "dir", d.profile, d.model);
  if (!tables.ok()) {
    CHECK(absl::StartsWith(tables.status().message(), "dir/"));
    return;
  }
  for (const int64_t decodes : {0, 1, 5, 300}) {
    for (const int64_t chunk : {0, 1, 40, 3000}) {
      device::StepShape shape;
      for (int64_t i = 0; i < decodes; ++i) {
        shape.Add({device::StepRole::kDecode, 1 + 50 * i, 1, 1, 0}, d.model.rules);
      }
      if (chunk > 0) {
        shape.Add({device::StepRole::kPrefill, 100, chunk, 1, 0}, d.model.rules);
      }
      if (decodes + chunk == 0) {
        continue;
      }
      const double seconds = (*tables)->PassSeconds(shape);
      CHECK(std::isfinite(seconds));
      CHECK(seconds > 0);
    }
  }
  for (const double bytes : {1.0, 2000.0, 1e9}) {
    CHECK((*tables)->AllReduceSeconds(bytes) > 0);
  }
}

std::vector<std::vector<uint8_t>> SeedInputs() {
  const device::OperatorTableTexts texts = Texts();
  std::vector<std::vector<uint8_t>> seeds;
  for (const std::string& text :
       {texts.attention, texts.dense, texts.per_sequence, *texts.skew, *texts.all_reduce}) {
    std::vector<uint8_t> seed = {static_cast<uint8_t>(seeds.size())};
    seed.insert(seed.end(), text.begin(), text.end());
    seeds.push_back(std::move(seed));
  }
  return seeds;
}

}  // namespace scoville::tests
