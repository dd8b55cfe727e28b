#include "model/grammar/state_cache.h"

#include <algorithm>

#include "absl/strings/string_view.h"
#include "base/stable_hash.h"
#include "base/status_macros.h"

namespace scoville::model {

namespace {

constexpr uint8_t kMayEnd = 1;
constexpr uint8_t kReturns = 2;

}  // namespace

StateCache::StateCache(const Automaton& automaton, const TokenIndex& index)
    : automaton_(automaton), index_(index) {
  stacks_ = {Frame{}, Frame{}};
  Intern();  // nothing found: the dead state
  CHECK_EQ(states_.size(), size_t{1});
  path_.assign(index_.longest() + 1, kDead);
  MarkKept();
}

uint32_t StateCache::Push(int32_t return_to, uint32_t below) {
  const auto next = static_cast<uint32_t>(stacks_.size());
  const auto [it, fresh] = stack_ids_.try_emplace({return_to, below}, next);
  if (fresh) {
    stacks_.push_back({return_to, below});
    bytes_ += 40;
  }
  return it->second;
}

// Follows calls and returns until a byte is needed.
void StateCache::Reach(int32_t state, uint32_t stack) {
  to_visit_.push_back({state, stack});
  while (!to_visit_.empty()) {
    const Reading r = to_visit_.back();
    to_visit_.pop_back();
    ++steps_;
    if (std::find(seen_.begin(), seen_.end(), r) != seen_.end()) continue;
    const bool found_one = !found_.readings.empty() || found_.flags != 0;
    if (seen_.size() >= 4 * kMaxReadings && found_one) continue;
    seen_.push_back(r);
    if (automaton_.HasBytes(r.state) && found_.readings.size() < kMaxReadings) {
      found_.readings.push_back(r);
    }
    if (automaton_.EndsRule(r.state)) {
      if (r.stack == kEmptyStack) {
        found_.flags |= kMayEnd;
      } else if (r.stack == kUnknownStack) {
        found_.flags |= kReturns;
      } else {
        const Frame& frame = stacks_[r.stack];
        to_visit_.push_back({frame.return_to, frame.below});
      }
    }
    for (const Automaton::Call& call : automaton_.Calls(r.state)) {
      const bool last = automaton_.EndsRule(call.return_to) &&
                        !automaton_.HasBytes(call.return_to) &&
                        automaton_.Calls(call.return_to).empty();
      to_visit_.push_back({call.start, last ? r.stack : Push(call.return_to, r.stack)});
    }
  }
}

uint32_t StateCache::Intern() {
  const auto next = static_cast<uint32_t>(states_.size());
  const auto [it, fresh] = state_ids_.try_emplace(found_, next);
  if (fresh) {
    State state;
    state.readings = found_.readings;
    state.may_end = (found_.flags & kMayEnd) != 0;
    state.returns = (found_.flags & kReturns) != 0;
    bytes_ += static_cast<int64_t>(sizeof(State) + sizeof(Key) + 16 +
                                   2 * sizeof(Reading) * found_.readings.size() +
                                   4 * static_cast<size_t>(automaton_.classes()));
    states_.push_back(std::move(state));
    rows_.resize(rows_.size() + static_cast<size_t>(automaton_.classes()), kUnknown);
  }
  found_.readings.clear();
  found_.flags = 0;
  seen_.clear();
  return it->second;
}

uint32_t StateCache::Start() {
  Reach(automaton_.start(), kEmptyStack);
  return Intern();
}

uint32_t StateCache::NextOf(uint32_t state, int32_t byte_class) {
  const size_t cell = static_cast<size_t>(state) * static_cast<size_t>(automaton_.classes()) +
                      static_cast<size_t>(byte_class);
  if (rows_[cell] != kUnknown) return static_cast<uint32_t>(rows_[cell]);
  for (const Reading& r : states_[state].readings) {
    ++steps_;
    const int32_t next = automaton_.Next(r.state, byte_class);
    if (next != 0) Reach(next, r.stack);
  }
  const uint32_t next = Intern();
  rows_[cell] = static_cast<int32_t>(next);
  return next;
}

uint32_t StateCache::Step(uint32_t state, uint8_t byte) {
  return NextOf(state, automaton_.ClassOf(byte));
}

std::vector<int32_t> StateCache::Place(uint32_t state) const {
  const State& s = states_[state];
  std::vector<int32_t> place = {s.may_end ? 1 : 0};
  for (const Reading& r : s.readings) {
    place.push_back(r.state);
    const size_t depth_at = place.size();
    place.push_back(0);
    for (uint32_t stack = r.stack; stack != kEmptyStack; stack = stacks_[stack].below) {
      place.push_back(stacks_[stack].return_to);
      ++place[depth_at];
    }
  }
  return place;
}

uint32_t StateCache::AtPlace(absl::Span<const int32_t> place) {
  found_.flags = place[0] != 0 ? kMayEnd : 0;
  for (size_t at = 1; at < place.size();) {
    const int32_t state = place[at];
    const auto depth = static_cast<size_t>(place[at + 1]);
    at += 2 + depth;
    uint32_t stack = kEmptyStack;
    for (size_t i = 1; i <= depth; ++i) stack = Push(place[at - i], stack);
    found_.readings.push_back({state, stack});
  }
  return Intern();
}

// The same automaton states above a stack that is not known; kDead if the readings differ in
// theirs.
uint32_t StateCache::BaseOf(uint32_t state) {
  State& s = states_[state];
  if (s.base == kUnknown) {
    s.base = kNoBase;
    const bool one_stack = !s.readings.empty() && s.readings[0].stack > kUnknownStack &&
                           std::all_of(s.readings.begin(), s.readings.end(), [&](const Reading& r) {
                             return r.stack == s.readings[0].stack;
                           });
    if (one_stack) {
      for (const Reading& r : s.readings) found_.readings.push_back({r.state, kUnknownStack});
      const auto base = static_cast<int32_t>(Intern());
      states_[state].base = base;
    }
  }
  return states_[state].base == kNoBase ? kDead : static_cast<uint32_t>(states_[state].base);
}

// The subtree nodes [begin, end) below the state's own bytes; `begin` is one byte deeper than the
// last of path_ that the caller has filled.
void StateCache::Walk(uint32_t from, uint32_t begin, uint32_t end, std::vector<uint32_t>* mask,
                      std::vector<uint32_t>* escapes) {
  const auto nodes = index_.nodes();
  const auto tokens = index_.token_list();
  if (begin >= end) return;
  path_[nodes[begin].depth - 1u] = from;
  for (uint32_t i = begin; i < end;) {
    const TokenIndex::Node& node = nodes[i];
    ++steps_;
    if (spent()) return;
    const uint32_t state = NextOf(path_[node.depth - 1u], automaton_.ClassOf(node.byte));
    if (state == kDead) {
      i = node.skip;
      continue;
    }
    if (escapes != nullptr && states_[state].returns) {
      escapes->push_back(i);
      i = node.skip;
      continue;
    }
    for (uint32_t t = node.tokens; t < node.tokens_end; ++t) {
      const auto token = static_cast<uint32_t>(tokens[t]);
      (*mask)[token / 32] |= 1u << (token % 32);
    }
    path_[node.depth] = state;
    ++i;
  }
}

void StateCache::WalkEscapes(uint32_t from, absl::Span<const uint32_t> escapes,
                             std::vector<uint32_t>* mask) {
  const auto nodes = index_.nodes();
  for (const uint32_t i : escapes) {
    if (spent()) return;
    const TokenIndex::Node& node = nodes[i];
    // The first token at or below the node begins with the node's bytes.
    const absl::string_view bytes = index_.Bytes(index_.token_list()[node.tokens]);
    uint32_t state = from;
    for (size_t b = 0; b + 1 < node.depth && state != kDead; ++b) {
      state = Step(state, static_cast<uint8_t>(bytes[b]));
      ++steps_;
    }
    if (state != kDead) Walk(state, i, node.skip, mask, nullptr);
  }
}

int32_t StateCache::AddMask(std::vector<uint32_t> mask) {
  const Hash128 hash = StableHash128(mask.data(), mask.size() * sizeof(uint32_t));
  const auto next = static_cast<int32_t>(masks_.size());
  const auto [it, fresh] = mask_ids_.try_emplace(hash.low, next);
  if (!fresh && masks_[static_cast<size_t>(it->second)] == mask) return it->second;
  bytes_ += static_cast<int64_t>(mask.size() * sizeof(uint32_t)) + 64;
  masks_.push_back(std::move(mask));
  return next;
}

absl::Span<const uint32_t> StateCache::Mask(uint32_t state) {
  CHECK_NE(state, kDead);
  if (states_[state].mask < 0) {
    const auto all = static_cast<uint32_t>(index_.nodes().size());
    std::vector<uint32_t> mask(index_.mask_words(), 0);
    const uint32_t base = BaseOf(state);
    if (base == kDead) {
      Walk(state, 1, all, &mask, nullptr);
    } else {
      if (states_[base].escapes < 0) {
        std::vector<uint32_t> escapes;
        Walk(base, 1, all, &mask, &escapes);
        if (spent()) return {};
        bytes_ += static_cast<int64_t>(escapes.size() * sizeof(uint32_t)) + 64;
        states_[base].escapes = static_cast<int32_t>(escapes_.size());
        escapes_.push_back(std::move(escapes));
        states_[base].mask = AddMask(mask);
      } else {
        mask = masks_[static_cast<size_t>(states_[base].mask)];
      }
      WalkEscapes(state, escapes_[static_cast<size_t>(states_[base].escapes)], &mask);
    }
    if (spent()) return {};
    if (states_[state].may_end) {
      for (const int32_t token : index_.end_tokens()) {
        mask[static_cast<size_t>(token) / 32] |= 1u << (static_cast<uint32_t>(token) % 32);
      }
    }
    const int32_t id = AddMask(std::move(mask));
    states_[state].mask = id;
  }
  return masks_[static_cast<size_t>(states_[state].mask)];
}

void StateCache::KeepMask(uint32_t state, absl::Span<const uint32_t> mask) {
  if (states_[state].mask >= 0) return;
  CHECK_EQ(mask.size(), index_.mask_words());
  const int32_t id = AddMask(std::vector<uint32_t>(mask.begin(), mask.end()));
  states_[state].mask = id;
}

void StateCache::MarkKept() {
  kept_ = {stacks_.size(), states_.size(), masks_.size(), escapes_.size(), bytes_};
}

void StateCache::Reset() {
  stacks_.resize(kept_.stacks);
  states_.resize(kept_.states);
  masks_.resize(kept_.masks);
  escapes_.resize(kept_.escapes);
  rows_.resize(kept_.states * static_cast<size_t>(automaton_.classes()));
  rows_.shrink_to_fit();
  const auto last = static_cast<int32_t>(kept_.states);
  for (int32_t& next : rows_) {
    if (next >= last) next = kUnknown;
  }
  // A state's mask and base follow from its readings: what was noted since and is still there is
  // right.
  const auto masks = static_cast<int32_t>(kept_.masks);
  const auto escapes = static_cast<int32_t>(kept_.escapes);
  for (State& s : states_) {
    if (s.mask >= masks) s.mask = kUnknown;
    if (s.base >= last) s.base = kUnknown;
    if (s.escapes >= escapes) s.escapes = kUnknown;
  }
  absl::erase_if(stack_ids_, [&](const auto& e) { return e.second >= kept_.stacks; });
  absl::erase_if(state_ids_, [&](const auto& e) { return e.second >= kept_.states; });
  absl::erase_if(mask_ids_,
                 [&](const auto& e) { return static_cast<size_t>(e.second) >= kept_.masks; });
  bytes_ = kept_.bytes;
}

}  // namespace scoville::model
