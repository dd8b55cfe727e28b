// A sink that keeps what it is told, for tests that wait for the end on another thread.
//
// Ownership: borrows the answer, which outlives it. Threading: told on the engine thread; the
// tokens may be read once the end is there. Errors: none.
#ifndef SCOVILLE_TESTS_SUPPORT_ANSWER_SINK_H_
#define SCOVILLE_TESTS_SUPPORT_ANSWER_SINK_H_

#include <future>
#include <vector>

#include "absl/types/span.h"
#include "scheduler/request.h"

namespace scoville::tests {

class AnswerSink final : public scheduler::TokenSink {
 public:
  struct Answer {
    std::vector<model::SampledToken> tokens;
    std::promise<scheduler::RequestRecord> end;
  };
  explicit AnswerSink(Answer* answer) : answer_(answer) {}
  void OnPromptScores(int64_t, absl::Span<const model::SampledToken>) override {}
  void OnToken(const model::SampledToken& token, TimePoint) override {
    answer_->tokens.push_back(token);
  }
  void OnEnd(const scheduler::RequestRecord& record) override { answer_->end.set_value(record); }
  bool Congested() const override { return false; }

 private:
  Answer* const answer_;
};

}  // namespace scoville::tests

#endif  // SCOVILLE_TESTS_SUPPORT_ANSWER_SINK_H_
