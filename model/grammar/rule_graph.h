// Rules while they are being built: graphs whose edges are empty, a range of bytes, or a call of a
// rule.
//
// No builder adds an edge into the node it begins at, so several may begin at one node. Once the
// budget is met, nothing is added any more and `status()` says so: loops must look at ok().
//
// Ownership: holds the budget's address. Threading: one thread. Errors: see above.
#ifndef SCOVILLE_MODEL_GRAMMAR_RULE_GRAPH_H_
#define SCOVILLE_MODEL_GRAMMAR_RULE_GRAPH_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "model/grammar/code_points.h"
#include "model/grammar/compile_limits.h"

namespace scoville::model {

class RuleGraph {
 public:
  enum class Kind : uint8_t { kEmpty, kBytes, kCall };
  struct Edge {
    int32_t from = 0;
    int32_t to = 0;
    int32_t rule = -1;  // of kCall
    Kind kind = Kind::kEmpty;
    uint8_t low = 0;  // of kBytes
    uint8_t high = 0;
  };
  struct Rule {
    int32_t start = 0;
    int32_t end = 0;
  };

  explicit RuleGraph(Budget& budget) : budget_(budget) {}

  bool ok() const { return status_.ok(); }
  const absl::Status& status() const { return status_; }
  // Counts work that adds nothing.
  void Charge(int64_t steps);

  int32_t AddRule();
  int32_t AddNode();
  void AddEmpty(int32_t from, int32_t to);
  void AddBytes(int32_t from, uint8_t low, uint8_t high, int32_t to);
  void AddCall(int32_t from, int32_t rule, int32_t to);

  // Each begins at `from` and returns where it ends.
  int32_t Literal(int32_t from, absl::string_view bytes);
  int32_t CodePoints(int32_t from, const CodePointSet& set);
  // One code point as it is written inside a JSON string: itself, or the escape that it needs.
  int32_t JsonCodePoints(int32_t from, const CodePointSet& set);

  const Rule& rule(int32_t i) const { return rules_[static_cast<size_t>(i)]; }
  int32_t rules() const { return static_cast<int32_t>(rules_.size()); }
  int32_t nodes() const { return nodes_; }
  const std::vector<Edge>& edges() const { return edges_; }

 private:
  void Add(const Edge& edge);
  void CodePointsTo(int32_t from, const CodePointSet& set, int32_t to);

  Budget& budget_;
  absl::Status status_;
  int32_t nodes_ = 0;
  std::vector<Rule> rules_;
  std::vector<Edge> edges_;
};

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_GRAMMAR_RULE_GRAPH_H_
