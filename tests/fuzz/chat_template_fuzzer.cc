// Template sources of any kind: refused with a reason, or a renderer that gives tokens.
#include <string>

#include "base/status_macros.h"
#include "model/text/chat_template.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/tiny_model.h"

namespace scoville::tests {

void RunInput(absl::Span<const uint8_t> input) {
  GgufWriter writer;
  AddByteTokenizer(writer, {"<s>", "</s>", "<|im_start|>", "<|im_end|>", "[INST]"}, 0, 1);
  writer.AddString("tokenizer.chat_template",
                   std::string(reinterpret_cast<const char*>(input.data()), input.size()));
  const std::vector<uint8_t> bytes = writer.Finish();
  auto file = model::GgufFile::Parse(bytes);
  CHECK(file.ok());
  auto tokenizer = model::Tokenizer::Create(**file);
  CHECK(tokenizer.ok());
  auto chat = model::ChatTemplate::Create(**file, tokenizer->get());
  if (!chat.ok()) {
    CHECK(!chat.status().message().empty());
    return;
  }
  const std::vector<model::ChatMessage> messages = {
      {"system", "s\n"}, {"user", " u <|im_end|>"}, {"assistant", "a"}, {"user", "\xff"}};
  for (size_t from = 0; from < messages.size(); ++from) {
    for (size_t size = 0; from + size <= messages.size(); ++size) {
      const auto part = absl::MakeSpan(messages).subspan(from, size);
      for (const bool continued : {false, true}) {
        auto encoding = (*chat)->Render(part, continued);
        CHECK(encoding.ok() ? !encoding->tokens.empty()
                            : absl::IsInvalidArgument(encoding.status()));
      }
    }
  }
}

std::vector<std::vector<uint8_t>> SeedInputs() {
  std::vector<std::vector<uint8_t>> seeds;
  for (const std::string source :
       {"{% for m in messages %}{{ '<|im_start|>' + m['role'] }}{% endfor %}",
        "{{ '<|im_start|>system\\nYou\\'re a <|im_end|>' }}{{ bos_token }}{# x #} | trim",
        "{{ bos_token + '[INST] ' + '<<SYS>>' + ' [/INST]' + eos_token }}",
        "{{ \"[INST]\" + \"[/INST] \" }} ' ' + message eos_token + ' '",
        "{{ '<start_of_turn>' }}{{ 'System role not supported' }}",
        "{{ '<|start_header_id|>' }} <|user|> <|end|>", "{{ '<|assistant|>' + eos_token }}"}) {
    seeds.emplace_back(source.begin(), source.end());
  }
  return seeds;
}

}  // namespace scoville::tests
