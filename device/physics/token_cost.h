// The part of a step's cost that depends on its number of tokens alone: matrix products,
// activations, experts and collectives of all layers. Products take the profile's operator form one
// by one where it has their constants (operator_cost.h), else all of a group overlap as one.
//
// Units: as StepTerm. Ownership: plain values. Threading: pure. Errors: tokens below one are a
// CHECK failure.
#ifndef SCOVILLE_DEVICE_PHYSICS_TOKEN_COST_H_
#define SCOVILLE_DEVICE_PHYSICS_TOKEN_COST_H_

#include <vector>

#include "device/physics/model_timing.h"
#include "device/physics/operator_cost.h"
#include "device/physics/step_cost.h"

namespace scoville::device {

// Work that overlaps by itself, over all layers that have it; compute at the top clock.
struct GroupCost {
  double compute_seconds = 0;
  double memory_seconds = 0;
  double overlap = 1;
};

struct TokenCost {
  StepTerm linear;
  StepTerm experts;
  std::vector<GroupCost> roofs;
  double latency_seconds = 0;  // fixed part of the products
  double link_bytes = 0;       // per chip
  double link_seconds = 0;     // bytes not hidden, and latencies
  double weight_bytes = 0;     // per chip, touched
  double flops_model = 0;      // all chips
  double ideal_seconds = 0;    // flops_model at the peaks
};

TokenCost PriceTokens(const Profile& profile, const ModelTiming& model, int64_t tokens);

// The head over `rows` rows that sample.
struct HeadCost {
  StepTerm term;
  double overlap = 1;
  double serial_seconds = 0;  // follows the clock, as the term's compute, of which it is a part
  double latency_seconds = 0;

  double Seconds(double slowdown) const {
    return serial_seconds * slowdown + Overlap((term.compute_seconds - serial_seconds) * slowdown,
                                               term.memory_seconds, overlap);
  }
};

HeadCost PriceHead(const Profile& profile, const ModelTiming& model, int64_t rows);

// How many of `experts` experts `tokens` tokens reach that choose `chosen` each, by chance:
// E (1 - (1 - k / E)^n). Repeated squaring, so the same bits everywhere.
double ExpectedExperts(double experts, double chosen, int64_t tokens);

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_PHYSICS_TOKEN_COST_H_
