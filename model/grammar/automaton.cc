#include "model/grammar/automaton.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "base/status_macros.h"

namespace scoville::model {

class AutomatonBuilder {
 public:
  AutomatonBuilder(const RuleGraph& graph, const std::bitset<256>& writable, Budget& budget)
      : graph_(graph), writable_(writable), budget_(budget) {}

  absl::StatusOr<Automaton> Build() {
    RETURN_IF_ERROR(graph_.status());
    RETURN_IF_ERROR(SortEdges());
    RETURN_IF_ERROR(MarkLive());
    if (!LiveRule(0)) {
      return absl::InvalidArgumentError(
          "no text meets the constraint, or none that this vocabulary can write: look for `false`, "
          "empty classes, and recursion without an end");
    }
    RETURN_IF_ERROR(MakeClasses());
    RETURN_IF_ERROR(CheckCalls());
    // State 0 is dead.
    AddRow();
    rule_start_.assign(static_cast<size_t>(graph_.rules()), -1);
    wanted_ = {0};
    while (!wanted_.empty()) {
      const int32_t rule = wanted_.back();
      wanted_.pop_back();
      if (rule_start_[static_cast<size_t>(rule)] < 0) {
        RETURN_IF_ERROR(Determinise(rule));
      }
    }
    out_.start_ = rule_start_[0];
    FinishCalls();
    return std::move(out_);
  }

 private:
  using Edge = RuleGraph::Edge;
  using Kind = RuleGraph::Kind;
  using Set = std::vector<int32_t>;

  size_t Nodes() const { return static_cast<size_t>(graph_.nodes()); }

  // Edges in the order of their nodes: those of node n are [first_[n], first_[n + 1]).
  absl::Status SortEdges() {
    const auto& edges = graph_.edges();
    RETURN_IF_ERROR(budget_.Steps(static_cast<int64_t>(edges.size() + Nodes())));
    RETURN_IF_ERROR(budget_.Bytes(static_cast<int64_t>(Nodes() * 8 + edges.size() * 8)));
    first_.assign(Nodes() + 1, 0);
    for (const Edge& e : edges) ++first_[static_cast<size_t>(e.from) + 1];
    for (size_t n = 0; n < Nodes(); ++n) first_[n + 1] += first_[n];
    edges_.resize(edges.size());
    std::vector<size_t> next(first_.begin(), first_.end() - 1);
    for (const Edge& e : edges) edges_[next[static_cast<size_t>(e.from)]++] = e;
    return absl::OkStatus();
  }

  absl::Span<const Edge> EdgesOf(int32_t node) const {
    const auto n = static_cast<size_t>(node);
    return absl::MakeConstSpan(edges_).subspan(first_[n], first_[n + 1] - first_[n]);
  }

  bool Writable(const Edge& e) const {
    for (int b = e.low; b <= e.high; ++b) {
      if (writable_[static_cast<size_t>(b)]) return true;
    }
    return false;
  }

  bool Live(int32_t node) const { return live_[static_cast<size_t>(node)] != 0; }
  bool LiveRule(int32_t rule) const { return Live(graph_.rule(rule).start); }

  // Backwards from the ends of all rules. An edge that calls waits until its rule is known to end.
  absl::Status MarkLive() {
    live_.assign(Nodes(), 0);
    std::vector<std::vector<size_t>> into(Nodes());
    for (size_t i = 0; i < edges_.size(); ++i) {
      const Edge& e = edges_[i];
      if (e.kind != Kind::kBytes || Writable(e)) into[static_cast<size_t>(e.to)].push_back(i);
    }
    std::vector<int32_t> rule_of_start(Nodes(), -1);
    std::vector<int32_t> found;
    const auto mark = [&](int32_t node) {
      if (Live(node)) return;
      live_[static_cast<size_t>(node)] = 1;
      found.push_back(node);
    };
    std::vector<std::vector<int32_t>> waiting(static_cast<size_t>(graph_.rules()));
    for (int32_t r = 0; r < graph_.rules(); ++r) {
      rule_of_start[static_cast<size_t>(graph_.rule(r).start)] = r;
      mark(graph_.rule(r).end);
    }
    while (!found.empty()) {
      const int32_t node = found.back();
      found.pop_back();
      const auto& in = into[static_cast<size_t>(node)];
      RETURN_IF_ERROR(budget_.Steps(1 + static_cast<int64_t>(in.size())));
      for (const size_t i : in) {
        const Edge& e = edges_[i];
        if (e.kind != Kind::kCall || LiveRule(e.rule)) {
          mark(e.from);
        } else {
          waiting[static_cast<size_t>(e.rule)].push_back(e.from);
        }
      }
      const int32_t rule = rule_of_start[static_cast<size_t>(node)];
      if (rule < 0) continue;
      for (const int32_t caller : waiting[static_cast<size_t>(rule)]) mark(caller);
    }
    return absl::OkStatus();
  }

  // Splits the bytes by every range in use.
  absl::Status MakeClasses() {
    std::map<std::pair<uint8_t, uint8_t>, bool> ranges;
    for (const Edge& e : edges_) {
      if (e.kind == Kind::kBytes) ranges[{e.low, e.high}] = true;
    }
    std::array<int32_t, 256> class_of = {};
    const auto split = [&](const auto& inside) {
      std::map<std::pair<int32_t, bool>, int32_t> fresh;
      for (size_t b = 0; b < 256; ++b) {
        const auto next = static_cast<int32_t>(fresh.size());
        class_of[b] = fresh.try_emplace({class_of[b], inside(b)}, next).first->second;
      }
      return static_cast<int32_t>(fresh.size());
    };
    out_.classes_ = split([&](size_t b) { return writable_[b]; });
    for (const auto& entry : ranges) {
      const auto range = entry.first;
      if (out_.classes_ == 256) break;
      RETURN_IF_ERROR(budget_.Steps(256));
      out_.classes_ = split([&](size_t b) { return b >= range.first && b <= range.second; });
    }
    out_.class_of_ = class_of;
    out_.examples_.resize(static_cast<size_t>(out_.classes_));
    for (size_t b = 256; b-- > 0;) {
      out_.examples_[static_cast<size_t>(class_of[b])] = static_cast<uint8_t>(b);
    }
    classes_in_.assign(256, {});
    return absl::OkStatus();
  }

  // No rule may come back to itself before a byte, nor end without one: states would not be finite.
  absl::Status CheckCalls() {
    std::vector<std::vector<int32_t>> first_calls(static_cast<size_t>(graph_.rules()));
    for (int32_t r = 0; r < graph_.rules(); ++r) {
      Set set = {graph_.rule(r).start};
      RETURN_IF_ERROR(Close(set));
      for (const int32_t node : set) {
        CHECK(r == 0 || node != graph_.rule(r).end);
        for (const Edge& e : EdgesOf(node)) {
          if (e.kind == Kind::kCall) first_calls[static_cast<size_t>(r)].push_back(e.rule);
        }
      }
    }
    std::vector<int> colour(first_calls.size(), 0);  // 1: on the path, 2: done
    for (size_t root = 0; root < first_calls.size(); ++root) {
      std::vector<std::pair<size_t, size_t>> path = {{root, 0}};
      while (!path.empty()) {
        auto& [rule, next] = path.back();
        colour[rule] = std::max(colour[rule], 1);
        if (colour[rule] == 2 || next == first_calls[rule].size()) {
          colour[rule] = 2;
          path.pop_back();
          continue;
        }
        const auto called = static_cast<size_t>(first_calls[rule][next++]);
        CHECK_NE(colour[called], 1);
        if (colour[called] == 0) path.emplace_back(called, 0);
      }
    }
    return absl::OkStatus();
  }

  // Adds what empty edges reach, leaves out what is not live, sorts.
  absl::Status Close(Set& set) {
    if (stamp_.size() != Nodes()) stamp_.assign(Nodes(), 0);
    ++now_;
    size_t kept = 0;
    for (const int32_t node : set) {
      if (!Live(node) || stamp_[static_cast<size_t>(node)] == now_) continue;
      stamp_[static_cast<size_t>(node)] = now_;
      set[kept++] = node;
    }
    set.resize(kept);
    for (size_t i = 0; i < set.size(); ++i) {
      const auto edges = EdgesOf(set[i]);
      RETURN_IF_ERROR(budget_.Steps(1 + static_cast<int64_t>(edges.size())));
      for (const Edge& e : edges) {
        if (e.kind != Kind::kEmpty || !Live(e.to)) continue;
        if (stamp_[static_cast<size_t>(e.to)] == now_) continue;
        stamp_[static_cast<size_t>(e.to)] = now_;
        set.push_back(e.to);
      }
    }
    // Only what has edges of bytes or calls, or is the end, tells two sets apart.
    set.erase(std::remove_if(set.begin(), set.end(), [&](int32_t n) { return IsPassage(n); }),
              set.end());
    std::sort(set.begin(), set.end());
    return absl::OkStatus();
  }

  bool IsPassage(int32_t node) const {
    const auto edges = EdgesOf(node);
    return !edges.empty() && std::all_of(edges.begin(), edges.end(),
                                         [](const Edge& e) { return e.kind == Kind::kEmpty; });
  }

  int32_t AddRow() {
    out_.rows_.resize(out_.rows_.size() + static_cast<size_t>(out_.classes_), 0);
    out_.ends_.push_back(0);
    out_.has_bytes_.push_back(0);
    calls_.emplace_back();
    return static_cast<int32_t>(out_.ends_.size()) - 1;
  }

  absl::StatusOr<int32_t> Intern(Set set) {
    RETURN_IF_ERROR(Close(set));
    if (set.empty()) return 0;
    const auto found = known_.find(set);
    if (found != known_.end()) return found->second;
    RETURN_IF_ERROR(budget_.States(1));
    RETURN_IF_ERROR(budget_.Bytes(96 + 4 * out_.classes_ + 4 * static_cast<int64_t>(set.size())));
    const int32_t state = AddRow();
    pending_.emplace_back(state, set);
    known_.emplace(std::move(set), state);
    return state;
  }

  absl::Status Determinise(int32_t rule) {
    known_.clear();
    ASSIGN_OR_RETURN(rule_start_[static_cast<size_t>(rule)], Intern({graph_.rule(rule).start}));
    while (!pending_.empty()) {
      const auto [state, set] = std::move(pending_.back());
      pending_.pop_back();
      RETURN_IF_ERROR(Expand(rule, state, set));
    }
    return absl::OkStatus();
  }

  absl::Status Expand(int32_t rule, int32_t state, const Set& set) {
    std::map<int32_t, Set> by_class;
    std::map<int32_t, Set> by_call;
    for (const int32_t node : set) {
      if (node == graph_.rule(rule).end) out_.ends_[static_cast<size_t>(state)] = 1;
      for (const Edge& e : EdgesOf(node)) {
        if (!Live(e.to)) continue;
        if (e.kind == Kind::kCall && LiveRule(e.rule)) by_call[e.rule].push_back(e.to);
        if (e.kind != Kind::kBytes) continue;
        const auto& classes = ClassesIn(e);
        RETURN_IF_ERROR(budget_.Steps(1 + static_cast<int64_t>(classes.size())));
        for (const int32_t c : classes) by_class[c].push_back(e.to);
      }
    }
    for (auto& [byte_class, targets] : by_class) {
      ASSIGN_OR_RETURN(const int32_t next, Intern(std::move(targets)));
      CHECK_GT(next, 0);  // live nodes make no empty set
      out_.rows_[static_cast<size_t>(state) * static_cast<size_t>(out_.classes_) +
                 static_cast<size_t>(byte_class)] = next;
      out_.has_bytes_[static_cast<size_t>(state)] = 1;
    }
    for (auto& [called, targets] : by_call) {
      ASSIGN_OR_RETURN(const int32_t next, Intern(std::move(targets)));
      CHECK_GT(next, 0);
      RETURN_IF_ERROR(budget_.Bytes(2 * static_cast<int64_t>(sizeof(Automaton::Call))));
      calls_[static_cast<size_t>(state)].push_back({called, next});
      wanted_.push_back(called);
    }
    return absl::OkStatus();
  }

  const std::vector<int32_t>& ClassesIn(const Edge& e) {
    auto& classes = classes_in_[e.low][e.high];
    if (classes.empty()) {
      for (size_t b = e.low; b <= e.high; ++b) {
        if (writable_[b]) classes.push_back(out_.class_of_[b]);
      }
      std::sort(classes.begin(), classes.end());
      classes.erase(std::unique(classes.begin(), classes.end()), classes.end());
    }
    return classes;
  }

  void FinishCalls() {
    for (const auto& calls : calls_) {
      out_.call_begin_.push_back(out_.calls_.size());
      for (const auto& [rule, return_to] : calls) {
        out_.calls_.push_back({rule_start_[static_cast<size_t>(rule)], return_to});
      }
    }
    out_.call_begin_.push_back(out_.calls_.size());
  }

  const RuleGraph& graph_;
  const std::bitset<256>& writable_;
  Budget& budget_;
  std::vector<size_t> first_;
  std::vector<Edge> edges_;
  std::vector<uint8_t> live_;
  std::vector<std::map<uint8_t, std::vector<int32_t>>> classes_in_;
  std::vector<uint32_t> stamp_;
  uint32_t now_ = 0;
  // Looked up only, never walked.
  absl::flat_hash_map<Set, int32_t> known_;
  std::vector<std::pair<int32_t, Set>> pending_;
  std::vector<int32_t> wanted_;
  std::vector<int32_t> rule_start_;
  std::vector<std::vector<std::pair<int32_t, int32_t>>> calls_;  // by state: rule, return
  Automaton out_;
};

absl::StatusOr<Automaton> BuildAutomaton(const RuleGraph& graph, const std::bitset<256>& writable,
                                         Budget& budget) {
  return AutomatonBuilder(graph, writable, budget).Build();
}

}  // namespace scoville::model
