// Finds the longest of a set of names at a place in a text.
//
// Ownership: a value. Threading: Add is for construction, LongestAt is const and may run on any
// thread. Errors: none.
#ifndef SCOVILLE_MODEL_TEXT_TOKEN_TRIE_H_
#define SCOVILLE_MODEL_TEXT_TOKEN_TRIE_H_

#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"

namespace scoville::model {

class TokenTrie {
 public:
  struct Match {
    int32_t token = -1;  // -1: none
    size_t length = 0;
  };

  TokenTrie() : tokens_(1, -1) {}

  bool empty() const { return tokens_.size() == 1; }
  // `name` is not empty; the first token given for a name stays.
  void Add(absl::string_view name, int32_t token) {
    uint32_t node = 0;
    for (const char c : name) {
      const auto next = static_cast<uint32_t>(tokens_.size());
      const auto [edge, fresh] = edges_.try_emplace(Key(node, c), next);
      if (fresh) tokens_.push_back(-1);
      node = edge->second;
    }
    if (tokens_[node] < 0) tokens_[node] = token;
  }

  // The longest name that `text` begins with.
  Match LongestAt(absl::string_view text) const {
    Match best;
    uint32_t node = 0;
    for (size_t i = 0; i < text.size(); ++i) {
      const auto edge = edges_.find(Key(node, text[i]));
      if (edge == edges_.end()) break;
      node = edge->second;
      if (tokens_[node] >= 0) best = {tokens_[node], i + 1};
    }
    return best;
  }

 private:
  static uint64_t Key(uint32_t node, char c) {
    return (static_cast<uint64_t>(node) << 8) | static_cast<uint8_t>(c);
  }

  std::vector<int32_t> tokens_;  // by node; -1: no name ends here
  // Looked up only, never walked.
  absl::flat_hash_map<uint64_t, uint32_t> edges_;
};

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_TEXT_TOKEN_TRIE_H_
