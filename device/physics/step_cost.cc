#include "device/physics/step_cost.h"

#include <algorithm>
#include <cmath>

#include "base/status_macros.h"

namespace scoville::device {

namespace {

constexpr double kNanosecondsPerSecond = 1e9;

// Seconds of a step by cause, in the order of StallTimes.
struct Seconds {
  double host = 0;
  double compute = 0;
  double memory = 0;
  double comm = 0;
  double fixed = 0;

  // The one order in which the parts are summed: durations and stalls must agree to the last bit.
  double total() const { return host + compute + memory + comm + fixed; }
};

double Padded(int64_t rows, double tile) {
  return std::ceil(static_cast<double>(rows) / tile) * tile;
}

// Everything about a step that does not depend on its clock; compute_seconds at the top clock.
struct Work {
  StepTerm linear;
  StepTerm attention[kStepRoles];
  StepTerm head;
  double link_bytes = 0;
  double weight_and_kv_bytes = 0;  // per chip, for MBU
  double flops_model = 0;
  double ideal_seconds = 0;  // model FLOPs at the peaks, for MFU
};

void SetTimes(const Profile& profile, const ModelTiming& model, MathType math, StepTerm* term) {
  const double rate =
      static_cast<double>(model.chips) * profile.compute_efficiency.value * profile.Peak(math);
  term->math = math;
  term->compute_seconds = term->flops_executed / rate;
  term->memory_seconds =
      term->bytes_per_chip / (profile.bandwidth_efficiency.value * profile.hbm_bandwidth.value);
}

Work Measure(const Profile& profile, const ModelTiming& model, const StepShape& shape) {
  const double chips = static_cast<double>(model.chips);
  const double tile = profile.row_tile.value;
  const int64_t n = shape.total_tokens();
  const double tokens = static_cast<double>(n);
  Work w;
  const auto add_model_flops = [&](double flops, MathType math) {
    w.flops_model += flops;
    w.ideal_seconds += flops / (chips * profile.Peak(math));
  };

  const double layer_bytes = model.layer_parameters * model.weight_bytes_per_parameter / chips;
  w.linear.flops_executed = 2.0 * model.layer_parameters * Padded(n, tile);
  w.linear.bytes_per_chip = layer_bytes + model.activation_bytes_per_token * tokens;
  SetTimes(profile, model, model.linear_math, &w.linear);
  add_model_flops(2.0 * model.layer_parameters * tokens, model.linear_math);
  w.weight_and_kv_bytes = layer_bytes;

  for (int role = 0; role < kStepRoles; ++role) {
    StepTerm& term = w.attention[role];
    term.flops_executed =
        model.attention_flops_per_pair * static_cast<double>(shape.attention_pairs[role]);
    term.bytes_per_chip = model.kv_row_bytes_per_chip *
                          static_cast<double>(shape.kv_rows_read[role] + shape.tokens[role]);
    SetTimes(profile, model, model.attention_math, &term);
    add_model_flops(term.flops_executed, model.attention_math);
    w.weight_and_kv_bytes += term.bytes_per_chip;
  }

  if (shape.output_rows > 0) {
    w.head.flops_executed = 2.0 * model.head_parameters * Padded(shape.output_rows, tile);
    w.head.bytes_per_chip = model.head_parameters * model.weight_bytes_per_parameter / chips;
    add_model_flops(2.0 * model.head_parameters * static_cast<double>(shape.output_rows),
                    model.linear_math);
    w.weight_and_kv_bytes += w.head.bytes_per_chip;
  }
  SetTimes(profile, model, model.linear_math, &w.head);
  w.link_bytes = model.link_bytes_per_token * tokens;
  return w;
}

// Where the time goes at a clock `slowdown` times slower than the top one.
Seconds TimesAt(const Profile& profile, const ModelTiming& model, const StepShape& shape,
                const Work& w, double slowdown, bool switched) {
  const double p = profile.overlap.value;
  const auto roof = [p, slowdown](const StepTerm& t) {
    return Overlap(t.compute_seconds * slowdown, t.memory_seconds, p);
  };
  double attention = roof(w.attention[0]) + roof(w.attention[1]);
  if (shape.tokens[0] > 0 && shape.tokens[1] > 0) {
    attention = attention * profile.mix_penalty.value;
  }
  const double busy = roof(w.linear) + attention + roof(w.head);

  Seconds s;
  s.host =
      profile.host_step.value + profile.host_sequence.value * static_cast<double>(shape.sequences);
  s.compute = (w.linear.compute_seconds + w.attention[0].compute_seconds +
               w.attention[1].compute_seconds + w.head.compute_seconds) *
              slowdown;
  s.memory = std::max(0.0, busy - s.compute);
  s.comm = (1.0 - profile.hidden_collectives.value) * w.link_bytes / model.link_bandwidth +
           profile.hop_latency.value * profile.all_reduce_hops.value *
               static_cast<double>(model.collectives);
  const double share = profile.issue_fixed_share.value;
  s.fixed = static_cast<double>(model.layers) * profile.issue_latency.value *
            (share + (1.0 - share) * slowdown);
  if (switched) {
    s.fixed += profile.clock_switch.value;
  }
  return s;
}

Duration Round(double seconds) { return Duration(std::llround(seconds * kNanosecondsPerSecond)); }

// Cuts the integer duration at the rounded running sums of the parts; what is left is throttling.
StallTimes Cut(const Seconds& s, Duration duration) {
  StallTimes stalls;
  double sum = 0;
  Duration last;
  const auto next = [&](double part) {
    sum += part;
    const Duration edge = std::min(Round(sum), duration);
    const Duration share = edge - last;
    last = edge;
    return share;
  };
  stalls.host = next(s.host);
  stalls.compute = next(s.compute);
  stalls.memory = next(s.memory);
  stalls.comm = next(s.comm);
  stalls.fixed = next(s.fixed);
  stalls.throttle = duration - last;
  return stalls;
}

void CheckInputs(const Profile& profile, const StepShape& shape, StepClock clock) {
  CHECK_GE(clock.state, 0);
  CHECK_LE(clock.state, clock.wanted);
  CHECK_LE(clock.wanted, profile.top_state());
  CHECK_GE(shape.sequences, 1);
  CHECK_GE(shape.total_tokens(), shape.sequences);
  CHECK_GE(shape.output_rows, 0);
  for (int role = 0; role < kStepRoles; ++role) {
    CHECK_GE(shape.tokens[role], 0);
    CHECK_GE(shape.attention_pairs[role], shape.tokens[role]);
    CHECK_GE(shape.kv_rows_read[role], 0);
  }
}

}  // namespace

double Overlap(double x, double y, double p) {
  if (p == 1) {
    return x + y;
  }
  if (p == 2) {
    return std::sqrt(x * x + y * y);
  }
  const double high = std::max(x, y);
  if (p != 4 || high == 0) {
    return high;  // p is infinite, or there is nothing to do
  }
  const double ratio = std::min(x, y) / high;
  const double square = ratio * ratio;
  return high * std::sqrt(std::sqrt(1.0 + square * square));
}

StepPrice PriceStep(const Profile& profile, const ModelTiming& model, const StepShape& shape,
                    StepClock clock) {
  CheckInputs(profile, shape, clock);
  const Work w = Measure(profile, model, shape);
  const double slowdown = profile.pstates[clock.state].slowdown;
  const Seconds s = TimesAt(profile, model, shape, w, slowdown, clock.switched);
  const double switching = clock.switched ? profile.clock_switch.value : 0.0;
  const double chips = static_cast<double>(model.chips);

  StepPrice price;
  price.duration = Round(s.total());
  price.host_gap = std::min(Round(s.host + switching), price.duration);
  price.forward = price.duration - price.host_gap;
  price.stalls = Cut(clock.wanted == clock.state
                         ? s
                         : TimesAt(profile, model, shape, w, profile.pstates[clock.wanted].slowdown,
                                   clock.switched),
                     price.duration);
  price.linear = w.linear;
  price.attention[0] = w.attention[0];
  price.attention[1] = w.attention[1];
  price.head = w.head;
  for (StepTerm* term : {&price.linear, &price.attention[0], &price.attention[1], &price.head}) {
    term->compute_seconds *= slowdown;
    price.flops_executed += term->flops_executed;
  }
  price.link_bytes_per_chip = w.link_bytes;
  price.forward_seconds = s.compute + s.memory + s.comm + (s.fixed - switching);
  price.comm_share = price.forward_seconds > 0 ? s.comm / price.forward_seconds : 0.0;
  price.flops_model = w.flops_model;
  const double hbm = w.linear.bytes_per_chip + w.attention[0].bytes_per_chip +
                     w.attention[1].bytes_per_chip + w.head.bytes_per_chip;
  price.hbm_bytes = Bytes(std::llround(hbm * chips));
  price.link_bytes = Bytes(std::llround(w.link_bytes * chips));
  const double seconds = s.total();
  price.mfu = seconds > 0 ? w.ideal_seconds / seconds : 0.0;
  price.mbu = seconds > 0 ? w.weight_and_kv_bytes / (seconds * profile.hbm_bandwidth.value) : 0.0;
  return price;
}

}  // namespace scoville::device
