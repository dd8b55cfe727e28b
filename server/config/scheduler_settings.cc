#include "server/config/scheduler_settings.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "scheduler/names.h"
#include "scheduler/read_limits.h"
#include "scheduler/routing/route_policy.h"

namespace scoville::server {

namespace {

constexpr int64_t kDay = 86'400'000'000'000;

// The texts were checked when the configuration was read: each is one of these.
template <typename Enum>
Enum ChoiceOf(const std::string& text, const std::vector<std::string>& names) {
  const auto found = std::find(names.begin(), names.end(), text);
  CHECK(found != names.end());
  return static_cast<Enum>(found - names.begin());
}

void BindQueue(ServerConfig::Scheduling* c, std::vector<Setting>* s) {
  s->emplace_back("scheduler.queue", &c->queue,
                  "order of a tenant's waiting requests of one class: edf: the earliest deadline "
                  "first; fcfs: as they came")
      .Allow(scheduler::QueuePolicyNames());
  s->emplace_back("scheduler.implied_deadline", &c->implied_deadline,
                  "by when a request without deadline or target wants its first token, for edf")
      .Range(0, kDay);
  s->emplace_back("scheduler.late_share", &c->late_share,
                  "of so many requests taken from a tenant's line, one is of those whose first "
                  "token can no longer be in time, while some wait; the others go first; 0: late "
                  "ones keep their places")
      .Range(0, 1'000'000);
  s->emplace_back("scheduler.class_ageing", &c->class_ageing,
                  "a request counts as one class higher for each such time it waited; 0s: never")
      .Range(0, kDay);
  s->emplace_back("scheduler.max_queued_by_class", &c->max_queued_by_class,
                  "what may wait of a class: \"batch requests=100 tokens=1000000 bytes=64MiB "
                  "time=30s\", each limit optional but one");
  s->emplace_back(
      "scheduler.max_queued_by_tenant", &c->max_queued_by_tenant,
      "what may wait of a tenant, likewise; an entry without a name is for every tenant "
      "that is not named");
  s->emplace_back("scheduler.refuse_hopeless", &c->refuse_hopeless,
                  "refuse a request at once whose prompt cannot be computed before its deadline");
  s->emplace_back("scheduler.lend_slack", &c->lend_slack,
                  "where prompts would be late, limits.itl_target holds for the mean of the gaps; "
                  "false: for every gap");
  s->emplace_back("scheduler.look_ahead", &c->look_ahead,
                  "waiting requests behind one that does not fit that are tried instead")
      .Range(0, 1'024);
  s->emplace_back("scheduler.max_passes", &c->max_passes,
                  "so often may a request that does not fit be passed, then all wait for it")
      .Range(0, 1'000'000);
}

void BindPlacement(ServerConfig::Scheduling* c, std::vector<Setting>* s) {
  s->emplace_back("scheduler.routing", &c->routing,
                  "which device a request goes to; cost: least time and energy; consolidate fills "
                  "devices up to the targets so that the others can park; the others are for "
                  "comparison")
      .Allow(scheduler::RoutePolicyNames());
  s->emplace_back("scheduler.nanoseconds_per_joule", &c->nanoseconds_per_joule,
                  "what a joule is worth to routing by cost; 0: nothing")
      .Range(0, 1'000'000'000'000);
  s->emplace_back("scheduler.join", &c->join,
                  "when a sequence may join a device; forecast: by the risk that KV blocks run "
                  "out; the others are rules of other engines, for comparison")
      .Allow(scheduler::JoinPolicyNames());
  s->emplace_back("scheduler.overflow_risk", &c->overflow_risk,
                  "share of steps in which KV blocks may run out; 0: never, for anybody")
      .RealRange(0, 0.5);
  s->emplace_back("scheduler.guaranteed", &c->guaranteed,
                  "classes whose requests keep all KV blocks they may need from the start, and are "
                  "never preempted")
      .Allow(scheduler::ServiceClassNames());
  s->emplace_back("scheduler.victims", &c->victims,
                  "who gives its KV blocks back when they run out")
      .Allow(scheduler::VictimPolicyNames());
  s->emplace_back("scheduler.max_preemptions", &c->max_preemptions,
                  "a request that was preempted so often keeps its KV blocks from then on")
      .Range(0, 1'000'000);
  s->emplace_back(
      "scheduler.promised_prefixes", &c->promised_prefixes,
      "a request waits for one that is computing the beginning of its prompt where that "
      "is sooner than computing it");
  s->emplace_back("scheduler.prefix_ttl", &c->prefix_ttl,
                  "a prefix stays in the cache so long at least after its request, unless running "
                  "ones need its place; 0s: as the cache sees fit")
      .Range(0, kDay);
  s->emplace_back("scheduler.max_drafts", &c->max_drafts,
                  "tokens guessed ahead per sequence and step, from what it said before; 0: none")
      .Range(0, 64);
  s->emplace_back("scheduler.patience", &c->patience,
                  "a device whose step takes this many times its predicted time is given up")
      .Range(2, 1'000'000);
}

}  // namespace

void BindScheduler(ServerConfig* config, std::vector<Setting>* settings) {
  BindQueue(&config->scheduler, settings);
  BindPlacement(&config->scheduler, settings);
  settings->emplace_back("fairness.enabled", &config->fairness.enabled,
                         "tenants of one class share by weight; false: they are one line");
  settings
      ->emplace_back("fairness.unit", &config->fairness.unit,
                     "what shares are counted in: tokens (output twice), or the joules of requests")
      .Allow(scheduler::CostUnitNames());
  settings->emplace_back("fairness.weights", &config->fairness.weights,
                         "tenant=weight, 0.001 to 1000; who is not named has 1");
}

absl::StatusOr<std::map<std::string, int64_t>> ParseWeights(absl::Span<const std::string> texts) {
  std::map<std::string, int64_t> out;
  for (const std::string& text : texts) {
    const size_t equals = text.rfind('=');
    double weight = 0;
    if (equals == std::string::npos || equals == 0 ||
        !absl::SimpleAtod(text.substr(equals + 1), &weight) || !(weight >= 1e-3 && weight <= 1e3)) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", text, "' is not tenant=weight with a weight of 0.001 to 1000"));
    }
    const auto scaled = static_cast<int64_t>(weight * static_cast<double>(scheduler::kWeightOne));
    if (!out.emplace(text.substr(0, equals), scaled).second) {
      return absl::InvalidArgumentError(absl::StrCat("names '", text.substr(0, equals), "' twice"));
    }
  }
  return out;
}

namespace {

void SetPolicies(const ServerConfig& config, scheduler::SchedulerOptions* out) {
  const ServerConfig::Scheduling& in = config.scheduler;
  out->queue = ChoiceOf<scheduler::QueuePolicy>(in.queue, scheduler::QueuePolicyNames());
  out->fairness.enabled = config.fairness.enabled;
  out->fairness_unit =
      ChoiceOf<scheduler::CostUnit>(config.fairness.unit, scheduler::CostUnitNames());
  const auto weights = ParseWeights(config.fairness.weights);
  CHECK(weights.ok());
  out->fairness.weights = *weights;
  out->implied_deadline = in.implied_deadline;
  out->late_share = static_cast<int32_t>(in.late_share);
  out->class_ageing = in.class_ageing;
  CHECK(scheduler::ReadClassLimits(in.max_queued_by_class, out).ok());
  CHECK(scheduler::ReadTenantLimits(in.max_queued_by_tenant, out).ok());
  out->refuse_hopeless = in.refuse_hopeless;
  out->lend_slack = in.lend_slack;
  out->look_ahead = static_cast<int32_t>(in.look_ahead);
  out->max_passes = static_cast<int32_t>(in.max_passes);
  out->routing = ChoiceOf<scheduler::RoutePolicy>(in.routing, scheduler::RoutePolicyNames());
  out->nanoseconds_per_joule = in.nanoseconds_per_joule;
  out->join = ChoiceOf<scheduler::JoinPolicy>(in.join, scheduler::JoinPolicyNames());
  out->overflow_risk = in.overflow_risk;
  for (const std::string& name : in.guaranteed) {
    const auto service_class =
        ChoiceOf<scheduler::ServiceClass>(name, scheduler::ServiceClassNames());
    out->guaranteed[static_cast<size_t>(service_class)] = true;
  }
  out->victims = ChoiceOf<scheduler::VictimPolicy>(in.victims, scheduler::VictimPolicyNames());
  out->max_preemptions = static_cast<int32_t>(in.max_preemptions);
  out->prefix_ttl = in.prefix_ttl;
  out->promised_prefixes = in.promised_prefixes;
  out->max_drafts = static_cast<int32_t>(in.max_drafts);
  out->patience = static_cast<int32_t>(in.patience);
}

}  // namespace

scheduler::SchedulerOptions SchedulerOptionsFor(const ServerConfig& config) {
  scheduler::SchedulerOptions out;
  out.max_queued = {config.limits.max_queued_requests, config.limits.max_queued_tokens,
                    config.limits.max_queued_bytes.value(), config.limits.max_queued_time};
  out.max_running = static_cast<int32_t>(config.limits.max_running);
  out.max_step_tokens = config.limits.max_step_tokens;
  out.itl_target = config.limits.itl_target;
  out.ttft_target = config.limits.ttft_target;
  out.slow_reader_timeout = config.limits.slow_reader_timeout;
  SetPolicies(config, &out);
  out.fleet.nodes = config.pool.budgets;
  out.fleet.budget = config.power.budget;
  out.fleet.policy.reserve_ppm = config.power.reserve_ppm;
  out.fleet.policy.pue_milli = config.power.pue_milli;
  out.fleet.policy.overhead_per_device = config.power.overhead_per_device;
  return out;
}

}  // namespace scoville::server
