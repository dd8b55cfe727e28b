#include "sim/simulation.h"

#include <algorithm>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/compute_pool.h"
#include "base/random.h"
#include "base/simulated_event_loop.h"
#include "base/status_macros.h"
#include "client/workload/azure_trace.h"
#include "model/text/detokenizer.h"
#include "sim/conservation.h"

namespace scoville::sim {

namespace {

constexpr uint64_t kCancelStream = 0x63616E63656C;
// The trace files in use are below 2 MB; a gigabyte would be a mistake.
constexpr std::streamoff kLargestTrace = std::streamoff{1} << 30;

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  if (!in) {
    return absl::NotFoundError(absl::StrCat(path, ": cannot be opened"));
  }
  if (in.tellg() > kLargestTrace) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": is larger than 1 GiB"));
  }
  in.seekg(0);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// Counts, and for written requests keeps, what a request was given.
class RunSink final : public scheduler::TokenSink {
 public:
  explicit RunSink(Answer* answer) : answer_(answer) {}
  void OnPromptScores(int64_t, absl::Span<const model::SampledToken>) override {}
  void OnToken(const model::SampledToken& token, TimePoint) override {
    if (answer_ != nullptr) {
      answer_->tokens.push_back(token);
    }
  }
  void OnEnd(const scheduler::RequestRecord& record) override {
    if (answer_ != nullptr) {
      answer_->record = record;
    }
  }
  bool Congested() const override { return false; }

 private:
  Answer* const answer_;
};

class Run {
 public:
  Run(const Scenario& scenario, const model::LoadedModel& model, const SimulationOptions& options)
      : scenario_(scenario), model_(model), options_(options), compute_(&loop_) {}

  absl::StatusOr<SimulationResult> Execute();

 private:
  absl::Status Prepare();
  absl::StatusOr<scheduler::Request> FromWritten(const WrittenRequest& written,
                                                 Answer* answer) const;
  scheduler::Request FromWorkload(size_t index) const;
  void ScheduleArrival(size_t index);
  void SubmitWorkload(size_t index);
  absl::Status ScheduleWritten();
  void ScheduleCancel(RequestId id, Duration after);
  absl::Status RunEvents();
  void Collect();
  void WriteAnswers();

  const Scenario& scenario_;
  const model::LoadedModel& model_;
  const SimulationOptions options_;

  SimulatedEventLoop loop_;
  InlineComputePool compute_;
  SimulationResult result_;
  std::vector<client::WorkloadRequest> workload_;
  std::vector<std::pair<TimePoint, scheduler::Request>> written_;
  std::unique_ptr<device::DevicePool> pool_;
  std::optional<scheduler::Scheduler> scheduler_;
};

absl::Status Run::Prepare() {
  ASSIGN_OR_RETURN(pool_, device::DevicePool::Create(&loop_, scenario_.pool, model_, &compute_));
  scheduler::SchedulerOptions options = scenario_.scheduler;
  options.context = model_.config.context;
  options.vocabulary = model_.config.vocabulary;
  scheduler_.emplace(&loop_, pool_->devices(), options, &result_.records);
  if (!scenario_.azure_trace.empty()) {
    ASSIGN_OR_RETURN(const std::string text, ReadFile(scenario_.azure_trace));
    ASSIGN_OR_RETURN(workload_,
                     client::ParseAzureTrace(text, scenario_.workload.requests, scenario_.seed));
  } else {
    ASSIGN_OR_RETURN(workload_, client::GenerateWorkload(scenario_.workload));
  }
  result_.name = scenario_.name;
  result_.seed = scenario_.seed;
  result_.model = model_.config.name;
  result_.slo = scenario_.slo;
  const device::Profile& profile = pool_->profile();
  result_.profile = {profile.name, profile.content_hash.ToString(),
                     std::string(device::NumberStatusName(profile.weakest)),
                     scenario_.pool.chips_per_device};
  return ScheduleWritten();
}

absl::StatusOr<scheduler::Request> Run::FromWritten(const WrittenRequest& written,
                                                    Answer* answer) const {
  scheduler::Request request;
  request.external_id = written.id;
  if (!written.chat.empty()) {
    if (model_.chat_template == nullptr) {
      return model_.chat_error;
    }
    const model::ChatMessage message{"user", written.chat};
    ASSIGN_OR_RETURN(model::Encoding encoding, model_.chat_template->Render({&message, 1}, false));
    request.prompt = std::move(encoding.tokens);
  } else {
    model::EncodeOptions encode;
    encode.add_bos = model_.tokenizer->add_bos_by_default();
    request.prompt = model_.tokenizer->Encode(written.text, encode).tokens;
  }
  request.sampling = written.sampling;
  request.max_tokens = written.max_tokens;
  if (!written.ignore_eos) {
    const absl::Span<const int32_t> ends = model_.tokenizer->end_tokens();
    request.stop_tokens.assign(ends.begin(), ends.end());
  }
  request.stop_strings = model::StopMatcher(written.stop);
  request.tokenizer = model_.tokenizer.get();
  if (written.deadline > Duration()) {
    request.deadline = written.at + written.deadline;
  }
  request.sink = std::make_unique<RunSink>(answer);
  return request;
}

scheduler::Request Run::FromWorkload(size_t index) const {
  const client::WorkloadRequest& shape = workload_[index];
  scheduler::Request request;
  request.prompt =
      client::SyntheticPrompt(shape.seed, shape.prompt_tokens, model_.config.vocabulary);
  request.max_tokens = shape.output_tokens;
  request.sampling.seed = shape.seed;
  request.sink = std::make_unique<RunSink>(nullptr);
  return request;
}

void Run::ScheduleArrival(size_t index) {
  if (index >= workload_.size()) {
    return;
  }
  // Arrivals at one instant are one event, since an instant's classes only go up.
  loop_.RunAt(workload_[index].arrival, EventClass::kArrival, index, [this, index] {
    size_t next = index;
    while (next < workload_.size() && workload_[next].arrival == workload_[index].arrival) {
      SubmitWorkload(next++);
    }
    ScheduleArrival(next);
  });
}

void Run::SubmitWorkload(size_t index) {
  ++result_.offered;
  const scheduler::SubmitResult submitted = scheduler_->Submit(FromWorkload(index));
  if (submitted.refusal || scenario_.cancel_share == 0) {
    return;
  }
  if (RandomUniform(scenario_.seed, kCancelStream, 2 * index) < scenario_.cancel_share) {
    // Somewhere in the first second: while queued, in prefill or in decode.
    ScheduleCancel(
        submitted.id,
        Nanoseconds(1 + static_cast<int64_t>(RandomBelow(scenario_.seed, kCancelStream,
                                                         2 * index + 1, 1'000'000'000))));
  }
}

absl::Status Run::ScheduleWritten() {
  result_.answers.resize(scenario_.requests.size());
  for (size_t i = 0; i < scenario_.requests.size(); ++i) {
    const WrittenRequest& written = scenario_.requests[i];
    result_.answers[i].id = written.id;
    ASSIGN_OR_RETURN(scheduler::Request request, FromWritten(written, &result_.answers[i]));
    written_.emplace_back(written.at, std::move(request));
  }
  for (size_t i = 0; i < written_.size(); ++i) {
    // Ids beyond the workload's, so that equal instants keep one order.
    loop_.RunAt(written_[i].first, EventClass::kArrival, workload_.size() + i, [this, i] {
      ++result_.offered;
      const scheduler::SubmitResult submitted = scheduler_->Submit(std::move(written_[i].second));
      const Duration after = scenario_.requests[i].cancel_after;
      if (!submitted.refusal && after > Duration()) {
        ScheduleCancel(submitted.id, after);
      }
    });
  }
  return absl::OkStatus();
}

void Run::ScheduleCancel(RequestId id, Duration after) {
  loop_.RunAt(loop_.Now() + after, EventClass::kCancel, id.value,
              [this, id] { scheduler_->Cancel(id); });
}

absl::Status Run::RunEvents() {
  ScheduleArrival(0);
  while (loop_.RunOne()) {
    if (options_.check_every_event) {
      RETURN_IF_ERROR(CheckDevices(pool_->devices()));
    }
  }
  return absl::OkStatus();
}

void Run::Collect() {
  for (device::Device* device : pool_->devices()) {
    result_.devices.push_back(device->Status());
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
  RETURN_IF_ERROR(RunEvents());
  Collect();
  WriteAnswers();
  RETURN_IF_ERROR(CheckConservation(result_, *scheduler_));
  return std::move(result_);
}

}  // namespace

absl::StatusOr<std::unique_ptr<model::LoadedModel>> LoadScenarioModel(const Scenario& scenario) {
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
