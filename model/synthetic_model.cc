#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "model/gguf/gguf_file.h"
#include "model/loaded_model.h"
#include "model/text/byte_level.h"
#include "model/text/utf8.h"

namespace scoville::model {

namespace {

// Enough common words that a synthetic stream can be read aloud. Each is a token with a space in
// front.
constexpr absl::string_view kWords =
    "the of and to in is you that it he was for on are as with his they at be this have from or "
    "one had by word but "
    "not what all were we when your can said there use an each which she do how their if will up "
    "other about out "
    "many then them these so some her would make like him into time has look two more write go see "
    "number no way "
    "could people my than first water been call who oil its now find long down day did get come "
    "made may part over "
    "new sound take only little work know place year live me back give most very after thing our "
    "just name good "
    "sentence man think say great where help through much before line right too mean old any same "
    "tell boy follow "
    "came want show also around form three small set put end does another well large must big even "
    "such because turn "
    "here why ask went men read need land different home us move try kind hand picture again "
    "change off play spell "
    "air away animal house point page letter mother answer found study still learn should world";

// Writes the few kinds of GGUF entries that a vocabulary needs.
class MetadataWriter {
 public:
  void Int(absl::string_view key, uint32_t value) {
    Key(key, 4);
    Put(value, 4);
  }
  void Text(absl::string_view key, absl::string_view value) {
    Key(key, 8);
    String(value);
  }
  void Texts(absl::string_view key, const std::vector<std::string>& values) {
    Key(key, 9);
    Put(8, 4);
    Put(values.size(), 8);
    for (const std::string& value : values) {
      String(value);
    }
  }
  void Ints(absl::string_view key, const std::vector<int32_t>& values) {
    Key(key, 9);
    Put(5, 4);
    Put(values.size(), 8);
    for (int32_t value : values) {
      Put(static_cast<uint32_t>(value), 4);
    }
  }
  std::string Finish() const {
    MetadataWriter file;
    file.out_ = "GGUF";
    file.Put(3, 4);
    file.Put(0, 8);
    file.Put(keys_, 8);
    return file.out_ + out_;
  }

 private:
  void Put(uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) {
      out_.push_back(static_cast<char>(value >> (8 * i)));
    }
  }
  void String(absl::string_view text) {
    Put(text.size(), 8);
    absl::StrAppend(&out_, text);
  }
  void Key(absl::string_view key, uint32_t type) {
    ++keys_;
    String(key);
    Put(type, 4);
  }

  std::string out_;
  uint64_t keys_ = 0;
};

// The default model's shape (its card): what is timed is what would be served.
ModelConfig DefaultShape() {
  ModelConfig config;
  config.name = "Synthetic 135M";
  config.architecture = "llama";
  config.layers = 30;
  config.width = 576;
  config.ffn_width = 1536;
  config.heads = 9;
  config.kv_heads = 3;
  config.head_size = 64;
  config.context = 8192;
  config.vocabulary = 49'152;
  config.rope_dims = 64;
  config.rope_base = 100'000.0f;
  config.tied_head = true;
  config.parameters = config.layer_parameters() + config.width * config.vocabulary;
  // Q4_1: 20 bytes for 32 weights.
  config.weight_bytes = config.parameters * 20 / 32;
  return config;
}

std::string VocabularyFile(int64_t size) {
  // Kinds of tokens as GGUF numbers them.
  constexpr int32_t kNormal = 1;
  constexpr int32_t kControl = 3;
  std::vector<std::string> tokens = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
  std::vector<int32_t> kinds(tokens.size(), kControl);
  const ByteLevelAlphabet alphabet;
  const auto byte_level = [&](absl::string_view text) {
    std::string name;
    for (char c : text) {
      AppendUtf8(alphabet.CodePointOf(static_cast<uint8_t>(c)), name);
    }
    return name;
  };
  for (int byte = 0; byte < 256; ++byte) {
    tokens.push_back(byte_level(std::string(1, static_cast<char>(byte))));
  }
  for (absl::string_view word : absl::StrSplit(kWords, ' ')) {
    tokens.push_back(byte_level(absl::StrCat(" ", word)));
  }
  kinds.resize(tokens.size(), kNormal);
  while (static_cast<int64_t>(tokens.size()) < size) {
    tokens.push_back(absl::StrCat("<|unused_", tokens.size(), "|>"));
  }
  kinds.resize(tokens.size(), kControl);

  MetadataWriter writer;
  writer.Text("general.architecture", "llama");
  writer.Text("tokenizer.ggml.model", "gpt2");
  writer.Text("tokenizer.ggml.pre", "smollm");
  writer.Texts("tokenizer.ggml.tokens", tokens);
  writer.Ints("tokenizer.ggml.token_type", kinds);
  writer.Texts("tokenizer.ggml.merges", {});
  writer.Int("tokenizer.ggml.bos_token_id", 1);
  writer.Int("tokenizer.ggml.eos_token_id", 2);
  writer.Text("tokenizer.chat_template",
              "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + "
              "message['content'] + "
              "'<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ "
              "'<|im_start|>assistant\n' }}"
              "{% endif %}");
  return writer.Finish();
}

// Gives the model words to say: a tokenizer of its vocabulary's size, and a chat template.
absl::Status AddText(LoadedModel* model) {
  const std::string bytes = VocabularyFile(model->config.vocabulary);
  ASSIGN_OR_RETURN(const std::unique_ptr<GgufFile> file,
                   GgufFile::Parse(absl::MakeConstSpan(
                       reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size())));
  ASSIGN_OR_RETURN(model->tokenizer, Tokenizer::Create(*file));
  if (model->tokenizer->vocabulary() != model->config.vocabulary) {
    return absl::InvalidArgumentError(
        absl::StrCat("model '", model->config.name, "': a vocabulary of ", model->config.vocabulary,
                     " tokens cannot hold the synthetic model's ", model->tokenizer->vocabulary()));
  }
  ASSIGN_OR_RETURN(model->chat_template, ChatTemplate::Create(*file, model->tokenizer.get()));
  return absl::OkStatus();
}

// What a card says of the plainer shape that clients are told. Time, energy and memory follow from
// the card itself.
ModelConfig ShapeOf(const ModelCard& card) {
  ModelConfig config;
  config.name = card.name;
  config.architecture = "card";
  config.layers = card.layers();
  config.width = card.width;
  config.ffn_width = card.groups.front().ffn_width;
  config.heads = card.heads;
  config.kv_heads = card.latent ? 1 : card.kv_heads;
  config.head_size = card.latent ? card.latent->value_size : card.head_size;
  config.context = card.context;
  config.vocabulary = card.vocabulary;
  config.tied_head = card.tied_head;
  config.parameters = card.total_parameters();
  config.weight_bytes = static_cast<int64_t>(card.stored_bytes());
  return config;
}

}  // namespace

absl::StatusOr<std::unique_ptr<LoadedModel>> SyntheticModel() {
  auto model = std::make_unique<LoadedModel>();
  model->id = "synthetic-135m";
  model->fingerprint = "synthetic";
  model->config = DefaultShape();
  model->card = CardOf(model->config);
  RETURN_IF_ERROR(AddText(model.get()));
  return model;
}

absl::StatusOr<std::unique_ptr<LoadedModel>> SyntheticModel(const ModelCard& card) {
  RETURN_IF_ERROR(Validate(card));
  auto model = std::make_unique<LoadedModel>();
  model->id = card.name;
  model->fingerprint = absl::StrCat("synthetic-", card.name);
  model->config = ShapeOf(card);
  model->card = card;
  RETURN_IF_ERROR(AddText(model.get()));
  return model;
}

}  // namespace scoville::model
