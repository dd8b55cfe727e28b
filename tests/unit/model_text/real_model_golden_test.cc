// The real model's token ids against those of Hugging Face's `tokenizers`, and its conversations
// against Jinja's; see tests/reference/make_{tokenizer,chat}_goldens.py.
#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "model/text/chat_template.h"
#include "model/text/detokenizer.h"
#include "model/text/tokenizer.h"
#include "tests/support/model_path.h"

namespace scoville::model {
namespace {

class TokenizerGoldenTest : public testing::Test {
 protected:
  void Load() {
    auto file = GgufFile::Open(tests::ModelPath());
    ASSERT_TRUE(file.ok()) << file.status();
    file_ = std::move(*file);
    auto tokenizer = Tokenizer::Create(*file_);
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
    tokenizer_ = std::move(*tokenizer);
    std::ifstream in(SCOVILLE_SOURCE_DIR "/tests/data/tokenizer_goldens.json");
    cases_ = nlohmann::json::parse(in, nullptr, /*allow_exceptions=*/false)["cases"];
    ASSERT_GT(cases_.size(), 500u);
  }

  std::unique_ptr<GgufFile> file_;
  std::unique_ptr<Tokenizer> tokenizer_;
  nlohmann::json cases_;
};

TEST_F(TokenizerGoldenTest, EveryTextHasTheReferenceIds) {
  SCOVILLE_REQUIRE_MODEL(tests::ModelPath());
  ASSERT_NO_FATAL_FAILURE(Load());
  for (const auto& golden : cases_) {
    const auto text = golden["text"].get<std::string>();
    const auto ids = golden["ids"].get<std::vector<int32_t>>();
    EXPECT_EQ(tokenizer_->Encode(text).tokens, ids) << golden["text"].dump();
    EncodeOptions options;
    options.allow_control_tokens = true;
    const auto with_control =
        golden.contains("control_ids") ? golden["control_ids"].get<std::vector<int32_t>>() : ids;
    EXPECT_EQ(tokenizer_->Encode(text, options).tokens, with_control) << golden["text"].dump();
  }
}

TEST_F(TokenizerGoldenTest, TextsComeBackWhereNoByteWasDropped) {
  SCOVILLE_REQUIRE_MODEL(tests::ModelPath());
  ASSERT_NO_FATAL_FAILURE(Load());
  int lossless = 0;
  for (const auto& golden : cases_) {
    const auto text = golden["text"].get<std::string>();
    const Encoding encoding = tokenizer_->Encode(text);
    std::string bytes;
    Detokenizer detokenizer(tokenizer_.get(), {});
    std::string streamed;
    for (const int32_t token : encoding.tokens) {
      bytes += std::string(tokenizer_->TokenBytes(token));
      streamed += detokenizer.Append(token);
    }
    streamed += detokenizer.Flush();
    EXPECT_EQ(bytes.size() + static_cast<size_t>(encoding.dropped_bytes), text.size());
    if (encoding.dropped_bytes > 0) continue;
    ++lossless;
    EXPECT_EQ(bytes, text);
    EXPECT_EQ(streamed, text);
  }
  EXPECT_GT(lossless, 400);
}

TEST_F(TokenizerGoldenTest, KnowsTheRolesOfTokens) {
  SCOVILLE_REQUIRE_MODEL(tests::ModelPath());
  ASSERT_NO_FATAL_FAILURE(Load());
  EXPECT_EQ(tokenizer_->vocabulary(), 49'152);
  EXPECT_EQ(tokenizer_->bos(), 1);
  EXPECT_EQ(tokenizer_->eos(), 2);
  EXPECT_FALSE(tokenizer_->add_bos_by_default());
  EXPECT_EQ(std::vector<int32_t>(tokenizer_->end_tokens().begin(), tokenizer_->end_tokens().end()),
            (std::vector<int32_t>{0, 2}));
  int control = 0;
  for (int32_t token = 0; token < tokenizer_->vocabulary(); ++token) {
    control += tokenizer_->IsControl(token) ? 1 : 0;
  }
  EXPECT_EQ(control, 17);
}

TEST_F(TokenizerGoldenTest, CountsTheBytesTheVocabularyLacks) {
  SCOVILLE_REQUIRE_MODEL(tests::ModelPath());
  ASSERT_NO_FATAL_FAILURE(Load());
  int64_t dropped = 0;
  for (int byte = 0; byte < 256; ++byte) {
    dropped += tokenizer_->Encode(std::string(1, static_cast<char>(byte))).dropped_bytes;
  }
  EXPECT_EQ(dropped, 21);
}

TEST(ChatModelGoldenTest, TheModelsTemplateHasTheReferenceIds) {
  SCOVILLE_REQUIRE_MODEL(tests::ModelPath());
  auto file = GgufFile::Open(tests::ModelPath());
  ASSERT_TRUE(file.ok()) << file.status();
  auto tokenizer = Tokenizer::Create(**file);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  auto chat = ChatTemplate::Create(**file, tokenizer->get());
  ASSERT_TRUE(chat.ok()) << chat.status();
  EXPECT_EQ((*chat)->family(), "chatml");
  std::ifstream in(SCOVILLE_SOURCE_DIR "/tests/data/chat_goldens.json");
  const nlohmann::json goldens = nlohmann::json::parse(in, nullptr, false)["model"];
  ASSERT_GT(goldens.size(), 10u);
  for (const auto& golden : goldens) {
    std::vector<ChatMessage> messages;
    for (const auto& m : golden["messages"]) {
      messages.push_back({m["role"].get<std::string>(), m["content"].get<std::string>()});
    }
    auto encoding = (*chat)->Render(messages, /*continue_final=*/false);
    ASSERT_TRUE(encoding.ok()) << encoding.status();
    EXPECT_EQ(encoding->tokens, golden["ids"].get<std::vector<int32_t>>()) << golden["text"];
  }
}

}  // namespace
}  // namespace scoville::model
