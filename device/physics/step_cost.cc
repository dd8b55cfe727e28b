#include "device/physics/step_cost.h"

#include <algorithm>
#include <cmath>

#include "base/status_macros.h"
#include "device/physics/operator_cost.h"
#include "device/physics/tables/operator_tables.h"
#include "device/physics/token_cost.h"

namespace scoville::device {

namespace {

constexpr double kNanosecondsPerSecond = 1e9;
// Of a value that chips reduce: 16 bits whatever the products take.
constexpr double kResidualBytes = 2.0;

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

// Everything about a step that does not depend on its clock; compute_seconds at the top clock.
struct Work {
  const TokenCost* tokens = nullptr;
  StepTerm attention[kStepRoles];
  double overlap[kStepRoles] = {1, 1};
  bool one_launch = false;       // both roles are one call of attention, in every layer
  double attention_latency = 0;  // of a layer, mean
  const HeadCost* head = nullptr;
  double skew_seconds = 0;         // waiting for the longest context among the decodes
  double weight_and_kv_bytes = 0;  // per chip, for MBU
  double flops_model = 0;
  double ideal_seconds = 0;  // model FLOPs at the peaks, for MFU
};

StepTerm PriceAttention(const Profile& profile, const ModelTiming& model, const StepShape& shape,
                        int role) {
  const double full = static_cast<double>(model.full_layers);
  const double windowed = static_cast<double>(model.windowed_layers);
  const auto count = [](int64_t value) { return static_cast<double>(value); };
  StepTerm term;
  term.math = model.attention_math;
  term.flops_executed = model.flops_per_pair[role] * (full * count(shape.attention_pairs[role]) +
                                                      windowed * count(shape.windowed_pairs[role]));
  if (role == static_cast<int>(StepRole::kPrefill)) {
    term.flops_executed +=
        model.flops_per_expanded * (full + windowed) * count(shape.expanded_rows);
  }
  const double written = (full + windowed) * count(shape.tokens[role]);
  term.bytes_per_chip =
      model.kv_row_bytes_per_chip * (full * count(shape.kv_rows_read[role]) +
                                     windowed * count(shape.windowed_rows_read[role]) + written);
  term.compute_seconds =
      term.flops_executed / (static_cast<double>(model.chips) * profile.attention_efficiency.value *
                             profile.Peak(model.attention_math));
  term.memory_seconds = term.bytes_per_chip / (profile.attention_bandwidth_efficiency.value *
                                               profile.hbm_bandwidth.value);
  return term;
}

// The operator form's times of one kind of layer, `layers` of them. Windows clip the contexts.
struct LayerSums {
  double layers = 0;
  PrefillSums prompts;
  DecodeSums decodes;
};

LayerSums SumsOf(const ModelTiming& model, const StepShape& shape, bool windowed) {
  const int prefill = static_cast<int>(StepRole::kPrefill);
  const int decode = static_cast<int>(StepRole::kDecode);
  const auto count = [](int64_t value) { return static_cast<double>(value); };
  const auto longest = [&](int64_t tokens) {
    const int64_t clipped = windowed ? std::min(tokens, model.rules.window) : tokens;
    return std::ceil(count(clipped) / kKvTile);
  };
  const double share = model.sequences_share;
  LayerSums s;
  s.layers = count(windowed ? model.windowed_layers : model.full_layers);
  s.prompts.tokens = share * count(shape.tokens[prefill]);
  s.prompts.cached =
      share *
      count(windowed ? std::min(shape.expanded_rows, shape.sequences[prefill] * model.rules.window)
                     : shape.expanded_rows);
  s.prompts.tiles =
      share * count(windowed ? shape.windowed_tiles[prefill] : shape.kv_tiles[prefill]);
  s.prompts.longest_rows = longest(shape.longest_prompt) * kKvTile;
  s.prompts.items = share * count(shape.items);
  s.prompts.item_rows = share * count(windowed ? shape.windowed_item_rows : shape.item_rows) /
                        (2.0 * count(model.rules.group_heads));
  s.decodes.sequences = share * count(shape.sequences[decode]);
  // Sums that were estimated rather than added up may lack the tiles.
  s.decodes.tiles = share * (windowed ? count(shape.windowed_tiles[decode])
                                      : std::max(count(shape.kv_tiles[decode]),
                                                 count(shape.attention_pairs[decode]) / kKvTile));
  s.decodes.longest_tiles = longest(shape.longest_decode + 1);
  return s;
}

void AddLayers(const OperatorTime& t, double layers, double all_layers, int role, Work* w) {
  w->attention[role].bytes_per_chip += layers * t.bytes;
  w->attention[role].compute_seconds += layers * t.compute_seconds;
  w->attention[role].memory_seconds += layers * t.memory_seconds;
  w->attention_latency += layers * t.latency_seconds / all_layers;
  w->overlap[role] = t.overlap;
}

// Puts the operator form in place of the simple one for the roles that the profile has constants
// for; FLOPs stay.
void TimeAttention(const Profile& profile, const ModelTiming& model, const StepShape& shape,
                   Work* w) {
  const int prefill = static_cast<int>(StepRole::kPrefill);
  const int decode = static_cast<int>(StepRole::kDecode);
  const OperatorConstants& constants = profile.operators;
  const bool prompts = constants.prefill.given && shape.tokens[prefill] > 0;
  const bool one_launch = prompts && constants.prefill.one_launch.value == 1;
  const bool decodes = shape.tokens[decode] > 0 && (constants.decode.given || one_launch);
  const AttentionShape attention{model.chip_heads, model.chip_kv_heads, model.head_size,
                                 model.kv_value_bytes};
  const double all_layers = static_cast<double>(model.layers);
  w->one_launch = one_launch;
  if (prompts || decodes) {
    // The simple form's stands for both roles; what stays simple has none of its own.
    w->attention_latency = 0;
  }
  for (int role = 0; role < kStepRoles; ++role) {
    if (role == prefill ? prompts : decodes) {
      StepTerm& term = w->attention[role];
      term.bytes_per_chip = term.compute_seconds = term.memory_seconds = 0;
    }
  }
  for (const bool windowed : {false, true}) {
    const LayerSums s = SumsOf(model, shape, windowed);
    if (s.layers == 0) {
      continue;
    }
    if (one_launch) {
      const LaunchTime t = TimeOneLaunch(profile, attention, s.prompts, s.decodes);
      AddLayers(t.prompts, s.layers, all_layers, prefill, w);
      AddLayers(t.decodes, s.layers, all_layers, decode, w);
      continue;
    }
    if (prompts) {
      AddLayers(TimePrefill(profile, attention, s.prompts), s.layers, all_layers, prefill, w);
    }
    if (decodes) {
      AddLayers(TimeDecodes(profile, attention, s.decodes), s.layers, all_layers, decode, w);
    }
  }
  if (decodes) {
    // No unit multiplies faster than at the rate that the bounds on power assume.
    w->attention[decode].compute_seconds =
        std::max(w->attention[decode].compute_seconds,
                 w->attention[decode].flops_executed /
                     (static_cast<double>(model.chips) * profile.attention_efficiency.value *
                      profile.Peak(model.attention_math)));
  }
}

// What uneven contexts add: a share of the time that all decodes would take with the longest one.
double SkewSeconds(const Profile& profile, const ModelTiming& model, const StepShape& shape,
                   double memory_seconds) {
  const int decode = static_cast<int>(StepRole::kDecode);
  if (profile.skew_share.value == 0 || shape.kv_rows_read[decode] == 0 || model.full_layers == 0) {
    return 0;
  }
  const double longest = static_cast<double>(shape.longest_decode * shape.sequences[decode]);
  const double ratio = longest / static_cast<double>(shape.kv_rows_read[decode]);
  return profile.skew_share.value * std::max(0.0, ratio - 1.0) * memory_seconds;
}

// Executed over needed FLOPs of a decode's attention.
double DecodePadding(const Profile& profile, const ModelTiming& model) {
  const double rows = profile.decode_query_rows.value;
  if (rows <= 1 || model.chip_heads <= 0) {
    return 1.0;
  }
  const double group = std::ceil(model.chip_heads / model.chip_kv_heads);
  return std::ceil(group / rows) * rows / group;
}

Work Measure(const Profile& profile, const ModelTiming& model, const StepShape& shape,
             const TokenCost& tokens, const HeadCost& head) {
  const double chips = static_cast<double>(model.chips);
  Work w;
  w.tokens = &tokens;
  w.head = &head;
  w.flops_model = tokens.flops_model;
  w.ideal_seconds = tokens.ideal_seconds;
  w.weight_and_kv_bytes = tokens.weight_bytes;
  for (int role = 0; role < kStepRoles; ++role) {
    w.attention[role] = PriceAttention(profile, model, shape, role);
    w.overlap[role] = profile.overlap.value;
  }
  w.attention_latency = profile.attention_latency.value;
  const OperatorConstants& constants = profile.operators;
  if (model.chip_heads > 0 && (constants.decode.given || constants.prefill.given)) {
    TimeAttention(profile, model, shape, &w);
  }
  for (int role = 0; role < kStepRoles; ++role) {
    w.flops_model += w.attention[role].flops_executed;
    w.ideal_seconds +=
        w.attention[role].flops_executed / (chips * profile.Peak(model.attention_math));
    w.weight_and_kv_bytes += w.attention[role].bytes_per_chip;
  }
  w.attention[static_cast<int>(StepRole::kDecode)].flops_executed *= DecodePadding(profile, model);
  if (!w.one_launch) {
    w.skew_seconds = SkewSeconds(profile, model, shape,
                                 w.attention[static_cast<int>(StepRole::kDecode)].memory_seconds);
  }
  const double head_flops = 2.0 * model.head_parameters * static_cast<double>(shape.output_rows);
  w.flops_model += head_flops;
  w.ideal_seconds += head_flops / (chips * profile.Peak(model.linear_math));
  w.weight_and_kv_bytes += shape.output_rows > 0 ? model.head_bytes_per_chip : 0.0;
  return w;
}

// The products' and experts' time at a clock: each group of layers overlaps by itself.
double RoofSeconds(const TokenCost& tokens, double slowdown) {
  double sum = 0;
  for (const GroupCost& roof : tokens.roofs) {
    sum += Overlap(roof.compute_seconds * slowdown, roof.memory_seconds, roof.overlap);
  }
  return sum;
}

double AttentionSeconds(const Profile& profile, const StepShape& shape, const Work& w,
                        double slowdown) {
  const StepTerm& prompts = w.attention[static_cast<int>(StepRole::kPrefill)];
  const StepTerm& decodes = w.attention[static_cast<int>(StepRole::kDecode)];
  if (w.one_launch) {
    return Overlap((prompts.compute_seconds + decodes.compute_seconds) * slowdown,
                   prompts.memory_seconds + decodes.memory_seconds, w.overlap[0]);
  }
  const double seconds =
      Overlap(prompts.compute_seconds * slowdown, prompts.memory_seconds, w.overlap[0]) +
      Overlap(decodes.compute_seconds * slowdown, decodes.memory_seconds, w.overlap[1]) +
      w.skew_seconds;
  const bool mixed = shape.tokens[0] > 0 && shape.tokens[1] > 0;
  return mixed ? seconds * profile.mix_penalty.value : seconds;
}

// Where the time goes at a clock `slowdown` times slower than the top one; `roof_seconds` is
// RoofSeconds there.
Seconds TimesAt(const Profile& profile, const ModelTiming& model, const StepShape& shape,
                const Work& w, double roof_seconds, double slowdown, bool switched) {
  const double attention = AttentionSeconds(profile, shape, w, slowdown);
  const double busy = roof_seconds + attention + w.head->Seconds(slowdown);
  const TokenCost& t = *w.tokens;

  Seconds s;
  s.host = profile.host_step.value +
           profile.host_sequence.value * static_cast<double>(shape.total_sequences());
  s.compute =
      (t.linear.compute_seconds + t.experts.compute_seconds + w.attention[0].compute_seconds +
       w.attention[1].compute_seconds + w.head->term.compute_seconds) *
      slowdown;
  s.compute = std::min(s.compute, busy);
  s.memory = busy - s.compute;
  s.comm = t.link_seconds;
  const double share = profile.issue_fixed_share.value;
  const double layers = static_cast<double>(model.layers);
  s.fixed = (layers * (profile.issue_latency.value + w.attention_latency) + t.latency_seconds +
             w.head->latency_seconds) *
            (share + (1.0 - share) * slowdown);
  if (switched) {
    s.fixed += profile.clock_switch.value;
  }
  return s;
}

// What tables put in place of the formulas' pass.
struct Measured {
  double stretch = 1;  // of its parts but the collectives, at every clock
  double link_seconds = 0;
};

// `top`: the formulas' times at the top clock.
Measured Measure(const OperatorTables& tables, const ModelTiming& model, const StepShape& shape,
                 const TokenCost& tokens, const Seconds& top) {
  Measured measured;
  const double formulas = top.compute + top.memory + top.fixed;
  measured.stretch = formulas > 0 ? tables.PassSeconds(shape) / formulas : 1.0;
  measured.link_seconds = tokens.link_seconds;
  if (tables.has_all_reduce() && model.chips > 1) {
    double calls = 0;
    for (int g = 0; g < model.group_count; ++g) {
      calls += model.groups[g].count * model.groups[g].collectives;
    }
    measured.link_seconds =
        calls * tables.AllReduceSeconds(static_cast<double>(shape.total_tokens()) *
                                        model.head_width * kResidualBytes);
  }
  return measured;
}

void Apply(const Measured& measured, double switching, Seconds* s) {
  s->compute *= measured.stretch;
  s->memory *= measured.stretch;
  s->fixed = (s->fixed - switching) * measured.stretch + switching;
  s->comm = measured.link_seconds;
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
  CHECK_GE(shape.total_sequences(), 1);
  CHECK_GE(shape.total_tokens(), shape.total_sequences());
  CHECK_GE(shape.output_rows, 0);
  for (int role = 0; role < kStepRoles; ++role) {
    CHECK_GE(shape.tokens[role], 0);
    CHECK_GE(shape.attention_pairs[role], shape.tokens[role]);
    CHECK_GE(shape.kv_rows_read[role], 0);
  }
}

// `roof(state)`: RoofSeconds at a clock state.
template <typename Roof>
StepPrice Assemble(const Profile& profile, const ModelTiming& model, const StepShape& shape,
                   StepClock clock, const TokenCost& tokens, const HeadCost& head,
                   const OperatorTables* tables, Roof roof) {
  const Work w = Measure(profile, model, shape, tokens, head);
  const double switching = clock.switched ? profile.clock_switch.value : 0.0;
  Measured measured;
  if (tables != nullptr) {
    const int top = profile.top_state();
    measured =
        Measure(*tables, model, shape, tokens,
                TimesAt(profile, model, shape, w, roof(top), profile.pstates[top].slowdown, false));
  }
  const auto times = [&](int state) {
    Seconds s = TimesAt(profile, model, shape, w, roof(state), profile.pstates[state].slowdown,
                        clock.switched);
    if (tables != nullptr) {
      Apply(measured, switching, &s);
    }
    return s;
  };
  const double slowdown = profile.pstates[clock.state].slowdown;
  const Seconds s = times(clock.state);
  const double chips = static_cast<double>(model.chips);

  StepPrice price;
  price.duration = Round(s.total());
  price.host_gap = std::min(Round(s.host + switching), price.duration);
  price.forward = price.duration - price.host_gap;
  price.stalls = Cut(clock.wanted == clock.state ? s : times(clock.wanted), price.duration);
  price.linear = tokens.linear;
  price.experts = tokens.experts;
  price.attention[0] = w.attention[0];
  price.attention[1] = w.attention[1];
  price.head = head.term;
  double hbm = 0;
  for (StepTerm* term :
       {&price.linear, &price.experts, &price.attention[0], &price.attention[1], &price.head}) {
    term->compute_seconds *= slowdown;
    price.flops_executed += term->flops_executed;
    hbm += term->bytes_per_chip;
  }
  price.link_bytes_per_chip = tokens.link_bytes;
  price.forward_seconds = s.compute + s.memory + s.comm + (s.fixed - switching);
  price.comm_share = price.forward_seconds > 0 ? s.comm / price.forward_seconds : 0.0;
  price.flops_model = w.flops_model;
  price.hbm_bytes = Bytes(std::llround(hbm * chips));
  price.link_bytes = Bytes(std::llround(tokens.link_bytes * chips));
  const double seconds = s.total();
  price.mfu = seconds > 0 ? w.ideal_seconds / seconds : 0.0;
  price.mbu = seconds > 0 ? w.weight_and_kv_bytes / (seconds * profile.hbm_bandwidth.value) : 0.0;
  return price;
}

}  // namespace

StepPrice PriceStep(const Profile& profile, const ModelTiming& model, const StepShape& shape,
                    StepClock clock, const OperatorTables* tables) {
  CheckInputs(profile, shape, clock);
  const TokenCost tokens = PriceTokens(profile, model, shape.total_tokens());
  const HeadCost head = PriceHead(profile, model, shape.output_rows);
  return Assemble(profile, model, shape, clock, tokens, head, tables,
                  [&](int state) { return RoofSeconds(tokens, profile.pstates[state].slowdown); });
}

struct StepPricer::Entry {
  TokenCost cost;
  std::vector<double> roof_seconds;  // by clock state
};

StepPricer::StepPricer(const Profile* profile, const ModelTiming& model, int64_t max_tokens,
                       const OperatorTables* tables)
    : profile_(profile),
      model_(model),
      tables_(tables),
      entries_(static_cast<size_t>(max_tokens) + 1),
      heads_(static_cast<size_t>(max_tokens) + 1) {}
StepPricer::~StepPricer() = default;

const StepPricer::Entry& StepPricer::At(int64_t tokens) {
  std::unique_ptr<Entry>& entry = entries_[static_cast<size_t>(tokens)];
  if (entry == nullptr) {
    entry = std::make_unique<Entry>();
    entry->cost = PriceTokens(*profile_, model_, tokens);
    for (const PState& state : profile_->pstates) {
      entry->roof_seconds.push_back(RoofSeconds(entry->cost, state.slowdown));
    }
    entry->cost.roofs = {};
  }
  return *entry;
}

const HeadCost& StepPricer::Head(int64_t rows) {
  std::unique_ptr<HeadCost>& head = heads_[static_cast<size_t>(rows)];
  if (head == nullptr) {
    head = std::make_unique<HeadCost>(PriceHead(*profile_, model_, rows));
  }
  return *head;
}

StepPrice StepPricer::Price(const StepShape& shape, StepClock clock) {
  const int64_t tokens = shape.total_tokens();
  if (std::max(tokens, shape.output_rows) >= static_cast<int64_t>(entries_.size())) {
    return PriceStep(*profile_, model_, shape, clock, tables_);
  }
  CheckInputs(*profile_, shape, clock);
  const Entry& entry = At(tokens);
  return Assemble(*profile_, model_, shape, clock, entry.cost, Head(shape.output_rows), tables_,
                  [&](int state) { return entry.roof_seconds[static_cast<size_t>(state)]; });
}

}  // namespace scoville::device
