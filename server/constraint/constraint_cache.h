// Compiles what an answer has to match, and keeps what was asked for last: clients that want
// structured output send the same schema with every request.
//
//   if (auto known = constraints->Find(spec)) return *known;
//   worker->Post(bytes, [=] { auto made = constraints->Compile(spec, abandoned); … });
//
// Failures are kept as well, for compiling the same text fails at the same step again.
//
// What is compiled belongs to one engine: its states are that engine's thread's (constraint.h), so
// an engine has a cache of its own. Here it is only made, handed on and let go.
//
// Units: bytes, steps of counted work. Ownership: borrows the tokenizer; shares what it compiled
// with the requests. Threading: any thread; Compile takes up to the timeout. Errors: of the field,
// as values.
#ifndef SCOVILLE_SERVER_CONSTRAINT_CONSTRAINT_CACHE_H_
#define SCOVILLE_SERVER_CONSTRAINT_CONSTRAINT_CACHE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "base/units.h"
#include "model/grammar/constraint.h"
#include "server/errors/service_error.h"
#include "server/runtime/mutex.h"

namespace scoville::server {

struct ConstraintOptions {
  // Of one constraint: model/grammar/compile_limits.h.
  int64_t max_states = 65'536;
  int64_t max_steps = 20'000'000;
  Bytes max_bytes = Bytes(16 << 20);    // of its tables
  Bytes cache_bytes = Bytes(16 << 20);  // of what is found while it is used
  Duration timeout = Seconds(5);        // on a machine that is too slow for the steps
  int64_t kept = 32;                    // constraints that are kept for the next request
  int64_t in_use = 256;                 // different ones that may be in use at a time
  // Of one mask that is not at hand while a request draws by it: mask_worker.h, and
  // scheduler::SchedulerOptions::mask_timeout.
  int64_t mask_steps = 8'000'000;  // about a tenth of a second
  Duration mask_timeout = Seconds(5);
};

class ConstraintCache {
 public:
  // Exactly one of them is set.
  struct Result {
    std::shared_ptr<const model::CompiledConstraint> constraint;
    std::optional<ServiceError> error;
  };

  // `now` gives engine time on any thread.
  ConstraintCache(const model::Tokenizer* tokenizer, const ConstraintOptions& options,
                  std::function<TimePoint()> now);

  // What is known of it; nothing: it has to be compiled. Precondition: spec.kind is not kNone.
  std::optional<Result> Find(const model::ConstraintSpec& spec) ABSL_LOCKS_EXCLUDED(mutex_);
  // The same, compiled if need be. `abandoned`: nobody wants it any more, whatever is returned.
  Result Compile(const model::ConstraintSpec& spec, absl::FunctionRef<bool()> abandoned)
      ABSL_LOCKS_EXCLUDED(mutex_, index_mutex_);

  const ConstraintOptions& options() const { return options_; }

 private:
  struct Entry {
    model::ConstraintSpec spec;
    Result result;
  };

  absl::StatusOr<std::shared_ptr<const model::TokenIndex>> Index()
      ABSL_LOCKS_EXCLUDED(index_mutex_);
  std::optional<ServiceError> TooManyInUse() ABSL_LOCKS_EXCLUDED(mutex_);
  void Keep(const model::ConstraintSpec& spec, const Result& result) ABSL_LOCKS_EXCLUDED(mutex_);

  const model::Tokenizer* const tokenizer_;
  const ConstraintOptions options_;
  const std::function<TimePoint()> now_;

  Mutex index_mutex_;
  std::optional<absl::StatusOr<std::shared_ptr<const model::TokenIndex>>> index_
      ABSL_GUARDED_BY(index_mutex_);

  Mutex mutex_;
  std::list<Entry> entries_ ABSL_GUARDED_BY(mutex_);  // last used first
  std::vector<std::weak_ptr<const model::CompiledConstraint>> compiled_ ABSL_GUARDED_BY(mutex_);
};

// The request's field that `kind` is read from ("constraint.regex").
const char* ConstraintField(model::ConstraintSpec::Kind kind);

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_CONSTRAINT_CONSTRAINT_CACHE_H_
