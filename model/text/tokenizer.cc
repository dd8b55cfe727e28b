#include "model/text/tokenizer.h"

#include <array>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/text/bpe_merger.h"
#include "model/text/byte_level.h"
#include "model/text/pre_tokenizer.h"
#include "model/text/token_trie.h"
#include "model/text/utf8.h"
#include "model/text/vocabulary.h"

namespace scoville::model {

namespace {

// Longer names are no marks of a conversation, and would make cutting quadratic.
constexpr size_t kLongestCutName = 256;

}  // namespace

struct Tokenizer::Impl {
  explicit Impl(Vocabulary v) : vocabulary(std::move(v)) {}

  absl::Status ReadMerges(const GgufFile& file);
  absl::StatusOr<int32_t> MergePart(absl::string_view name, size_t merge) const;
  void BuildTries();
  void EncodePlain(absl::string_view text, Encoding& out) const;
  void EncodePiece(absl::string_view piece, std::vector<int32_t>& symbols, Encoding& out) const;

  Vocabulary vocabulary;
  std::unique_ptr<PreTokenizer> pre_tokenizer;
  BpeMerger merger;
  std::array<int32_t, 256> byte_tokens;                    // -1: the vocabulary has none
  absl::flat_hash_map<std::string, int32_t> whole_pieces;  // by bytes; empty unless wanted
  TokenTrie user_defined;                                  // cut out of every text
  TokenTrie control_too;  // cut out where control tokens are allowed
  bool add_bos = false;
};

absl::StatusOr<int32_t> Tokenizer::Impl::MergePart(absl::string_view name, size_t merge) const {
  const int32_t token = vocabulary.Find(name);
  if (token < 0) {
    return absl::InvalidArgumentError(absl::StrCat("merge ", merge, " names `",
                                                   absl::CHexEscape(name.substr(0, 80)),
                                                   "`, which is not in the vocabulary"));
  }
  return token;
}

absl::Status Tokenizer::Impl::ReadMerges(const GgufFile& file) {
  auto merges = file.GetStringArray("tokenizer.ggml.merges");
  if (!merges.ok()) return absl::InvalidArgumentError(merges.status().message());
  for (size_t i = 0; i < merges->size(); ++i) {
    const absl::string_view merge = (*merges)[i];
    const size_t space = merge.find(' ', 1);
    if (space == absl::string_view::npos) {
      return absl::InvalidArgumentError(absl::StrCat("merge ", i, " is not a pair"));
    }
    const absl::string_view left_name = merge.substr(0, space);
    const absl::string_view right_name = merge.substr(space + 1);
    ASSIGN_OR_RETURN(const int32_t left, MergePart(left_name, i));
    ASSIGN_OR_RETURN(const int32_t right, MergePart(right_name, i));
    ASSIGN_OR_RETURN(const int32_t merged, MergePart(absl::StrCat(left_name, right_name), i));
    if (vocabulary.IsControl(merged)) {
      return absl::InvalidArgumentError(absl::StrCat("merge ", i, " makes a control token"));
    }
    merger.Add(left, right, static_cast<int32_t>(i), merged);
  }
  return absl::OkStatus();
}

void Tokenizer::Impl::BuildTries() {
  const ByteLevelAlphabet alphabet;
  for (int byte = 0; byte < 256; ++byte) {
    std::string name;
    AppendUtf8(alphabet.CodePointOf(static_cast<uint8_t>(byte)), name);
    const int32_t token = vocabulary.Find(name);
    byte_tokens[static_cast<size_t>(byte)] =
        token >= 0 && !vocabulary.IsControl(token) ? token : -1;
  }
  for (int32_t token = 0; token < vocabulary.size(); ++token) {
    const absl::string_view bytes = vocabulary.Bytes(token);
    if (bytes.empty()) continue;
    const bool cut = vocabulary.IsControl(token) || vocabulary.IsUserDefined(token);
    if (cut && bytes.size() <= kLongestCutName) {
      control_too.Add(bytes, token);
      if (vocabulary.IsUserDefined(token)) user_defined.Add(bytes, token);
    }
    if (!cut && pre_tokenizer->whole_pieces_first()) {
      whole_pieces.try_emplace(std::string(bytes), token);
    }
  }
}

void Tokenizer::Impl::EncodePiece(absl::string_view piece, std::vector<int32_t>& symbols,
                                  Encoding& out) const {
  if (const auto whole = whole_pieces.find(piece); whole != whole_pieces.end()) {
    out.tokens.push_back(whole->second);
    return;
  }
  symbols.clear();
  for (const char c : piece) {
    const int32_t token = byte_tokens[static_cast<uint8_t>(c)];
    if (token >= 0) {
      symbols.push_back(token);
    } else {
      ++out.dropped_bytes;
    }
  }
  merger.Merge(symbols, out.tokens);
}

void Tokenizer::Impl::EncodePlain(absl::string_view text, Encoding& out) const {
  std::vector<int32_t> symbols;
  const auto encode = [&](absl::string_view piece) { EncodePiece(piece, symbols, out); };
  while (!text.empty()) {
    const size_t valid = ValidUtf8Prefix(text);
    if (valid > 0) pre_tokenizer->Split(text.substr(0, valid), encode);
    text.remove_prefix(valid);
    // Patterns are about characters; a byte that is part of none goes through alone.
    if (!text.empty()) {
      encode(text.substr(0, 1));
      text.remove_prefix(1);
    }
  }
}

Tokenizer::Tokenizer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::~Tokenizer() = default;

absl::StatusOr<std::unique_ptr<Tokenizer>> Tokenizer::Create(const GgufFile& file) {
  auto model = file.GetString("tokenizer.ggml.model");
  if (!model.ok()) return absl::InvalidArgumentError(model.status().message());
  if (*model != "gpt2") {
    return absl::UnimplementedError(
        absl::StrCat("tokenizer model `", absl::CHexEscape(model->substr(0, 80)),
                     "` is not supported; supported: gpt2 (byte-level BPE)"));
  }
  auto pre = file.GetString("tokenizer.ggml.pre");
  if (!pre.ok()) return absl::InvalidArgumentError(pre.status().message());
  ASSIGN_OR_RETURN(auto pre_tokenizer, PreTokenizer::Create(*pre));
  if (file.Has("tokenizer.ggml.add_space_prefix")) {
    ASSIGN_OR_RETURN(const bool prefix, file.GetBool("tokenizer.ggml.add_space_prefix"));
    if (prefix) return absl::UnimplementedError("a space prefix to texts is not supported");
  }
  ASSIGN_OR_RETURN(Vocabulary vocabulary, Vocabulary::FromFile(file));
  auto impl = std::make_unique<Impl>(std::move(vocabulary));
  impl->pre_tokenizer = std::move(pre_tokenizer);
  impl->add_bos = impl->pre_tokenizer->adds_bos();
  if (file.Has("tokenizer.ggml.add_bos_token")) {
    ASSIGN_OR_RETURN(impl->add_bos, file.GetBool("tokenizer.ggml.add_bos_token"));
  }
  RETURN_IF_ERROR(impl->ReadMerges(file));
  impl->BuildTries();
  return std::unique_ptr<Tokenizer>(new Tokenizer(std::move(impl)));
}

Encoding Tokenizer::Encode(absl::string_view text, const EncodeOptions& options) const {
  Encoding out;
  if (options.add_bos && bos() >= 0) out.tokens.push_back(bos());
  const TokenTrie& cuts = options.allow_control_tokens ? impl_->control_too : impl_->user_defined;
  if (cuts.empty()) {
    impl_->EncodePlain(text, out);
    return out;
  }
  size_t from = 0;
  for (size_t at = 0; at < text.size();) {
    const TokenTrie::Match match = cuts.LongestAt(text.substr(at));
    if (match.token < 0) {
      ++at;
      continue;
    }
    impl_->EncodePlain(text.substr(from, at - from), out);
    out.tokens.push_back(match.token);
    at += match.length;
    from = at;
  }
  impl_->EncodePlain(text.substr(from), out);
  return out;
}

int64_t Tokenizer::vocabulary() const { return impl_->vocabulary.size(); }

absl::string_view Tokenizer::TokenBytes(int32_t token) const {
  CHECK(impl_->vocabulary.Contains(token));
  return impl_->vocabulary.Bytes(token);
}

bool Tokenizer::IsControl(int32_t token) const {
  CHECK(impl_->vocabulary.Contains(token));
  return impl_->vocabulary.IsControl(token);
}

int32_t Tokenizer::FindToken(absl::string_view name) const { return impl_->vocabulary.Find(name); }
int32_t Tokenizer::bos() const { return impl_->vocabulary.bos(); }
int32_t Tokenizer::eos() const { return impl_->vocabulary.eos(); }
absl::Span<const int32_t> Tokenizer::end_tokens() const { return impl_->vocabulary.end_tokens(); }
bool Tokenizer::add_bos_by_default() const { return impl_->add_bos; }

}  // namespace scoville::model
