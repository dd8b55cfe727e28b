#include "server/constraint/constraint_cache.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace scoville::server {

namespace {

using model::ConstraintSpec;

ServiceError ErrorOf(const absl::Status& status, const ConstraintSpec& spec, Duration timeout) {
  const char* const field = ConstraintField(spec.kind);
  if (status.code() == absl::StatusCode::kCancelled) {
    return InvalidField(field, absl::StrCat("compiling it takes longer than ", ToSeconds(timeout),
                                            " s: ask for less (smaller repetitions, lengths and "
                                            "counts, fewer properties)"));
  }
  ServiceError error = InvalidField(field, status.message());
  if (status.code() == absl::StatusCode::kResourceExhausted) {
    error.metadata.emplace_back("limit", "constraint");
  }
  return error;
}

}  // namespace

const char* ConstraintField(ConstraintSpec::Kind kind) {
  switch (kind) {
    case ConstraintSpec::Kind::kJsonSchema:
      return "constraint.json_schema";
    case ConstraintSpec::Kind::kJsonObject:
      return "constraint.json_object";
    case ConstraintSpec::Kind::kRegex:
      return "constraint.regex";
    case ConstraintSpec::Kind::kChoice:
      return "constraint.choices";
    case ConstraintSpec::Kind::kNone:
      break;
  }
  return "constraint";
}

ConstraintCache::ConstraintCache(const model::Tokenizer* tokenizer,
                                 const ConstraintOptions& options, std::function<TimePoint()> now)
    : tokenizer_(tokenizer), options_(options), now_(std::move(now)) {}

std::optional<ConstraintCache::Result> ConstraintCache::Find(const ConstraintSpec& spec) {
  CHECK(spec.kind != ConstraintSpec::Kind::kNone);
  MutexLock lock(&mutex_);
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const Entry& entry) { return entry.spec == spec; });
  if (found == entries_.end()) {
    return std::nullopt;
  }
  entries_.splice(entries_.begin(), entries_, found);
  return entries_.front().result;
}

ConstraintCache::Result ConstraintCache::Compile(const ConstraintSpec& spec,
                                                 absl::FunctionRef<bool()> abandoned) {
  // Another request may have brought it while this one waited for its turn.
  if (std::optional<Result> known = Find(spec)) {
    return *std::move(known);
  }
  if (std::optional<ServiceError> error = TooManyInUse()) {
    return {nullptr, std::move(error)};
  }
  const auto index = Index();
  if (!index.ok()) {
    return {nullptr, UnsupportedFeature("constraint", index.status().message())};
  }
  const TimePoint end = now_() + options_.timeout;
  const auto enough = [&] { return abandoned() || now_() >= end; };
  model::CompileLimits limits{.max_states = options_.max_states,
                              .max_bytes = options_.max_bytes.value(),
                              .max_steps = options_.max_steps,
                              .cache_bytes = options_.cache_bytes.value(),
                              .cancelled = enough};
  auto compiled = model::CompileConstraint(spec, *index, limits);
  const bool cancelled = compiled.status().code() == absl::StatusCode::kCancelled;
  Result result;
  if (compiled.ok()) {
    result.constraint = *std::move(compiled);
  } else {
    result.error = ErrorOf(compiled.status(), spec, options_.timeout);
  }
  if (!cancelled) {
    Keep(spec, result);
  }
  return result;
}

absl::StatusOr<std::shared_ptr<const model::TokenIndex>> ConstraintCache::Index() {
  MutexLock lock(&index_mutex_);
  if (!index_) {
    index_ = model::TokenIndex::Create(*tokenizer_);
  }
  return *index_;
}

// Each may hold as much memory as the options say, for as long as a request has it.
std::optional<ServiceError> ConstraintCache::TooManyInUse() {
  MutexLock lock(&mutex_);
  compiled_.erase(std::remove_if(compiled_.begin(), compiled_.end(),
                                 [](const auto& constraint) { return constraint.expired(); }),
                  compiled_.end());
  if (static_cast<int64_t>(compiled_.size()) < options_.in_use) {
    return std::nullopt;
  }
  // What no request has is let go first.
  entries_.clear();
  const int64_t used = std::count_if(compiled_.begin(), compiled_.end(),
                                     [](const auto& constraint) { return !constraint.expired(); });
  if (used < options_.in_use) {
    return std::nullopt;
  }
  ServiceError error;
  error.reason = ErrorReason::kQueueFull;
  error.message = absl::StrCat("live requests have ", used, " different constraints, the limit is ",
                               options_.in_use);
  error.metadata.emplace_back("limit", absl::StrCat(options_.in_use));
  error.retry_after = Seconds(1);
  return error;
}

void ConstraintCache::Keep(const ConstraintSpec& spec, const Result& result) {
  std::list<Entry> dropped;  // freed without the lock
  MutexLock lock(&mutex_);
  if (result.constraint != nullptr) {
    compiled_.push_back(result.constraint);
  }
  entries_.push_front({spec, result});
  while (static_cast<int64_t>(entries_.size()) > options_.kept) {
    dropped.splice(dropped.begin(), entries_, std::prev(entries_.end()));
  }
}

}  // namespace scoville::server
