// Prices one forward pass: how long it takes, what it waits for, what it moves and multiplies.
//
// A pure function of the profile, the model, the step's sums and the clock; no loop over sequences,
// only + - * / and sqrt, so the same bits come out on every machine. Formulas: README.md here.
//
// With operator tables the pass takes what they say at the top clock, and at another one what they
// say times the ratio that the formulas have; its causes keep the formulas' proportions. The host,
// FLOPs, bytes and energy stay with the formulas, collectives too unless they are in the tables.
//
// Units: Duration in ns, rounded once per step; FLOPs over all chips of the device, bytes per chip,
// seconds as doubles inside StepTerm. Ownership: plain values; StepPricer borrows the profile.
// Threading: PriceStep none, a StepPricer one thread. Errors: a shape without tokens or a clock
// state out of range is a CHECK failure.
#ifndef SCOVILLE_DEVICE_PHYSICS_STEP_COST_H_
#define SCOVILLE_DEVICE_PHYSICS_STEP_COST_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "base/units.h"
#include "device/physics/model_timing.h"
#include "device/physics/profile.h"
#include "device/physics/step_shape.h"

namespace scoville::device {

// Where a step's time went. The parts sum to the step's duration exactly.
struct StallTimes {
  Duration host;      // the host's part before the pass
  Duration compute;   // matrix units busy
  Duration memory;    // what HBM adds to compute, after overlap
  Duration comm;      // collectives that are not hidden
  Duration fixed;     // issue latency and a change of clock
  Duration throttle;  // what a clock below the wanted one adds to all of these

  Duration total() const { return host + compute + memory + comm + fixed + throttle; }
  StallTimes& operator+=(const StallTimes& o) {
    host += o.host;
    compute += o.compute;
    memory += o.memory;
    comm += o.comm;
    fixed += o.fixed;
    throttle += o.throttle;
    return *this;
  }
};

// The clock of a step: a state of Profile::pstates.
struct StepClock {
  int state = 0;
  int wanted = 0;         // the state before the cap had its say; >= state
  bool switched = false;  // the state differs from the step's before
};

// One kind of work in a step.
struct StepTerm {
  double flops_executed = 0;   // all chips, rounded up to tiles
  double bytes_per_chip = 0;   // HBM
  double compute_seconds = 0;  // t_c at the step's clock
  double memory_seconds = 0;   // t_m
  MathType math = MathType::kBf16;
};

struct StepPrice {
  Duration duration;  // host_gap + forward
  Duration host_gap;  // the phase before the pass, a change of clock included
  Duration forward;
  StallTimes stalls;

  StepTerm linear;   // products that every token runs through, and activations
  StepTerm experts;  // routed experts
  StepTerm attention[kStepRoles];
  StepTerm head;
  double link_bytes_per_chip = 0;
  double forward_seconds = 0;  // before rounding
  double comm_share = 0;       // of the forward phase

  double flops_model = 0;     // all chips, as the model needs
  double flops_executed = 0;  // all chips, as the tiles run
  Bytes hbm_bytes;            // all chips
  Bytes link_bytes;           // all chips, sent
  double mfu = 0;             // model FLOPs over the peak at the top clock
  double mbu = 0;             // weights touched and KV moved over the peak bandwidth
};

class OperatorTables;  // tables/operator_tables.h
struct HeadCost;       // token_cost.h

StepPrice PriceStep(const Profile& profile, const ModelTiming& model, const StepShape& shape,
                    StepClock clock, const OperatorTables* tables = nullptr);

// At `state`, wanted and unchanged.
inline StepPrice PriceStep(const Profile& profile, const ModelTiming& model, const StepShape& shape,
                           int state) {
  return PriceStep(profile, model, shape, StepClock{state, state, false});
}

// The same prices, faster: what depends on the number of tokens alone is remembered per number.
// One for all devices of a deployment.
class StepPricer {
 public:
  // `max_tokens` bounds what is remembered; larger steps are priced from scratch.
  // `tables` (may be nullptr) are borrowed.
  StepPricer(const Profile* profile, const ModelTiming& model, int64_t max_tokens,
             const OperatorTables* tables = nullptr);
  ~StepPricer();
  StepPricer(const StepPricer&) = delete;
  StepPricer& operator=(const StepPricer&) = delete;

  StepPrice Price(const StepShape& shape, StepClock clock);

  const Profile& profile() const { return *profile_; }
  const ModelTiming& model() const { return model_; }

 private:
  struct Entry;

  const Entry& At(int64_t tokens);
  const HeadCost& Head(int64_t rows);

  const Profile* const profile_;
  const ModelTiming model_;
  const OperatorTables* const tables_;
  std::vector<std::unique_ptr<Entry>> entries_;   // by tokens; nullptr: not asked for yet
  std::vector<std::unique_ptr<HeadCost>> heads_;  // by rows, the same way
};

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_PHYSICS_STEP_COST_H_
