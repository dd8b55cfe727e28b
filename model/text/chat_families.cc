#include "model/text/chat_families.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/text/prompt_builder.h"
#include "model/text/utf8.h"

namespace scoville::model {

namespace {

// White space as the templates' own language strips it.
bool IsStripped(uint32_t c) {
  return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
         c == 0x205f || c == 0x3000;
}

absl::string_view Strip(absl::string_view text) {
  size_t begin = text.size();
  size_t end = 0;
  for (size_t at = 0; at < text.size();) {
    const Utf8Step step = NextUtf8(text.substr(at));
    if (step.kind != Utf8Kind::kCodePoint || !IsStripped(step.code_point)) {
      begin = begin == text.size() ? at : begin;
      end = at + step.length;
    }
    at += step.length;
  }
  return begin < end ? text.substr(begin, end - begin) : absl::string_view();
}

absl::Status Refuse(absl::string_view what) { return absl::InvalidArgumentError(what); }

// What every family checks before it renders.
absl::Status CheckMessages(absl::Span<const ChatMessage> messages, bool continue_final) {
  if (messages.empty()) return Refuse("a conversation needs at least one message");
  for (size_t i = 0; i < messages.size(); ++i) {
    const std::string& role = messages[i].role;
    if (role != "system" && role != "user" && role != "assistant") {
      return Refuse(absl::StrCat("message ", i, " has a role that is not supported; supported: ",
                                 "system, user, assistant"));
    }
  }
  if (continue_final && messages.back().role != "assistant") {
    return Refuse("only an assistant's message can be continued");
  }
  return absl::OkStatus();
}

// System at most once and first, then user and assistant in turn.
absl::Status CheckTurns(absl::Span<const ChatMessage> messages, absl::string_view family) {
  bool user_next = true;
  for (size_t i = 0; i < messages.size(); ++i) {
    const std::string& role = messages[i].role;
    if (role == "system" && i == 0) continue;
    if (role != (user_next ? "user" : "assistant")) {
      return Refuse(absl::StrCat("message ", i, " is of role ", role, ": the model's template (",
                                 family, ") wants an optional system message and then user and ",
                                 "assistant in turn"));
    }
    user_next = !user_next;
  }
  if (messages.size() == 1 && messages[0].role == "system") {
    return Refuse(absl::StrCat("the model's template (", family, ") needs a user message"));
  }
  return absl::OkStatus();
}

absl::Status RefuseSystem(absl::Span<const ChatMessage> messages, absl::string_view family) {
  if (messages[0].role == "system") {
    return Refuse(absl::StrCat("the model's template (", family, ") has no system message"));
  }
  return absl::OkStatus();
}

// Common ground: the tokenizer, whether texts are stripped, whether BOS comes first.
class Family : public ChatTemplate {
 public:
  Family(absl::string_view name, const Tokenizer* tokenizer, const ChatSource& source)
      : name_(name),
        tokenizer_(tokenizer),
        trims_(source.trims()),
        begins_with_bos_(source.begins_with_bos()) {}

  absl::string_view family() const override { return name_; }

  absl::StatusOr<Encoding> Render(absl::Span<const ChatMessage> messages,
                                  bool continue_final) const override {
    RETURN_IF_ERROR(CheckMessages(messages, continue_final));
    RETURN_IF_ERROR(Check(messages));
    PromptBuilder builder(tokenizer_);
    if (begins_with_bos_) builder.Token(tokenizer_->bos());
    Write(messages, continue_final, builder);
    return builder.Finish();
  }

 protected:
  virtual absl::Status Check(absl::Span<const ChatMessage> /*messages*/) const {
    return absl::OkStatus();
  }
  virtual void Write(absl::Span<const ChatMessage> messages, bool continue_final,
                     PromptBuilder& out) const = 0;

  absl::string_view Content(const ChatMessage& message) const {
    return trims_ ? Strip(message.content) : absl::string_view(message.content);
  }
  const Tokenizer* tokenizer() const { return tokenizer_; }

 private:
  std::string name_;
  const Tokenizer* tokenizer_;
  bool trims_;
  bool begins_with_bos_;
};

// <|im_start|>role\ncontent<|im_end|>\n
class ChatMl : public Family {
 public:
  ChatMl(const Tokenizer* tokenizer, const ChatSource& source)
      : Family("chatml", tokenizer, source) {
    const std::string open = "<|im_start|>system\n";
    for (const std::string& literal : source.literals) {
      const size_t begin = literal.find(open);
      if (begin == std::string::npos) continue;
      const size_t from = begin + open.size();
      const size_t end = literal.find("<|im_end|>", from);
      if (end == std::string::npos || end == from) continue;
      default_system_ = literal.substr(from, end - from);
      break;
    }
  }

 protected:
  void Write(absl::Span<const ChatMessage> messages, bool continue_final,
             PromptBuilder& out) const override {
    if (!default_system_.empty() && messages[0].role != "system") {
      WriteTurn("system", default_system_, out);
    }
    for (size_t i = 0; i < messages.size(); ++i) {
      const ChatMessage& message = messages[i];
      if (continue_final && i + 1 == messages.size()) {
        Open(message.role, out);
        out.Text(Content(message));
        return;
      }
      WriteTurn(message.role, Content(message), out);
    }
    Open("assistant", out);
  }

 private:
  static void Open(absl::string_view role, PromptBuilder& out) {
    out.Mark("<|im_start|>");
    out.Text(absl::StrCat(role, "\n"));
  }
  static void WriteTurn(absl::string_view role, absl::string_view content, PromptBuilder& out) {
    Open(role, out);
    out.Text(content);
    out.Mark("<|im_end|>");
    out.Text("\n");
  }

  std::string default_system_;  // what the template says where the conversation has none
};

// <|start_header_id|>role<|end_header_id|>\n\ncontent<|eot_id|>
class Llama3 : public Family {
 public:
  Llama3(const Tokenizer* tokenizer, const ChatSource& source)
      : Family("llama3", tokenizer, source) {}

 protected:
  void Write(absl::Span<const ChatMessage> messages, bool continue_final,
             PromptBuilder& out) const override {
    for (size_t i = 0; i < messages.size(); ++i) {
      Open(messages[i].role, out);
      out.Text(Content(messages[i]));
      if (continue_final && i + 1 == messages.size()) return;
      out.Mark("<|eot_id|>");
    }
    Open("assistant", out);
  }

 private:
  static void Open(absl::string_view role, PromptBuilder& out) {
    out.Mark("<|start_header_id|>");
    out.Text(role);
    out.Mark("<|end_header_id|>");
    out.Text("\n\n");
  }
};

// <start_of_turn>role\ncontent<end_of_turn>\n, the assistant being called `model`.
class Gemma : public Family {
 public:
  Gemma(const Tokenizer* tokenizer, const ChatSource& source)
      : Family("gemma", tokenizer, source),
        refuses_system_(source.Says("System role not supported")) {}

 protected:
  absl::Status Check(absl::Span<const ChatMessage> messages) const override {
    if (refuses_system_) RETURN_IF_ERROR(RefuseSystem(messages, family()));
    return CheckTurns(messages, family());
  }
  void Write(absl::Span<const ChatMessage> messages, bool continue_final,
             PromptBuilder& out) const override {
    std::string prefix;
    for (size_t i = 0; i < messages.size(); ++i) {
      const ChatMessage& message = messages[i];
      if (message.role == "system") {
        prefix = absl::StrCat(message.content, "\n\n");
        continue;
      }
      Open(message.role == "assistant" ? "model" : message.role, out);
      out.Text(prefix);
      prefix.clear();
      out.Text(Content(message));
      if (continue_final && i + 1 == messages.size()) return;
      out.Mark("<end_of_turn>");
      out.Text("\n");
    }
    Open("model", out);
  }

 private:
  static void Open(absl::string_view role, PromptBuilder& out) {
    out.Mark("<start_of_turn>");
    out.Text(absl::StrCat(role, "\n"));
  }

  bool refuses_system_;
};

// <|role|>\ncontent, an end mark, \n.
class RoleMarks : public Family {
 public:
  // `end` is a mark's name; empty: the EOS token.
  RoleMarks(absl::string_view name, absl::string_view end, const Tokenizer* tokenizer,
            const ChatSource& source)
      : Family(name, tokenizer, source), end_(end) {}

 protected:
  void Write(absl::Span<const ChatMessage> messages, bool continue_final,
             PromptBuilder& out) const override {
    for (size_t i = 0; i < messages.size(); ++i) {
      Open(messages[i].role, out);
      out.Text(Content(messages[i]));
      if (continue_final && i + 1 == messages.size()) return;
      if (end_.empty()) {
        out.Token(tokenizer()->eos());
      } else {
        out.Mark(end_);
      }
      out.Text("\n");
    }
    Open("assistant", out);
  }

 private:
  static void Open(absl::string_view role, PromptBuilder& out) {
    out.Mark(absl::StrCat("<|", role, "|>"));
    out.Text("\n");
  }

  std::string end_;
};

// BOS [INST] <<SYS>>\nsystem\n<</SYS>>\n\nuser [/INST] assistant EOS, with BOS before each [INST].
class Llama2 : public Family {
 public:
  Llama2(const Tokenizer* tokenizer, const ChatSource& source)
      : Family("llama2", tokenizer, source), bos_each_turn_(source.begins_with_bos()) {}

 protected:
  absl::Status Check(absl::Span<const ChatMessage> messages) const override {
    return CheckTurns(messages, family());
  }
  void Write(absl::Span<const ChatMessage> messages, bool continue_final,
             PromptBuilder& out) const override {
    std::string prefix;
    bool first = true;
    for (size_t i = 0; i < messages.size(); ++i) {
      const ChatMessage& message = messages[i];
      if (message.role == "system") {
        prefix = absl::StrCat("<<SYS>>\n", message.content, "\n<</SYS>>\n\n");
        continue;
      }
      if (message.role == "user") {
        if (!first && bos_each_turn_) out.Token(tokenizer()->bos());
        first = false;
        // The system message is stripped together with the user's it stands before.
        const std::string content = absl::StrCat(prefix, message.content);
        prefix.clear();
        out.Text(absl::StrCat("[INST] ", Content({"user", content}), " [/INST]"));
        continue;
      }
      out.Text(absl::StrCat(" ", Content(message)));
      if (continue_final && i + 1 == messages.size()) return;
      out.Text(" ");
      out.Token(tokenizer()->eos());
    }
  }

 private:
  bool bos_each_turn_;
};

// BOS [INST] user [/INST] assistant EOS; the spaces differ from version to version.
class Mistral : public Family {
 public:
  Mistral(const Tokenizer* tokenizer, const ChatSource& source)
      : Family("mistral", tokenizer, source),
        open_(source.Says("[INST] ") ? "[INST] " : "[INST]"),
        close_(source.Says(" [/INST]") ? " [/INST]" : "[/INST]"),
        before_answer_(source.Mentions("' ' + message") || source.Mentions("\" \" + message") ||
                               source.Says("[/INST] ")
                           ? " "
                           : ""),
        after_answer_(
            source.Mentions("eos_token + ' '") || source.Mentions("eos_token + \" \"") ? " " : "") {
  }

 protected:
  absl::Status Check(absl::Span<const ChatMessage> messages) const override {
    RETURN_IF_ERROR(RefuseSystem(messages, family()));
    return CheckTurns(messages, family());
  }
  void Write(absl::Span<const ChatMessage> messages, bool continue_final,
             PromptBuilder& out) const override {
    for (size_t i = 0; i < messages.size(); ++i) {
      const ChatMessage& message = messages[i];
      if (message.role == "user") {
        WriteMarked(open_, out);
        out.Text(Content(message));
        WriteMarked(close_, out);
        continue;
      }
      out.Text(absl::StrCat(before_answer_, Content(message)));
      if (continue_final && i + 1 == messages.size()) return;
      out.Token(tokenizer()->eos());
      out.Text(after_answer_);
    }
  }

 private:
  // The mark may be a control token, the space around it is text.
  static void WriteMarked(absl::string_view spaced, PromptBuilder& out) {
    const absl::string_view mark = Strip(spaced);
    if (spaced.front() == ' ') out.Text(" ");
    out.Mark(mark);
    if (spaced.back() == ' ') out.Text(" ");
  }

  std::string open_;
  std::string close_;
  std::string before_answer_;
  std::string after_answer_;
};

}  // namespace

std::unique_ptr<ChatTemplate> MakeChatMl(const Tokenizer* tokenizer, const ChatSource& source) {
  return std::make_unique<ChatMl>(tokenizer, source);
}
std::unique_ptr<ChatTemplate> MakeLlama2(const Tokenizer* tokenizer, const ChatSource& source) {
  return std::make_unique<Llama2>(tokenizer, source);
}
std::unique_ptr<ChatTemplate> MakeLlama3(const Tokenizer* tokenizer, const ChatSource& source) {
  return std::make_unique<Llama3>(tokenizer, source);
}
std::unique_ptr<ChatTemplate> MakeMistral(const Tokenizer* tokenizer, const ChatSource& source) {
  return std::make_unique<Mistral>(tokenizer, source);
}
std::unique_ptr<ChatTemplate> MakeGemma(const Tokenizer* tokenizer, const ChatSource& source) {
  return std::make_unique<Gemma>(tokenizer, source);
}
std::unique_ptr<ChatTemplate> MakePhi3(const Tokenizer* tokenizer, const ChatSource& source) {
  return std::make_unique<RoleMarks>("phi3", "<|end|>", tokenizer, source);
}
std::unique_ptr<ChatTemplate> MakeZephyr(const Tokenizer* tokenizer, const ChatSource& source) {
  return std::make_unique<RoleMarks>("zephyr", "", tokenizer, source);
}

}  // namespace scoville::model
