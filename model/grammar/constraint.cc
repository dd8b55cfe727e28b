#include "model/grammar/constraint.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/grammar/automaton.h"
#include "model/grammar/json_schema.h"
#include "model/grammar/regex.h"
#include "model/grammar/rule_graph.h"
#include "model/grammar/state_cache.h"

namespace scoville::model {

struct CompiledConstraint::Impl {
  Impl(std::shared_ptr<const TokenIndex> tokens, Automaton rules, int64_t most_bytes)
      : index(std::move(tokens)),
        automaton(std::move(rules)),
        cache_limit(most_bytes),
        cache(automaton, *index) {}

  // Makes room; ids of before are then void. What stays for good is no reason to start anew.
  void Bound() {
    if (cache.bytes() - cache.kept_bytes() <= cache_limit) return;
    cache.Reset();
    ++generation;
  }

  const std::shared_ptr<const TokenIndex> index;
  const Automaton automaton;
  const int64_t cache_limit;
  StateCache cache;
  int64_t generation = 0;
  int64_t steps = 0;
  std::vector<std::string> notes;
};

namespace {

// What one mask on its own may take, in caches: it is made and thrown away, one at a time.
constexpr int64_t kCachesOfOneMask = 4;

absl::Status AddChoices(const std::vector<std::string>& choices, RuleGraph& graph) {
  if (choices.empty()) return absl::InvalidArgumentError("choice: the list is empty");
  const RuleGraph::Rule rule = graph.rule(graph.AddRule());
  for (const std::string& choice : choices) {
    graph.AddEmpty(graph.Literal(rule.start, choice), rule.end);
  }
  return graph.status();
}

absl::Status AddPattern(absl::string_view pattern, RuleGraph& graph) {
  graph.Charge(static_cast<int64_t>(pattern.size()));
  RETURN_IF_ERROR(graph.status());
  ASSIGN_OR_RETURN(const Regex regex, ParseRegex(pattern, RegexDialect::kRe2));
  const RuleGraph::Rule rule = graph.rule(graph.AddRule());
  graph.AddEmpty(AddRegex(regex, RegexText::kPlain, RegexMatch::kWhole, rule.start, graph),
                 rule.end);
  return graph.status();
}

absl::Status AddRules(const ConstraintSpec& spec, RuleGraph& graph,
                      std::vector<std::string>* notes) {
  switch (spec.kind) {
    case ConstraintSpec::Kind::kNone:
      break;
    case ConstraintSpec::Kind::kJsonSchema:
      return AddJsonSchema(spec.text, graph, notes);
    case ConstraintSpec::Kind::kJsonObject:
      return AddJsonObject(graph);
    case ConstraintSpec::Kind::kRegex:
      return AddPattern(spec.text, graph);
    case ConstraintSpec::Kind::kChoice:
      return AddChoices(spec.choices, graph);
  }
  return absl::InvalidArgumentError("constraint: no kind is given");
}

// Masks of the states nearest to the beginning, byte by byte, until the work set aside is done or a
// quarter of the cache is full: what does not fit in is left out, and found when it is met. What
// the masks lead to comes with them.
absl::Status MakeMasks(const Automaton& automaton, StateCache& cache, Budget& budget) {
  const CompileLimits& limits = budget.limits();
  const int64_t most_steps = std::min(limits.mask_steps, limits.max_steps - budget.steps());
  const int64_t most_bytes = std::min(limits.cache_bytes / 4, limits.max_bytes - budget.bytes());
  const int64_t most_states = limits.max_states - budget.states();
  cache.Limit(most_steps, most_bytes);
  std::vector<uint32_t> order = {cache.Start()};
  std::vector<uint8_t> seen(order[0] + 1, 0);
  seen[order[0]] = 1;
  int64_t asked_at = 0;
  for (size_t i = 0; i < order.size() && !cache.spent(); ++i) {
    cache.MarkKept();
    if (cache.states() >= most_states) break;
    if (cache.steps() >= asked_at) {
      if (limits.cancelled()) return absl::CancelledError("compiling the constraint: cancelled");
      asked_at = cache.steps() + 4096;
    }
    cache.Mask(order[i]);
    if (cache.spent()) break;
    cache.MarkKept();
    for (int32_t c = 0; c < automaton.classes() && !cache.spent(); ++c) {
      const uint32_t next = cache.Step(order[i], automaton.Example(c));
      if (next >= seen.size()) seen.resize(next + 1, 0);
      if (next == StateCache::kDead || seen[next] != 0) continue;
      seen[next] = 1;
      order.push_back(next);
    }
  }
  if (cache.spent()) {
    cache.Reset();
  } else {
    cache.MarkKept();
  }
  cache.Unlimit();
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::shared_ptr<const CompiledConstraint>> CompileConstraint(
    const ConstraintSpec& spec, std::shared_ptr<const TokenIndex> index,
    const CompileLimits& limits) {
  CHECK(index != nullptr);
  Budget budget(limits);
  RuleGraph graph(budget);
  std::vector<std::string> notes;
  RETURN_IF_ERROR(AddRules(spec, graph, &notes));
  ASSIGN_OR_RETURN(Automaton automaton, BuildAutomaton(graph, index->writable(), budget));
  auto impl = std::make_unique<CompiledConstraint::Impl>(std::move(index), std::move(automaton),
                                                         limits.cache_bytes);
  RETURN_IF_ERROR(MakeMasks(impl->automaton, impl->cache, budget));
  impl->steps = budget.steps() + impl->cache.steps();
  impl->notes = std::move(notes);
  return std::shared_ptr<const CompiledConstraint>(new CompiledConstraint(std::move(impl)));
}

absl::StatusOr<std::shared_ptr<const CompiledConstraint>> CompileConstraint(
    const ConstraintSpec& spec, const Tokenizer& tokenizer, const CompileLimits& limits) {
  ASSIGN_OR_RETURN(auto index, TokenIndex::Create(tokenizer));
  return CompileConstraint(spec, std::move(index), limits);
}

CompiledConstraint::CompiledConstraint(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
CompiledConstraint::~CompiledConstraint() = default;

const std::vector<std::string>& CompiledConstraint::notes() const { return impl_->notes; }
int64_t CompiledConstraint::compile_steps() const { return impl_->steps; }
int64_t CompiledConstraint::rule_states() const { return impl_->automaton.states(); }
int64_t CompiledConstraint::masks() const { return impl_->cache.masks(); }
int64_t CompiledConstraint::cache_bytes() const { return impl_->cache.bytes(); }
int64_t CompiledConstraint::cache_resets() const { return impl_->generation; }

ConstraintState ConstraintState::Start(std::shared_ptr<const CompiledConstraint> constraint) {
  CHECK(constraint != nullptr);
  ConstraintState state;
  auto& impl = *constraint->impl_;
  impl.Bound();
  state.id_ = impl.cache.Start();
  state.generation_ = impl.generation;
  state.place_ = impl.cache.Place(state.id_);
  state.constraint_ = std::move(constraint);
  return state;
}

uint32_t ConstraintState::Id() const {
  auto& impl = *constraint_->impl_;
  if (generation_ != impl.generation) {
    id_ = impl.cache.AtPlace(place_);
    generation_ = impl.generation;
  }
  return id_;
}

bool ConstraintState::Accept(int32_t token) {
  auto& impl = *constraint_->impl_;
  if (impl.index->IsEnd(token)) {
    if (!MayEnd()) return false;
    ended_ = true;
    return true;
  }
  const absl::string_view bytes = impl.index->Bytes(token);
  if (ended_ || bytes.empty()) return false;
  impl.Bound();
  uint32_t state = Id();
  for (const char c : bytes) state = impl.cache.Step(state, static_cast<uint8_t>(c));
  if (state == StateCache::kDead) return false;
  id_ = state;
  place_ = impl.cache.Place(state);
  return true;
}

bool ConstraintState::Allows(int32_t token) const {
  ConstraintState next = *this;
  return next.Accept(token);
}

bool ConstraintState::MayEnd() const { return ended_ || constraint_->impl_->cache.MayEnd(Id()); }
bool ConstraintState::MustEnd() const { return ended_ || !constraint_->impl_->cache.GoesOn(Id()); }

absl::Span<const uint32_t> ConstraintState::Mask() const {
  CHECK(!ended_);
  const uint32_t id = Id();
  return constraint_->impl_->cache.Mask(id);
}

void ConstraintState::FillMask(TokenMask* mask) const {
  const auto found = Mask();
  mask->assign(found.begin(), found.end());
}

bool ConstraintState::HasMask() const { return constraint_->impl_->cache.HasMask(Id()); }

TokenMask ConstraintState::ComputeMask() const {
  CHECK(!ended_);
  const auto& impl = *constraint_->impl_;
  StateCache own(impl.automaton, *impl.index);
  const auto found = own.Mask(own.AtPlace(place_));
  return TokenMask(found.begin(), found.end());
}

std::optional<TokenMask> ConstraintState::ComputeMask(int64_t most_steps) const {
  CHECK(!ended_);
  const auto& impl = *constraint_->impl_;
  StateCache own(impl.automaton, *impl.index);
  own.Limit(most_steps, kCachesOfOneMask * impl.cache_limit);
  const auto found = own.Mask(own.AtPlace(place_));
  if (own.spent()) return std::nullopt;
  return TokenMask(found.begin(), found.end());
}

void ConstraintState::KeepMask(const TokenMask& mask) const {
  const uint32_t id = Id();
  constraint_->impl_->cache.KeepMask(id, mask);
}

}  // namespace scoville::model
