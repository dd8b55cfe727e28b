#include "server/main/warm_up.h"

#include <future>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "scheduler/names.h"

namespace scoville::server {

namespace {

// Prefill of a few rows, then a decode row.
constexpr int64_t kPromptTokens = 8;
constexpr int64_t kOutputTokens = 2;

struct Progress {
  absl::Status status;
  std::promise<void> done;
};

class WarmUpSink final : public scheduler::TokenSink {
 public:
  explicit WarmUpSink(std::shared_ptr<Progress> progress) : progress_(std::move(progress)) {}
  void OnPromptScores(int64_t, absl::Span<const model::SampledToken>) override {}
  void OnToken(const model::SampledToken&, TimePoint) override {}
  void OnEnd(const scheduler::RequestRecord& record) override {
    if (!scheduler::IsCompletion(record.outcome)) {
      progress_->status = absl::InternalError(
          absl::StrCat("the warm-up request ended with ", scheduler::OutcomeName(record.outcome)));
    }
    progress_->done.set_value();
  }
  bool Congested() const override { return false; }

 private:
  const std::shared_ptr<Progress> progress_;
};

}  // namespace

absl::Status WarmUp(Engine* engine, const std::shared_ptr<Deployment>& deployment) {
  auto progress = std::make_shared<Progress>();
  const bool posted = engine->Post([deployment, progress] {
    if (!deployment->open()) {
      progress->status = absl::UnavailableError("the model was unloaded while it was loaded");
      progress->done.set_value();
      return;
    }
    scheduler::Request request;
    request.external_id = "warm-up";
    request.prompt.assign(kPromptTokens, 0);
    request.max_tokens = kOutputTokens;
    request.sampling.temperature = 0;
    request.sampling.prompt_logprobs = 0;  // so it has nothing to do with the prefix cache
    request.sink = std::make_unique<WarmUpSink>(progress);
    const scheduler::SubmitResult result = deployment->scheduler().Submit(std::move(request));
    if (result.refusal) {
      progress->status = absl::FailedPreconditionError(
          absl::StrCat("the warm-up request was refused: ", result.refusal->message));
      progress->done.set_value();
    }
  });
  if (!posted) {
    return absl::UnavailableError("the engine is stopping");
  }
  progress->done.get_future().wait();
  std::promise<void> forgotten;
  const bool still = engine->Post([&] {
    if (deployment->open()) {
      deployment->metrics()->ForgetWarmUp();
    }
    forgotten.set_value();
  });
  if (still) {
    forgotten.get_future().wait();
  }
  return progress->status;
}

}  // namespace scoville::server
