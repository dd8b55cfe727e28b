// The seam by which the scheduler has token masks computed elsewhere than on the engine thread.
//
// A mask that has been met before is at hand; a new one takes up to milliseconds, in which no
// device could be planned. So it is made by whoever implements this, while the devices compute, and
// only the sequence that draws by it waits.
//
// Ownership: outlives the scheduler that asks; owns the state and `done` until it has called it.
// Threading: Make on the engine thread; the state may then be read on any one thread; `done` runs
// on the engine thread, and is destroyed on any. Errors: as in Done.
#ifndef SCOVILLE_SCHEDULER_MASK_MAKER_H_
#define SCOVILLE_SCHEDULER_MASK_MAKER_H_

#include <optional>

#include "absl/functional/any_invocable.h"
#include "model/grammar/constraint.h"

namespace scoville::scheduler {

class MaskMaker {
 public:
  // What state.ComputeMask() says; nothing if that takes more work than the maker allows.
  using Done = absl::AnyInvocable<void(std::optional<model::TokenMask>)>;

  virtual ~MaskMaker() = default;

  // Calls `done` once, after Make has returned. A maker that is being stopped may drop it.
  virtual void Make(model::ConstraintState state, Done done) = 0;
};

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_MASK_MAKER_H_
