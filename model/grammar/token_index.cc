#include "model/grammar/token_index.h"

#include <algorithm>

#include "absl/status/status.h"

namespace scoville::model {

absl::string_view TokenIndex::Bytes(int32_t token) const {
  if (token < 0 || token >= vocabulary_) return {};
  const auto i = static_cast<size_t>(token);
  return absl::string_view(text_).substr(starts_[i], starts_[i + 1] - starts_[i]);
}

bool TokenIndex::IsEnd(int32_t token) const {
  return std::binary_search(end_tokens_.begin(), end_tokens_.end(), token);
}

int64_t TokenIndex::bytes() const {
  return static_cast<int64_t>(nodes_.size() * sizeof(Node) + text_.size() +
                              (token_list_.size() + starts_.size()) * sizeof(int32_t));
}

absl::StatusOr<std::shared_ptr<const TokenIndex>> TokenIndex::Create(const Tokenizer& tokenizer) {
  auto index = std::shared_ptr<TokenIndex>(new TokenIndex());
  index->vocabulary_ = tokenizer.vocabulary();
  index->end_tokens_.assign(tokenizer.end_tokens().begin(), tokenizer.end_tokens().end());
  std::sort(index->end_tokens_.begin(), index->end_tokens_.end());
  if (index->end_tokens_.empty()) {
    return absl::InvalidArgumentError(
        "the vocabulary names no end token, so constrained output could not be ended: use a model "
        "file with tokenizer.ggml.eos_token_id");
  }
  std::vector<int32_t> tokens;
  index->starts_.push_back(0);
  for (int32_t token = 0; token < tokenizer.vocabulary(); ++token) {
    const absl::string_view bytes = tokenizer.TokenBytes(token);
    // Longer tokens than that are not worth the walk; no vocabulary is known to have one.
    if (!bytes.empty() && bytes.size() < 1024 && !tokenizer.IsControl(token) &&
        !index->IsEnd(token)) {
      index->text_.append(bytes.data(), bytes.size());
      index->longest_ = std::max(index->longest_, bytes.size());
      if (bytes.size() == 1) index->writable_.set(static_cast<uint8_t>(bytes[0]));
      tokens.push_back(token);
    }
    index->starts_.push_back(static_cast<uint32_t>(index->text_.size()));
  }
  index->AddTree(tokens);
  return index;
}

void TokenIndex::AddTree(std::vector<int32_t>& sorted) {
  std::stable_sort(sorted.begin(), sorted.end(),
                   [&](int32_t a, int32_t b) { return Bytes(a) < Bytes(b); });
  nodes_.emplace_back();
  std::vector<uint32_t> path = {0};  // the nodes of the last token, root first
  absl::string_view last;
  for (const int32_t token : sorted) {
    const absl::string_view bytes = Bytes(token);
    size_t common = 0;
    while (common < last.size() && common < bytes.size() && last[common] == bytes[common]) ++common;
    while (path.size() > common + 1) {
      nodes_[path.back()].skip = static_cast<uint32_t>(nodes_.size());
      path.pop_back();
    }
    for (size_t i = common; i < bytes.size(); ++i) {
      path.push_back(static_cast<uint32_t>(nodes_.size()));
      Node node;
      node.depth = static_cast<uint16_t>(i + 1);
      node.byte = static_cast<uint8_t>(bytes[i]);
      node.tokens = node.tokens_end = static_cast<uint32_t>(token_list_.size());
      nodes_.push_back(node);
    }
    // Sorted by bytes: the tokens of one node come in a row, before any of its children.
    token_list_.push_back(token);
    nodes_[path.back()].tokens_end = static_cast<uint32_t>(token_list_.size());
    last = bytes;
  }
  for (const uint32_t node : path) nodes_[node].skip = static_cast<uint32_t>(nodes_.size());
}

}  // namespace scoville::model
