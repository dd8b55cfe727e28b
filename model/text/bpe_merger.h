// Byte pair merging: joins the neighbours of the best rank until none is left.
//
// Units: token ids and ranks; a lower rank merges earlier, the leftmost first among equals. Time is
// n log n in a piece's bytes, so that a word of megabytes is no attack.
//
// Ownership: a value. Threading: Add is for construction, Merge is const and may run on any thread.
// Errors: none.
#ifndef SCOVILLE_MODEL_TEXT_BPE_MERGER_H_
#define SCOVILLE_MODEL_TEXT_BPE_MERGER_H_

#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"

namespace scoville::model {

class BpeMerger {
 public:
  // The pair becomes `merged`. The first rank given for a pair stays.
  void Add(int32_t left, int32_t right, int32_t rank, int32_t merged);

  // Appends what `symbols` merge into.
  void Merge(absl::Span<const int32_t> symbols, std::vector<int32_t>& out) const;

 private:
  struct Rule {
    int32_t rank = 0;
    int32_t merged = 0;
  };
  const Rule* Find(int32_t left, int32_t right) const;

  void MergeShort(absl::Span<const int32_t> symbols, std::vector<int32_t>& out) const;
  void MergeLong(absl::Span<const int32_t> symbols, std::vector<int32_t>& out) const;

  // Looked up only, never walked: its order is random.
  absl::flat_hash_map<uint64_t, Rule> rules_;
};

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_TEXT_BPE_MERGER_H_
