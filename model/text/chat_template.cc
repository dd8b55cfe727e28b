#include "model/text/chat_template.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/text/chat_families.h"
#include "model/text/jinja_literals.h"

namespace scoville::model {

namespace {

constexpr size_t kMaxTemplateBytes = 1 << 20;

absl::Status Unknown(absl::string_view why) {
  return absl::UnimplementedError(
      absl::StrCat("the model's chat template ", why,
                   "; known families: chatml, llama2, llama3, mistral, gemma, phi3, zephyr"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ChatTemplate>> ChatTemplate::Create(const GgufFile& file,
                                                                   const Tokenizer* tokenizer) {
  auto text = file.GetString("tokenizer.chat_template");
  if (absl::IsNotFound(text.status())) {
    return absl::UnimplementedError(
        "the model has no chat template (`tokenizer.chat_template`): it completes text only");
  }
  if (!text.ok()) return text.status();
  if (text->size() > kMaxTemplateBytes) return Unknown("is longer than 1 MiB");
  const ChatSource source{*text, JinjaLiterals(*text)};
  const auto says = [&](absl::string_view part) { return source.Says(part); };
  // Marks that change what a neighbouring family's marks mean.
  for (const absl::string_view foreign : {"<|im_sep|>", "<|channel|>", "[SYSTEM_PROMPT]"}) {
    if (says(foreign))
      return Unknown(absl::StrCat("is of no known family (it has `", foreign, "`)"));
  }
  if (source.Mentions("think>")) return Unknown("rewrites earlier turns (`<think>`)");
  if (says("<|im_start|>")) return MakeChatMl(tokenizer, source);
  if (says("<|start_header_id|>")) {
    // Such a template writes the day's date into the prompt.
    if (says("Today Date")) return Unknown("writes a date into the prompt");
    return MakeLlama3(tokenizer, source);
  }
  if (says("<start_of_turn>")) return MakeGemma(tokenizer, source);
  if (says("[INST]")) {
    return says("<<SYS>>") ? MakeLlama2(tokenizer, source) : MakeMistral(tokenizer, source);
  }
  const bool marks_roles = says("<|user|>") || says("<|assistant|>");
  if (marks_roles && says("<|end|>")) return MakePhi3(tokenizer, source);
  if (marks_roles && (source.Mentions("eos_token") || says("</s>"))) {
    return MakeZephyr(tokenizer, source);
  }
  return Unknown("is of no known family");
}

bool ChatSource::Mentions(absl::string_view word) const { return absl::StrContains(source, word); }

bool ChatSource::Says(absl::string_view part) const {
  for (const std::string& literal : literals) {
    if (absl::StrContains(literal, part)) return true;
  }
  return false;
}

bool ChatSource::trims() const {
  return Mentions("| trim") || Mentions("|trim") || Mentions(".strip()");
}

bool ChatSource::begins_with_bos() const {
  return Mentions("bos_token") || Says("<|begin_of_text|>") || Says("<s>") || Says("<bos>");
}

}  // namespace scoville::model
