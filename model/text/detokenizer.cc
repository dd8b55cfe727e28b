#include "model/text/detokenizer.h"

#include <algorithm>
#include <utility>

#include "model/text/utf8.h"

namespace scoville::model {

namespace {

// The bytes as UTF-8, each maximal ill-formed part as one U+FFFD. Stops before an incomplete code
// point at the end, unless `all`; returns how many bytes are used up.
size_t Sanitize(absl::string_view bytes, bool all, std::string& out) {
  size_t at = 0;
  while (at < bytes.size()) {
    const Utf8Step step = NextUtf8(bytes.substr(at));
    if (step.kind == Utf8Kind::kIncomplete && !all) break;
    if (step.kind == Utf8Kind::kCodePoint) {
      out.append(bytes.data() + at, step.length);
    } else {
      out.append(kReplacementCharacter.data(), kReplacementCharacter.size());
    }
    at += step.length;
  }
  return at;
}

struct Match {
  size_t begin = 0;
  size_t end = std::string::npos;  // npos: none
  size_t index = 0;                // of the stop string
};

// The stop string that is complete first; of several that end together the longest. This does not
// depend on how the text came in pieces.
Match FirstMatch(const std::string& text, const std::vector<std::string>& strings) {
  Match best;
  for (size_t i = 0; i < strings.size(); ++i) {
    const size_t begin = text.find(strings[i]);
    if (begin == std::string::npos) continue;
    const size_t end = begin + strings[i].size();
    if (end < best.end || (end == best.end && begin < best.begin)) best = {begin, end, i};
  }
  return best;
}

// Bytes at the end of `text` in which a stop string may have begun.
size_t HeldBack(absl::string_view text, const std::vector<std::string>& strings) {
  size_t held = 0;
  for (const std::string& s : strings) {
    for (size_t length = std::min(text.size(), s.size() - 1); length > held; --length) {
      if (text.substr(text.size() - length) == absl::string_view(s).substr(0, length)) {
        held = length;
        break;
      }
    }
  }
  return held;
}

}  // namespace

Detokenizer::Detokenizer(const Tokenizer* tokenizer, DetokenizerOptions options)
    : tokenizer_(tokenizer), options_(std::move(options)) {
  std::vector<std::string>& stops = options_.stop_strings;
  stops.erase(std::remove(stops.begin(), stops.end(), std::string()), stops.end());
}

std::string Detokenizer::Append(int32_t token) {
  std::string out;
  if (stopped()) return out;
  if (tokenizer_->IsControl(token) && !options_.keep_special_tokens) return out;
  const absl::string_view bytes = tokenizer_->TokenBytes(token);
  pending_.append(bytes.data(), bytes.size());
  const Match match = FirstMatch(pending_, options_.stop_strings);
  if (match.end != std::string::npos) {
    match_ = options_.stop_strings[match.index];
    const size_t keep = options_.keep_match ? match.end : match.begin;
    Sanitize(absl::string_view(pending_).substr(0, keep), /*all=*/true, out);
    pending_.clear();
    return out;
  }
  const size_t held = HeldBack(pending_, options_.stop_strings);
  const size_t used = Sanitize(absl::string_view(pending_).substr(0, pending_.size() - held),
                               /*all=*/false, out);
  pending_.erase(0, used);
  return out;
}

std::string Detokenizer::Flush() {
  std::string out;
  Sanitize(pending_, /*all=*/true, out);
  pending_.clear();
  return out;
}

}  // namespace scoville::model
