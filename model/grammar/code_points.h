// Sets of Unicode code points as sorted ranges.
//
// Surrogates are in no set: they cannot be written in UTF-8. Ownership: values. Threading: pure.
#ifndef SCOVILLE_MODEL_GRAMMAR_CODE_POINTS_H_
#define SCOVILLE_MODEL_GRAMMAR_CODE_POINTS_H_

#include <cstdint>
#include <vector>

namespace scoville::model {

struct CodePointRange {
  uint32_t low = 0;
  uint32_t high = 0;  // inclusive

  friend bool operator==(const CodePointRange&, const CodePointRange&) = default;
};

class CodePointSet {
 public:
  CodePointSet() = default;
  explicit CodePointSet(const std::vector<CodePointRange>& ranges);  // in any order, may overlap

  static CodePointSet All();
  static CodePointSet Of(uint32_t code_point);

  const std::vector<CodePointRange>& ranges() const { return ranges_; }
  bool empty() const { return ranges_.empty(); }
  bool Contains(uint32_t code_point) const;

  CodePointSet Complement() const;
  CodePointSet Union(const CodePointSet& other) const;
  CodePointSet Intersect(const CodePointSet& other) const;
  CodePointSet Without(const CodePointSet& other) const;

 private:
  std::vector<CodePointRange> ranges_;  // sorted, neither overlapping nor touching
};

// A sequence of 1 to 4 byte ranges: exactly the UTF-8 of some code points.
struct Utf8Range {
  int length = 0;
  uint8_t low[4] = {};
  uint8_t high[4] = {};
};

// The set as byte sequences. The split is at the lengths and where a continuation byte begins anew
// (as in R. Cox, "Regular Expression Matching in the Wild", 2010).
std::vector<Utf8Range> Utf8Ranges(const CodePointSet& set);

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_GRAMMAR_CODE_POINTS_H_
