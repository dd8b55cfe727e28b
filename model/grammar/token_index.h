// The tokens of a vocabulary as a tree of their bytes, laid out in the order of a walk.
//
// Node 0 is the root; a node is followed by its first child, and `skip` is where the walk goes on
// if the node is left out. Control tokens, end tokens and tokens without bytes are not in the tree.
//
// Ownership: copies what it needs. Threading: immutable. Errors: Create refuses a vocabulary
// without end tokens, since a constraint could not be ended.
#ifndef SCOVILLE_MODEL_GRAMMAR_TOKEN_INDEX_H_
#define SCOVILLE_MODEL_GRAMMAR_TOKEN_INDEX_H_

#include <bitset>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "model/text/tokenizer.h"

namespace scoville::model {

class TokenIndex {
 public:
  struct Node {
    uint32_t skip = 0;
    uint16_t depth = 0;       // bytes from the root
    uint8_t byte = 0;         // the last of them
    uint32_t tokens = 0;      // where its tokens begin in token_list()
    uint32_t tokens_end = 0;  // those of this node alone
  };

  static absl::StatusOr<std::shared_ptr<const TokenIndex>> Create(const Tokenizer& tokenizer);

  int64_t vocabulary() const { return vocabulary_; }
  size_t mask_words() const { return (static_cast<size_t>(vocabulary_) + 31) / 32; }
  absl::Span<const Node> nodes() const { return nodes_; }
  absl::Span<const int32_t> token_list() const { return token_list_; }
  // The bytes of a token of the tree; empty for all others.
  absl::string_view Bytes(int32_t token) const;
  bool IsEnd(int32_t token) const;
  absl::Span<const int32_t> end_tokens() const { return end_tokens_; }
  // Bytes that are a token by themselves. What needs another byte cannot be written for certain.
  const std::bitset<256>& writable() const { return writable_; }
  size_t longest() const { return longest_; }  // token, in bytes
  int64_t bytes() const;                       // of memory

 private:
  TokenIndex() = default;
  void AddTree(std::vector<int32_t>& sorted);

  int64_t vocabulary_ = 0;
  std::vector<Node> nodes_;
  std::vector<int32_t> token_list_;
  std::vector<uint32_t> starts_;  // by token, into text_; vocabulary_ + 1 of them
  std::string text_;
  std::vector<int32_t> end_tokens_;
  std::bitset<256> writable_;
  size_t longest_ = 0;
};

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_GRAMMAR_TOKEN_INDEX_H_
