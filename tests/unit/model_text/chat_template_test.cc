#include "model/text/chat_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "model/text/jinja_literals.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/tiny_model.h"

namespace scoville::model {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

absl::Status CreateWith(const std::string& source) {
  tests::GgufWriter writer;
  tests::AddByteTokenizer(writer, {"<s>", "</s>"}, 0, 1);
  if (!source.empty()) writer.AddString("tokenizer.chat_template", source);
  const std::vector<uint8_t> bytes = writer.Finish();
  auto file = GgufFile::Parse(bytes);
  if (!file.ok()) return file.status();
  auto tokenizer = Tokenizer::Create(**file);
  if (!tokenizer.ok()) return tokenizer.status();
  return ChatTemplate::Create(**file, tokenizer->get()).status();
}

TEST(ChatTemplateTest, UnknownTemplatesAreRefusedAndTheKnownListed) {
  const absl::Status unknown = CreateWith("{{ messages[0].content }}");
  EXPECT_TRUE(absl::IsUnimplemented(unknown));
  EXPECT_THAT(std::string(unknown.message()), HasSubstr("known families: chatml, llama2, llama3"));
  EXPECT_THAT(std::string(CreateWith("").message()), HasSubstr("no chat template"));
  EXPECT_THAT(std::string(CreateWith("{{ '<|im_start|>user<|im_sep|>' }}").message()),
              HasSubstr("`<|im_sep|>`"));
  EXPECT_THAT(std::string(CreateWith("{{ '<|im_start|>' }}{{ '</think>' }}").message()),
              HasSubstr("<think>"));
  EXPECT_THAT(
      std::string(CreateWith("{{ '<|start_header_id|>' }}{{ 'Today Date: ' + d }}").message()),
      HasSubstr("date"));
  // A mark in a comment is no mark of the template.
  EXPECT_FALSE(CreateWith("{# not '<|im_start|>' #}{{ messages[0].content }}").ok());
}

TEST(ChatTemplateTest, RolesAndConversationsThatCannotBeWrittenAreRefused) {
  const std::vector<uint8_t> bytes = tests::TinyModelBytes(1);
  auto file = GgufFile::Parse(bytes);
  ASSERT_TRUE(file.ok());
  auto tokenizer = Tokenizer::Create(**file);
  ASSERT_TRUE(tokenizer.ok());
  auto chat = ChatTemplate::Create(**file, tokenizer->get());
  ASSERT_TRUE(chat.ok()) << chat.status();
  EXPECT_TRUE(absl::IsInvalidArgument((*chat)->Render({}, false).status()));
  const std::vector<ChatMessage> tool = {{"user", "x"}, {"tool", "y"}};
  EXPECT_THAT(std::string((*chat)->Render(tool, false).status().message()),
              HasSubstr("message 1 has a role"));
}

TEST(ChatTemplateTest, TheDefaultSystemMessageIsTheFilesOwn) {
  const std::vector<uint8_t> bytes = tests::TinyModelBytes(1);
  auto file = GgufFile::Parse(bytes);
  ASSERT_TRUE(file.ok());
  auto tokenizer = Tokenizer::Create(**file);
  ASSERT_TRUE(tokenizer.ok());
  auto chat = ChatTemplate::Create(**file, tokenizer->get());
  ASSERT_TRUE(chat.ok());
  const std::vector<ChatMessage> hello = {{"user", "hello"}};
  auto encoding = (*chat)->Render(hello, false);
  ASSERT_TRUE(encoding.ok());
  std::string text;
  for (const int32_t t : encoding->tokens) text += std::string((*tokenizer)->TokenBytes(t));
  EXPECT_EQ(text,
            "<|im_start|>system\nYou are a tiny test model<|im_end|>\n"
            "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n");
}

TEST(JinjaLiteralsTest, FindsLiteralsAndTheTextAround) {
  EXPECT_THAT(JinjaLiterals("a{{ 'b\\n' + x[\"c'\"] }}d{% if y == 'e' %}{# 'f' #}g{h"),
              ElementsAre("a", "b\n", "c'", "d", "e", "g{", "h"));
  EXPECT_THAT(JinjaLiterals("{{ '}}' }}"), ElementsAre("}}"));
  EXPECT_THAT(JinjaLiterals("{{ 'open"), ElementsAre("open"));
  EXPECT_THAT(JinjaLiterals("{{ 'it\\'s' }}{"), ElementsAre("it's", "{"));
  EXPECT_TRUE(JinjaLiterals("").empty());
  EXPECT_THAT(JinjaLiterals("{{ 'a\\"), ElementsAre("a\\"));
}

}  // namespace
}  // namespace scoville::model
