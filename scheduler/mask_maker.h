// The seam by which the scheduler has token masks computed elsewhere than on the engine thread.
//
// A mask that has been met before is at hand; a new one takes up to milliseconds, in which no
// device could be planned. So it is made by whoever implements this, while the devices compute, and
// only the sequence that draws by it waits.
//
// Ownership: outlives the scheduler that asks; owns the state and both callbacks until it has
// called them. Threading: Make on the engine thread; the state may then be read on any one thread;
// the callbacks run on the engine thread, and are destroyed on any. Errors: as in Done.
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
  // The work has begun: until then it waited for others', which is no fault of its own.
  using Begun = absl::AnyInvocable<void()>;

  virtual ~MaskMaker() = default;

  // Calls `begun` once, perhaps within Make, and then `done` once, after Make has returned. A maker
  // that is being stopped may drop them.
  virtual void Make(model::ConstraintState state, Begun begun, Done done) = 0;
};

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_MASK_MAKER_H_
