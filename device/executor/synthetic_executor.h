// Tokens without a model: a deterministic draw from (request seed, position), for models too large
// for the host.
//
// Ownership: borrows the list of tokens it draws from. Threading: engine thread only. Errors: none.
#ifndef SCOVILLE_DEVICE_EXECUTOR_SYNTHETIC_EXECUTOR_H_
#define SCOVILLE_DEVICE_EXECUTOR_SYNTHETIC_EXECUTOR_H_

#include <cstdint>
#include <vector>

#include "device/executor/executor.h"

namespace scoville::device {

class SyntheticExecutor final : public Executor {
 public:
  // `drawable`: the tokens that may come out (not empty). Borrowed.
  explicit SyntheticExecutor(const std::vector<int32_t>* drawable) : drawable_(drawable) {}

  // Calls `done` before it returns.
  // The token of a sequence at `position`, if nothing is suppressed or masked there.
  static int32_t TokenAt(const std::vector<int32_t>& drawable, uint64_t seed, int64_t position);

  void Execute(absl::Span<const SequenceStep> work, Done done) override;

 private:
  // The token after the first known() + draw ones.
  int32_t Draw(const SequenceStep& step, int64_t draw) const;

  const std::vector<int32_t>* const drawable_;
};

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_EXECUTOR_SYNTHETIC_EXECUTOR_H_
