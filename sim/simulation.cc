#include "sim/simulation.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/compute_pool.h"
#include "base/simulated_event_loop.h"
#include "base/status_macros.h"
#include "device/executor/synthetic_executor.h"
#include "model/card/model_card_reader.h"
#include "model/text/detokenizer.h"
#include "scheduler/power/budget_config.h"
#include "sim/changing_pool.h"
#include "sim/conservation.h"
#include "sim/request_factory.h"
#include "sim/traffic.h"

namespace scoville::sim {

namespace {

constexpr int64_t kNobody = -1;

EventClass ClassOf(EventKind kind) {
  switch (kind) {
    case EventKind::kCancel:
      return EventClass::kCancel;
    case EventKind::kKillDevice:
    case EventKind::kHangDevice:
    case EventKind::kSlowDevice:
    case EventKind::kLosePages:
      return EventClass::kFault;
    default:
      return EventClass::kCommand;
  }
}

class Run {
 public:
  Run(const Scenario& scenario, const model::LoadedModel& model, const SimulationOptions& options)
      : scenario_(scenario), model_(model), options_(options), compute_(&loop_) {}

  absl::StatusOr<SimulationResult> Execute();

 private:
  class Sink;
  // A request by the order of the scenario: the workload's come first, then the written ones.
  struct Offer {
    RequestId id;  // once admitted
    TimerId cancel;
    size_t tenant = 0;       // of scenario.tenants
    int64_t next = kNobody;  // the closed-loop request that follows it
  };

  absl::Status Prepare();
  absl::Status MakeTraffic();
  absl::StatusOr<std::shared_ptr<const model::CompiledConstraint>> ConstraintOf(
      const WrittenRequest& written);
  absl::Status MakePool();
  void ScheduleArrivals(size_t index);
  void ScheduleWritten();
  void ScheduleEvents();
  void Submit(size_t index);
  void OnEnd(size_t index, const scheduler::RequestRecord& record, int64_t tokens);
  void StartNext(size_t index, Duration at_least);
  void Apply(const ScenarioEvent& event);
  void Note(const absl::Status& status);  // of what must not fail
  absl::Status RunEvents();
  void WindDown();
  void Collect();
  void WriteAnswers();

  const TenantMix* TenantOf(size_t index) const {
    return IsWritten(index) || scenario_.tenants.empty()
               ? nullptr
               : &scenario_.tenants[offers_[index].tenant];
  }
  SloTargets TargetsOf(size_t index) const;
  scheduler::Request MakeWorkloadRequest(size_t index) const;
  bool IsWritten(size_t index) const { return index >= workload_.size(); }

  const Scenario& scenario_;
  const model::LoadedModel& model_;
  const SimulationOptions options_;

  SimulatedEventLoop loop_;
  InlineComputePool compute_;
  SimulationResult result_;
  std::vector<client::WorkloadRequest> workload_;
  std::vector<scheduler::Request> written_;
  // Of written requests; equal ones share one.
  std::shared_ptr<const model::TokenIndex> token_index_;
  std::vector<std::pair<model::ConstraintSpec, std::shared_ptr<const model::CompiledConstraint>>>
      constraints_;
  std::vector<Offer> offers_;
  absl::Status violation_;  // the first one a sink saw
  std::unique_ptr<device::DevicePool> pool_;
  std::optional<ChangingPool> changing_;
  std::optional<scheduler::Scheduler> scheduler_;
  NodeLimits limits_;
};

// Counts, and for written requests keeps, what a request was given.
class Run::Sink final : public scheduler::TokenSink {
 public:
  Sink(Run* run, size_t index, Answer* answer) : run_(run), index_(index), answer_(answer) {}
  void OnPromptScores(int64_t, absl::Span<const model::SampledToken>) override {}
  void OnToken(const model::SampledToken& token, TimePoint) override {
    ++tokens_;
    if (answer_ != nullptr) {
      answer_->tokens.push_back(token);
    }
  }
  void OnEnd(const scheduler::RequestRecord& record) override {
    if (answer_ != nullptr) {
      answer_->record = record;
    }
    run_->OnEnd(index_, record, tokens_);
  }
  bool Congested() const override { return false; }

 private:
  Run* const run_;
  const size_t index_;
  Answer* const answer_;
  int64_t tokens_ = 0;
};

absl::Status Run::MakeTraffic() {
  ASSIGN_OR_RETURN(workload_, LoadWorkload(scenario_));
  offers_.resize(workload_.size() + scenario_.requests.size());
  const std::vector<size_t> tenants = DrawTenants(scenario_.seed, scenario_.tenants, workload_);
  for (size_t i = 0; i < workload_.size(); ++i) {
    offers_[i].tenant = tenants[i];
    const TenantMix* tenant = TenantOf(i);
    workload_[i].deadline =
        tenant != nullptr && tenant->deadline > Duration() ? tenant->deadline : scenario_.deadline;
    workload_[i].sampling = scenario_.sampling;
    if (workload_[i].after != kNobody) {
      offers_[static_cast<size_t>(workload_[i].after)].next = static_cast<int64_t>(i);
    }
  }
  for (const WrittenRequest& written : scenario_.requests) {
    ASSIGN_OR_RETURN(scheduler::Request request, MakeRequest(written, model_));
    ASSIGN_OR_RETURN(request.constraint, ConstraintOf(written));
    written_.push_back(std::move(request));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const model::CompiledConstraint>> Run::ConstraintOf(
    const WrittenRequest& written) {
  if (written.constraint.kind == model::ConstraintSpec::Kind::kNone) {
    return nullptr;
  }
  for (const auto& [spec, compiled] : constraints_) {
    if (spec == written.constraint) {
      return compiled;
    }
  }
  if (token_index_ == nullptr) {
    ASSIGN_OR_RETURN(token_index_, model::TokenIndex::Create(*model_.tokenizer));
  }
  auto compiled = model::CompileConstraint(written.constraint, token_index_, {});
  if (!compiled.ok()) {
    return absl::Status(compiled.status().code(),
                        absl::StrCat("request '", written.id, "': ", compiled.status().message()));
  }
  constraints_.emplace_back(written.constraint, *compiled);
  return compiled;
}

absl::Status Run::MakePool() {
  device::PoolOptions pool = scenario_.pool;
  pool.power.keep_trace = options_.check_every_event;
  ASSIGN_OR_RETURN(pool_, device::DevicePool::Create(&loop_, pool, model_, &compute_));
  scheduler::SchedulerOptions options = scenario_.scheduler;
  options.context = model_.config.context;
  options.vocabulary = model_.config.vocabulary;
  options.model_id = model_.id;
  options.cache_secret = scenario_.seed;
  std::vector<Power> floors;
  for (const device::Device* device : pool_->devices()) {
    floors.push_back(device->power().min_cap());
  }
  RETURN_IF_ERROR(scheduler::CheckFleetPower(options.fleet, floors));
  changing_.emplace(&loop_, pool_.get());
  scheduler_.emplace(&loop_, pool_->devices(), options, &result_.records);
  limits_.Note(scheduler_->fleet(), loop_.Now());
  const device::Profile& profile = pool_->profile();
  const double overhead =
      profile.overhead_power.value * static_cast<double>(scenario_.pool.parallelism.chips);
  result_.profile = {profile.name, profile.content_hash.ToString(),
                     std::string(device::NumberStatusName(profile.weakest)),
                     static_cast<int32_t>(scenario_.pool.parallelism.chips),
                     Milliwatts(static_cast<int64_t>(overhead * 1e3 + 0.5))};
  return absl::OkStatus();
}

absl::Status Run::Prepare() {
  RETURN_IF_ERROR(MakeTraffic());
  RETURN_IF_ERROR(MakePool());
  result_.name = scenario_.name;
  result_.seed = scenario_.seed;
  result_.model = model_.config.name;
  result_.slo = scenario_.slo;
  for (const auto& [name, weight] : scenario_.scheduler.fairness.weights) {
    result_.weights[name] =
        static_cast<double>(weight) / static_cast<double>(scheduler::kWeightOne);
  }
  result_.answers.resize(scenario_.requests.size());
  for (size_t i = 0; i < scenario_.requests.size(); ++i) {
    result_.answers[i].id = scenario_.requests[i].id;
  }
  return absl::OkStatus();
}

// Of the workload's open-loop requests from `index` on, one event for each instant.
void Run::ScheduleArrivals(size_t index) {
  if (index >= workload_.size() || workload_[index].after != kNobody) {
    return;
  }
  loop_.RunAt(workload_[index].arrival, EventClass::kArrival, index, [this, index] {
    size_t next = index;
    while (next < workload_.size() && workload_[next].after == kNobody &&
           workload_[next].arrival == workload_[index].arrival) {
      Submit(next++);
    }
    ScheduleArrivals(next);
  });
}

void Run::ScheduleWritten() {
  for (size_t i = 0; i < written_.size(); ++i) {
    const size_t index = workload_.size() + i;
    loop_.RunAt(scenario_.requests[i].at, EventClass::kArrival, index,
                [this, index] { Submit(index); });
  }
}

void Run::ScheduleEvents() {
  for (size_t i = 0; i < scenario_.events.size(); ++i) {
    const ScenarioEvent& event = scenario_.events[i];
    const EventClass event_class = ClassOf(event.kind);
    loop_.RunAt(event.at, event_class, i, [this, &event] { Apply(event); });
  }
}

void Run::Apply(const ScenarioEvent& event) {
  switch (event.kind) {
    case EventKind::kCancel:
      for (size_t i = 0; i < scenario_.requests.size(); ++i) {
        if (scenario_.requests[i].id == event.request) {
          scheduler_->Cancel(offers_[workload_.size() + i].id);
        }
      }
      return;
    case EventKind::kDrain:
      scheduler_->StartDrain();
      return;
    case EventKind::kEndAll:
      scheduler_->EndAll(scheduler::Outcome::kDraining);
      return;
    case EventKind::kPowerBudget:
      if (const auto answer = scheduler_->fleet().Set(event.budget); !answer.ok()) {
        violation_ = answer.status();
      } else if (!answer->would_apply) {
        violation_ = absl::InvalidArgumentError(
            absl::StrCat("the power budget cannot be kept: ", answer->summary));
      }
      return;
    default:
      Note(changing_->Apply(event, &*scheduler_));
  }
}

void Run::Note(const absl::Status& status) {
  if (violation_.ok()) {
    violation_ = status;
  }
}

SloTargets Run::TargetsOf(size_t index) const {
  SloTargets targets = scenario_.slo;
  if (const TenantMix* tenant = TenantOf(index)) {
    targets.ttft = tenant->slo.ttft > Duration() ? tenant->slo.ttft : targets.ttft;
    targets.itl = tenant->slo.itl > Duration() ? tenant->slo.itl : targets.itl;
  }
  return targets;
}

scheduler::Request Run::MakeWorkloadRequest(size_t index) const {
  const client::WorkloadRequest& shape = workload_[index];
  scheduler::Request request = MakeRequest(shape, loop_.Now(), model_);
  if (const TenantMix* tenant = TenantOf(index)) {
    request.tenant = tenant->name;
    if (scenario_.classes) {
      request.service_class = tenant->service_class;
      request.ttft_target = tenant->slo.ttft;
      request.itl_target = tenant->slo.itl;
    }
  }
  if (scenario_.max_tokens > shape.output_tokens) {
    // It ends where the trace says by the token that is drawn there, kept from coming earlier.
    request.min_tokens = shape.output_tokens - 1;
    request.stop_tokens = {device::SyntheticExecutor::TokenAt(
        pool_->drawable(), shape.seed, shape.prompt_tokens + shape.output_tokens - 1)};
    request.max_tokens =
        std::max(shape.output_tokens,
                 std::min(scenario_.max_tokens, model_.config.context - shape.prompt_tokens));
  }
  return request;
}

void Run::Submit(size_t index) {
  ++result_.offered;
  Answer* answer = nullptr;
  scheduler::Request request;
  Duration cancel_after;
  if (IsWritten(index)) {
    const size_t i = index - workload_.size();
    answer = &result_.answers[i];
    request = std::move(written_[i]);
    cancel_after = scenario_.requests[i].cancel_after;
  } else {
    request = MakeWorkloadRequest(index);
    if (TenantOf(index) != nullptr) {
      result_.tenants[request.tenant].offered += 1;
    }
    cancel_after = workload_[index].cancel_after;
  }
  request.sink = std::make_unique<Sink>(this, index, answer);
  scheduler::SubmitResult submitted = scheduler_->Submit(std::move(request));
  if (submitted.refusal) {
    StartNext(index, submitted.refusal->retry_after);
    if (answer != nullptr) {
      answer->refusal = std::move(submitted.refusal);
    }
    return;
  }
  offers_[index].id = submitted.id;
  if (cancel_after > Duration()) {
    offers_[index].cancel =
        loop_.RunAt(loop_.Now() + cancel_after, EventClass::kCancel, submitted.id.value,
                    [this, id = submitted.id] { scheduler_->Cancel(id); });
  }
}

void Run::OnEnd(size_t index, const scheduler::RequestRecord& record, int64_t tokens) {
  // A client that would have gone away later must not keep the run going.
  loop_.Cancel(offers_[index].cancel);
  if (tokens != record.output_tokens && violation_.ok()) {
    violation_ =
        absl::InternalError(absl::StrCat("request ", record.id.value, " was given ", tokens,
                                         " tokens, its record says ", record.output_tokens));
  }
  result_.targets.push_back(TargetsOf(index));  // of the record that the observer has just taken
  StartNext(index, Duration());
}

// A closed loop's user goes on: it has thought, and waited as long as it was told to.
void Run::StartNext(size_t index, Duration at_least) {
  const int64_t next = offers_[index].next;
  if (next == kNobody) {
    return;
  }
  const size_t i = static_cast<size_t>(next);
  const Duration wait = std::max({workload_[i].think, at_least, Nanoseconds(1)});
  loop_.RunAt(loop_.Now() + wait, EventClass::kArrival, i, [this, i] { Submit(i); });
}

absl::Status Run::RunEvents() {
  // A closed loop's first requests, or all of an open one, come by the clock.
  ScheduleArrivals(0);
  ScheduleWritten();
  ScheduleEvents();
  TimePoint before;
  int64_t live = 0;
  while (loop_.RunOne()) {
    result_.request_ns += static_cast<__int128>(live) * (loop_.Now() - before).value();
    before = loop_.Now();
    live = result_.records.admitted - static_cast<int64_t>(result_.records.requests.size());
    RETURN_IF_ERROR(violation_);
    if (options_.check_every_event) {
      limits_.Note(scheduler_->fleet(), loop_.Now());
      RETURN_IF_ERROR(CheckDevices(pool_->devices()));
      RETURN_IF_ERROR(CheckRunning(changing_->All(), *scheduler_, result_.records,
                                   loop_.next_time() - loop_.Now()));
    }
  }
  return absl::OkStatus();
}

// Ends what a failed run left alive, so that the failure can be told.
void Run::WindDown() {
  scheduler_->StartDrain();
  scheduler_->EndAll(scheduler::Outcome::kInternal);
  loop_.Run();
}

void Run::Collect() {
  for (device::Device* device : changing_->All()) {
    result_.devices.push_back(changing_->StatusOf(device));
    result_.peak_kv_blocks.push_back(device->kv().peak_used_blocks());
  }
  result_.end = loop_.Now();
  result_.events = loop_.events_run();
  result_.event_hash = result_.records.hash.hash();
}

void Run::WriteAnswers() {
  for (size_t i = 0; i < result_.answers.size(); ++i) {
    model::DetokenizerOptions options;
    options.stop_strings = scenario_.requests[i].stop;
    model::Detokenizer detokenizer(model_.tokenizer.get(), options);
    for (const model::SampledToken& token : result_.answers[i].tokens) {
      result_.answers[i].text += detokenizer.Append(token.token);
    }
    result_.answers[i].text += detokenizer.Flush();
  }
}

absl::StatusOr<SimulationResult> Run::Execute() {
  RETURN_IF_ERROR(Prepare());
  if (absl::Status status = RunEvents(); !status.ok()) {
    const TimePoint when = loop_.Now();
    WindDown();
    return absl::Status(status.code(),
                        absl::StrCat("at ", when.ns(), " ns of virtual time: ", status.message()));
  }
  Collect();
  WriteAnswers();
  const device::GovernorKind governor = scenario_.pool.power.governor;
  if (options_.check_every_event && (governor == device::GovernorKind::kPredictive ||
                                     governor == device::GovernorKind::kStatic)) {
    const Duration window = scenario_.pool.power.cap_window;
    RETURN_IF_ERROR(CheckCaps(changing_->All(), window));
    RETURN_IF_ERROR(CheckNodes(changing_->All(), changing_->born(), scheduler_->fleet().Get(),
                               limits_, window));
  }
  if (absl::Status status = CheckConservation(result_, *scheduler_); !status.ok()) {
    WindDown();
    return status;
  }
  return std::move(result_);
}

}  // namespace

absl::StatusOr<std::unique_ptr<model::LoadedModel>> LoadScenarioModel(const Scenario& scenario) {
  if (!scenario.card.empty()) {
    ASSIGN_OR_RETURN(const model::ModelCard card, model::FindCard(scenario.card));
    return model::SyntheticModel(card);
  }
  if (scenario.model.empty()) {
    return model::SyntheticModel();
  }
  return model::LoadModel(scenario.model,
                          scenario.pool.executor == device::ExecutorKind::kFunctional
                              ? model::LoadWeights::kYes
                              : model::LoadWeights::kNo);
}

absl::StatusOr<SimulationResult> RunScenario(const Scenario& scenario,
                                             const model::LoadedModel& model,
                                             const SimulationOptions& options) {
  return Run(scenario, model, options).Execute();
}

}  // namespace scoville::sim
