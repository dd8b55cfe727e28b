#include "model/text/pre_tokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/text/utf8.h"

namespace scoville::model {

namespace {

// Unicode's White_Space, spelled out: PCRE2's own \s also holds U+180E, which the engines that
// vocabularies are trained with do not.
#define SPACES                                                        \
  "\\t-\\r\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}" \
  "\\x{2029}\\x{202f}\\x{205f}\\x{3000}"
#define SPACE "[" SPACES "]"
#define NOT_SPACE "[^" SPACES "]"

constexpr absl::string_view kEachNumber = "\\p{N}";
constexpr absl::string_view kGpt2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^" SPACES
                                    "\\p{L}\\p{N}]+|" SPACE "+(?!" NOT_SPACE ")|" SPACE "+";
constexpr absl::string_view kLlama3Before =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|";
constexpr absl::string_view kLlama3After = "| ?[^" SPACES "\\p{L}\\p{N}]+[\\r\\n]*|" SPACE
                                           "*[\\r\\n]+|" SPACE "+(?!" NOT_SPACE ")|" SPACE "+";

#undef SPACES
#undef SPACE
#undef NOT_SPACE

}  // namespace

class PreTokenizer::Pattern {
 public:
  static absl::StatusOr<std::unique_ptr<Pattern>> Compile(absl::string_view regex) {
    int error = 0;
    PCRE2_SIZE offset = 0;
    pcre2_code* code =
        pcre2_compile(reinterpret_cast<PCRE2_SPTR>(regex.data()), regex.size(),
                      PCRE2_UTF | PCRE2_UCP | PCRE2_NO_UTF_CHECK, &error, &offset, nullptr);
    if (code == nullptr) {
      return absl::InternalError(
          absl::StrCat("pre-tokenizer pattern does not compile: error ", error, " at ", offset));
    }
    // Without a JIT on this machine matching is slower and the same.
    pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
    pcre2_match_context* context = pcre2_match_context_create(nullptr);
    CHECK(context != nullptr);
    // The limit is a guard against exponential patterns; these are linear, and a piece may be a
    // text of many megabytes.
    pcre2_set_match_limit(context, UINT32_MAX);
    return std::unique_ptr<Pattern>(new Pattern(code, context));
  }
  ~Pattern() {
    pcre2_match_context_free(context_);
    pcre2_code_free(code_);
  }
  Pattern(const Pattern&) = delete;
  Pattern& operator=(const Pattern&) = delete;

  void Split(absl::string_view text, absl::FunctionRef<void(absl::string_view)> piece) const {
    pcre2_match_data* match = pcre2_match_data_create(1, nullptr);
    CHECK(match != nullptr);
    size_t from = 0;  // of what is not handed on yet
    size_t at = 0;    // of the search
    while (at < text.size() && Match(text, at, match)) {
      const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(match);
      if (bounds[1] <= bounds[0]) {
        at = bounds[0] + NextUtf8(text.substr(bounds[0])).length;
        continue;
      }
      if (bounds[0] > from) piece(text.substr(from, bounds[0] - from));
      piece(text.substr(bounds[0], bounds[1] - bounds[0]));
      from = at = bounds[1];
    }
    pcre2_match_data_free(match);
    if (from < text.size()) piece(text.substr(from));
  }

 private:
  Pattern(pcre2_code* code, pcre2_match_context* context) : code_(code), context_(context) {}

  bool Match(absl::string_view text, size_t at, pcre2_match_data* match) const {
    const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
    // The text was checked once; PCRE2 would check all of it again at every match.
    int result = pcre2_match(code_, subject, text.size(), at, PCRE2_NO_UTF_CHECK, match, context_);
    if (result == PCRE2_ERROR_JIT_STACKLIMIT) {
      result = pcre2_match(code_, subject, text.size(), at, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
                           match, context_);
    }
    CHECK(result >= 0 || result == PCRE2_ERROR_NOMATCH);
    return result >= 0;
  }

  pcre2_code* code_;
  pcre2_match_context* context_;
};

PreTokenizer::PreTokenizer() = default;
PreTokenizer::~PreTokenizer() = default;

absl::StatusOr<std::unique_ptr<PreTokenizer>> PreTokenizer::Create(absl::string_view name) {
  std::unique_ptr<PreTokenizer> result(new PreTokenizer());
  std::vector<std::string> regexes;
  if (name == "smollm" || name == "starcoder" || name == "command-r" || name == "refact" ||
      name == "exaone") {
    regexes = {std::string(kEachNumber), std::string(kGpt2)};
  } else if (name == "gpt-2" || name == "olmo" || name == "mpt") {
    regexes = {std::string(kGpt2)};
  } else if (name == "llama-bpe") {
    regexes = {absl::StrCat(kLlama3Before, "\\p{N}{1,3}", kLlama3After)};
    result->whole_pieces_first_ = true;
    result->adds_bos_ = true;
  } else if (name == "qwen2") {
    regexes = {absl::StrCat(kLlama3Before, "\\p{N}", kLlama3After)};
  } else {
    return absl::UnimplementedError(
        absl::StrCat("pre-tokenizer `", name,
                     "` is not supported; supported: smollm, starcoder, command-r, refact, exaone, "
                     "gpt-2, olmo, mpt, llama-bpe, qwen2"));
  }
  for (const std::string& regex : regexes) {
    ASSIGN_OR_RETURN(auto pattern, Pattern::Compile(regex));
    result->patterns_.push_back(std::move(pattern));
  }
  return result;
}

void PreTokenizer::Split(absl::string_view text,
                         absl::FunctionRef<void(absl::string_view)> piece) const {
  if (patterns_.size() == 1) {
    patterns_[0]->Split(text, piece);
    return;
  }
  CHECK_EQ(patterns_.size(), size_t{2});
  patterns_[0]->Split(text, [&](absl::string_view part) { patterns_[1]->Split(part, piece); });
}

}  // namespace scoville::model
