#include "device/executor/host_batcher.h"

#include <algorithm>
#include <utility>

#include "base/status_macros.h"
#include "model/compute/sampler.h"
#include "model/compute/workspace.h"

namespace scoville::device {

namespace {

// A draw counts if every draft before it was what had been drawn.
void KeepAgreed(const SequenceStep& step, SequenceResult& result) {
  for (int64_t i = 0; i < step.drafts && step.samples(); ++i) {
    if (result.tokens[static_cast<size_t>(i)].token !=
        step.tokens[static_cast<size_t>(step.known() + i)]) {
      result.tokens.resize(static_cast<size_t>(i + 1));
      return;
    }
  }
}

}  // namespace

HostBatcher::HostBatcher(EventLoop* loop, ComputePool* compute,
                         const model::Transformer* transformer, int64_t max_rows,
                         std::unique_ptr<model::Transformer::Workspace> workspace)
    : loop_(loop),
      compute_(compute),
      transformer_(transformer),
      max_rows_(max_rows),
      workspace_(std::move(workspace)) {}

HostBatcher::~HostBatcher() {
  CHECK(!busy_);
  if (flush_) {
    loop_->Cancel(flush_);
  }
}

void HostBatcher::Enqueue(absl::Span<const SequenceStep> work, model::KvStorage* kv,
                          Executor::Done done) {
  pending_.push_back(Job{work, kv, std::move(done), {}});
  if (!busy_) {
    ScheduleFlush();
  }
}

void HostBatcher::ScheduleFlush() {
  if (flush_) {
    return;
  }
  // One nanosecond later every device that plans at this instant has handed in its step.
  flush_ = loop_->RunAt(loop_->Now() + Nanoseconds(1), EventClass::kHostResult, 0, [this] {
    flush_ = TimerId{};
    Flush();
  });
}

void HostBatcher::Flush() {
  CHECK(!busy_);
  if (pending_.empty()) {
    return;
  }
  Assemble();
  busy_ = true;
  compute_->Submit([this](Team& team, int lane) { Run(team, lane); }, [this] { Deliver(); });
}

void HostBatcher::Assemble() {
  running_.clear();
  batch_.clear();
  origins_.clear();
  int64_t rows = 0;
  size_t taken = 0;
  for (; taken < pending_.size(); ++taken) {
    int64_t job_rows = 0;
    for (const SequenceStep& step : pending_[taken].work) {
      job_rows += step.count;
    }
    CHECK_LE(job_rows, max_rows_);
    if (rows + job_rows > max_rows_) {
      break;
    }
    rows += job_rows;
    running_.push_back(std::move(pending_[taken]));
  }
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(taken));
  for (size_t j = 0; j < running_.size(); ++j) {
    Job& job = running_[j];
    job.results.resize(job.work.size());
    for (size_t i = 0; i < job.work.size(); ++i) {
      const SequenceStep& step = job.work[i];
      if (step.samples()) {
        job.results[i].tokens.resize(static_cast<size_t>(1 + step.drafts));
      }
      model::BatchSequence sequence;
      sequence.tokens = step.tokens.subspan(step.cached, step.count);
      sequence.position = step.cached;
      sequence.kv = job.kv;
      sequence.blocks = step.blocks;
      // Row r scores the prompt token after it and, if it is the last known token, draws the next.
      const int64_t first_score = std::max(step.score_from, step.cached + 1);
      const int64_t last_score = std::min(step.cached + step.count + 1, step.prompt_tokens);
      sequence.first_output_row = step.samples() ? step.count - 1 - step.drafts : step.count;
      if (first_score < last_score) {
        job.results[i].prompt_scores.resize(last_score - first_score);
        sequence.first_output_row = first_score - 1 - step.cached;
      }
      batch_.push_back(sequence);
      origins_.push_back({j, i});
    }
  }
}

void HostBatcher::Run(Team& team, int lane) {
  transformer_->Forward(
      batch_, *workspace_,
      [this](int sequence, int64_t row, absl::Span<float> logits) {
        ConsumeRow(sequence, row, logits);
      },
      team, lane);
}

void HostBatcher::ConsumeRow(int sequence, int64_t row, absl::Span<float> logits) {
  const Origin origin = origins_[sequence];
  const SequenceStep& step = running_[origin.job].work[origin.index];
  SequenceResult& result = running_[origin.job].results[origin.index];
  const int64_t next = step.cached + row + 1;  // the index this row speaks about
  const int64_t first_score = std::max(step.score_from, step.cached + 1);
  if (next < step.prompt_tokens) {
    if (next >= first_score && !result.prompt_scores.empty()) {
      result.prompt_scores[next - first_score] =
          model::Score(logits, step.tokens[next], step.sampling->prompt_logprobs);
    }
    return;
  }
  if (step.samples() && next >= step.known()) {
    // As if the drafts before it were right; if they are not, the draw is thrown away.
    const int64_t draw = next - step.known();
    model::SampleContext context;
    context.tokens = step.tokens.first(static_cast<size_t>(next));
    context.prompt_tokens = step.prompt_tokens;
    context.suppressed = step.suppressed;
    context.allowed = step.AllowedAt(draw);
    result.tokens[static_cast<size_t>(draw)] = model::Sample(logits, *step.sampling, context);
  }
}

void HostBatcher::Deliver() {
  std::vector<Job> finished = std::exchange(running_, {});
  busy_ = false;
  for (Job& job : finished) {
    for (size_t i = 0; i < job.work.size(); ++i) {
      KeepAgreed(job.work[i], job.results[i]);
    }
    job.done(std::move(job.results));
  }
  if (!pending_.empty()) {
    ScheduleFlush();
  }
}

}  // namespace scoville::device
