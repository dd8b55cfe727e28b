// States of a constraint at run time, and their masks, each found once.
//
// A state is what the bytes so far may mean: readings (automaton state, stack of the states that
// called), in the order of their finding. More than kMaxReadings at once are cut to the first of
// them: the others' texts are then no longer offered, and since every reading can be finished on
// its own, what is offered stays right. Stacks and states are kept by value, once each.
//
// A mask is a walk of the token tree. Where all readings have one stack, the walk is done for any
// stack (base), stopping at the bytes that return below it; the mask of a certain stack is the
// base's and a walk from those few places. So the inside of a string costs one long walk, not one a
// depth.
//
// Ids are of one cache and die with Reset. Ownership: holds the automaton's and the index's
// addresses. Threading: one thread. Errors: none. Determinism: masks and acceptance are functions
// of the readings; the cache decides about time alone.
#ifndef SCOVILLE_MODEL_GRAMMAR_STATE_CACHE_H_
#define SCOVILLE_MODEL_GRAMMAR_STATE_CACHE_H_

#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"
#include "model/grammar/automaton.h"
#include "model/grammar/token_index.h"

namespace scoville::model {

class StateCache {
 public:
  static constexpr size_t kMaxReadings = 64;
  static constexpr uint32_t kDead = 0;

  StateCache(const Automaton& automaton, const TokenIndex& index);

  uint32_t Start();
  uint32_t Step(uint32_t state, uint8_t byte);
  bool MayEnd(uint32_t state) const { return states_[state].may_end; }
  // There are bytes to go on with.
  bool GoesOn(uint32_t state) const { return !states_[state].readings.empty(); }

  // A state in full, and back to its id in this or another cache of the same automaton.
  std::vector<int32_t> Place(uint32_t state) const;
  uint32_t AtPlace(absl::Span<const int32_t> place);

  bool HasMask(uint32_t state) const { return states_[state].mask >= 0; }
  absl::Span<const uint32_t> Mask(uint32_t state);
  void KeepMask(uint32_t state, absl::Span<const uint32_t> mask);

  // A walk stops beyond so many steps() or bytes() in all. Mask() then returns nothing and notes
  // none; the states it has met stay until Reset.
  void Limit(int64_t most_steps, int64_t most_bytes) {
    most_steps_ = most_steps;
    most_bytes_ = most_bytes;
  }
  void Unlimit() { Limit(INT64_MAX, INT64_MAX); }
  bool spent() const { return steps_ > most_steps_ || bytes_ > most_bytes_; }

  int64_t bytes() const { return bytes_; }
  int64_t steps() const { return steps_; }  // tree nodes and transitions looked at so far
  int64_t states() const { return static_cast<int64_t>(states_.size()); }
  int64_t masks() const { return static_cast<int64_t>(masks_.size()); }

  // What is there now is kept by Reset. Takes constant time.
  void MarkKept();
  int64_t kept_bytes() const { return kept_.bytes; }
  void Reset();

 private:
  struct Reading {
    int32_t state = 0;  // of the automaton
    uint32_t stack = 0;

    friend bool operator==(const Reading&, const Reading&) = default;
    template <typename H>
    friend H AbslHashValue(H h, const Reading& r) {
      return H::combine(std::move(h), r.state, r.stack);
    }
  };
  using Readings = std::vector<Reading>;
  struct Key {
    Readings readings;
    uint8_t flags = 0;

    friend bool operator==(const Key&, const Key&) = default;
    template <typename H>
    friend H AbslHashValue(H h, const Key& k) {
      return H::combine(std::move(h), k.readings, k.flags);
    }
  };
  struct State {
    Readings readings;     // that go on by a byte
    bool may_end = false;  // of all
    bool returns = false;  // below a stack that is not known
    int32_t mask = -1;     // in masks_
    int32_t base = -1;     // a state, kNoBase, or not yet known
    int32_t escapes = -1;  // of a base: in escapes_
  };
  struct Frame {
    int32_t return_to = 0;
    uint32_t below = 0;
  };
  static constexpr uint32_t kEmptyStack = 0;
  static constexpr uint32_t kUnknownStack = 1;
  static constexpr int32_t kUnknown = -1;
  static constexpr int32_t kNoBase = -2;

  uint32_t Push(int32_t return_to, uint32_t below);
  void Reach(int32_t state, uint32_t stack);  // adds to found_
  uint32_t Intern();                          // what was found
  uint32_t NextOf(uint32_t state, int32_t byte_class);
  uint32_t BaseOf(uint32_t state);
  void Walk(uint32_t from, uint32_t begin, uint32_t end, std::vector<uint32_t>* mask,
            std::vector<uint32_t>* escapes);
  void WalkEscapes(uint32_t from, absl::Span<const uint32_t> escapes, std::vector<uint32_t>* mask);
  int32_t AddMask(std::vector<uint32_t> mask);

  const Automaton& automaton_;
  const TokenIndex& index_;
  std::vector<Frame> stacks_;
  std::deque<State> states_;
  std::vector<int32_t> rows_;  // by state and class; kUnknown
  std::deque<std::vector<uint32_t>> masks_;
  std::deque<std::vector<uint32_t>> escapes_;  // by base: tree nodes where it returns
  // Looked up only, never walked in an order that matters.
  absl::flat_hash_map<std::pair<int32_t, uint32_t>, uint32_t> stack_ids_;
  absl::flat_hash_map<Key, uint32_t> state_ids_;
  absl::flat_hash_map<uint64_t, int32_t> mask_ids_;  // by hash of the content
  int64_t bytes_ = 0;
  int64_t steps_ = 0;
  int64_t most_steps_ = INT64_MAX;
  int64_t most_bytes_ = INT64_MAX;

  // Of the state that is being found.
  Key found_;
  Readings seen_;
  Readings to_visit_;

  struct Kept {
    size_t stacks = 0, states = 0, masks = 0, escapes = 0;
    int64_t bytes = 0;
  };
  Kept kept_;
  std::vector<uint32_t> path_;  // states of a walk, by depth
};

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_GRAMMAR_STATE_CACHE_H_
