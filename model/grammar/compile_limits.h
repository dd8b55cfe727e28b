// What the compilation of one constraint may cost, and the counter that holds it to that.
//
// A step is one unit of counted work (a byte parsed, a node visited, a table entry filled), so a
// budget ends a compilation at the same place on every machine; a clock would not. Errors:
// kResourceExhausted names the bound that was met, kCancelled that the caller has lost interest.
//
// Threading: a Budget belongs to one compilation.
#ifndef SCOVILLE_MODEL_GRAMMAR_COMPILE_LIMITS_H_
#define SCOVILLE_MODEL_GRAMMAR_COMPILE_LIMITS_H_

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace scoville::model {

inline bool NeverCancelled() { return false; }

struct CompileLimits {
  int64_t max_states = 65'536;       // of all rules, and of the masks made beforehand
  int64_t max_bytes = 64ll << 20;    // of the tables and of what is needed to make them
  int64_t max_steps = 20'000'000;    // about a second
  int64_t mask_steps = 2'000'000;    // of max_steps, spent at most on masks made beforehand
  int64_t cache_bytes = 64ll << 20;  // what states and masks found later may take
  absl::FunctionRef<bool()> cancelled = NeverCancelled;  // asked every few thousand steps
};

class Budget {
 public:
  explicit Budget(const CompileLimits& limits) : limits_(limits) {}

  absl::Status Steps(int64_t steps) {
    steps_ += steps;
    if (steps_ > limits_.max_steps) return Exceeded("steps", limits_.max_steps);
    if (steps_ >= next_question_) {
      next_question_ = steps_ + 4096;
      if (limits_.cancelled()) return absl::CancelledError("compiling the constraint: cancelled");
    }
    return absl::OkStatus();
  }
  absl::Status Bytes(int64_t bytes) {
    bytes_ += bytes;
    return bytes_ > limits_.max_bytes ? Exceeded("bytes", limits_.max_bytes) : absl::OkStatus();
  }
  absl::Status States(int64_t states) {
    states_ += states;
    return states_ > limits_.max_states ? Exceeded("states", limits_.max_states) : absl::OkStatus();
  }

  int64_t steps() const { return steps_; }
  int64_t bytes() const { return bytes_; }
  int64_t states() const { return states_; }
  const CompileLimits& limits() const { return limits_; }

 private:
  static absl::Status Exceeded(absl::string_view what, int64_t limit) {
    return absl::ResourceExhaustedError(
        absl::StrCat("compiling the constraint takes more than ", limit, " ", what,
                     ": ask for less (smaller repetitions, lengths and counts, fewer properties)"));
  }

  const CompileLimits limits_;
  int64_t steps_ = 0;
  int64_t bytes_ = 0;
  int64_t states_ = 0;
  int64_t next_question_ = 0;
};

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_GRAMMAR_COMPILE_LIMITS_H_
