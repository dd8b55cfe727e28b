#include "server/grpc/chunk_builder.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "scoville/v1/completions.pb.h"
#include "scoville/v1/errors.pb.h"
#include "server/grpc/usage.h"

namespace scoville::server {

namespace {

void FillLogprob(int32_t token, float logprob, const model::Tokenizer& tokenizer,
                 v1::TokenLogprob* out) {
  const absl::string_view bytes = tokenizer.TokenBytes(token);
  out->set_token_id(static_cast<uint32_t>(token));
  out->set_logprob(logprob);
  out->set_token(bytes.data(), bytes.size());
}

void FillPosition(const model::SampledToken& position, const model::Tokenizer& tokenizer,
                  v1::PositionLogprobs* out) {
  FillLogprob(position.token, position.logprob, tokenizer, out->mutable_chosen());
  for (const model::TokenLogprob& top : position.top) {
    FillLogprob(top.token, top.logprob, tokenizer, out->add_top());
  }
}

v1::FinishReason ReasonOf(scheduler::Outcome outcome) {
  switch (outcome) {
    case scheduler::Outcome::kStop:
      return v1::FINISH_REASON_STOP;
    case scheduler::Outcome::kLength:
      return v1::FINISH_REASON_LENGTH;
    case scheduler::Outcome::kEnergy:
      return v1::FINISH_REASON_ENERGY;
    default:
      CHECK(false);
      return v1::FINISH_REASON_UNSPECIFIED;
  }
}

}  // namespace

ChunkBuilder::ChunkBuilder(const model::LoadedModel* model, OutputPlan plan, uint32_t index)
    : model_(model),
      plan_(std::move(plan)),
      index_(index),
      // A stop string is found again in the text, to say which one it was.
      needs_text_(!plan_.no_text || !plan_.text.stop_strings.empty()),
      detokenizer_(model->tokenizer.get(), plan_.text) {}

void ChunkBuilder::Append(const StreamToken& token, v1::Chunk* chunk) {
  const std::vector<int32_t>& stops = plan_.stop_tokens;
  if (needs_text_ && !std::binary_search(stops.begin(), stops.end(), token.sampled.token)) {
    const std::string text = detokenizer_.Append(token.sampled.token);
    if (!plan_.no_text) {
      chunk->mutable_text()->append(text);
    }
  }
  chunk->set_index(index_);
  chunk->set_tokens(chunk->tokens() + 1);
  chunk->set_engine_time_ns(static_cast<uint64_t>(token.when.ns()));
  if (plan_.token_ids) {
    chunk->add_token_ids(static_cast<uint32_t>(token.sampled.token));
  }
  if (plan_.logprobs) {
    FillPosition(token.sampled, *model_->tokenizer, chunk->add_logprobs());
  }
}

void ChunkBuilder::AppendPromptScores(absl::Span<const model::SampledToken> scores,
                                      v1::Chunk* chunk) {
  chunk->set_index(index_);
  for (const model::SampledToken& position : scores) {
    FillPosition(position, *model_->tokenizer, chunk->add_prompt_logprobs());
  }
}

void ChunkBuilder::Flush(v1::Chunk* chunk) {
  chunk->set_index(index_);
  if (needs_text_) {
    const std::string text = detokenizer_.Flush();
    if (!plan_.no_text) {
      chunk->mutable_text()->append(text);
    }
  }
}

void ChunkBuilder::FinishChoice(const scheduler::RequestRecord& record, v1::ChoiceEnd* out) const {
  out->set_index(index_);
  out->set_finish_reason(ReasonOf(record.outcome));
  out->set_tokens(static_cast<uint64_t>(record.output_tokens));
  out->set_seed(record.seed);
  if (detokenizer_.stopped()) {
    out->set_match(detokenizer_.match());
  }
}

void FillFinal(const model::LoadedModel& model, const scheduler::RequestRecord& record,
               v1::Final* out) {
  FillUsage(record, out->mutable_usage());
  FillRequestEnergy(record, out->mutable_energy());
  FillTimings(record, out->mutable_timings());
  out->set_preemptions(static_cast<uint32_t>(record.preemptions));
  out->set_seed(record.seed);
  out->set_fingerprint(model.fingerprint);
  out->set_request_id(record.external_id);
  out->set_emulated(true);
  out->set_model(model.id);
}

void FillPartialUsage(const scheduler::RequestRecord& record, v1::PartialUsage* out) {
  FillUsage(record, out->mutable_usage());
  FillRequestEnergy(record, out->mutable_energy());
  FillTimings(record, out->mutable_timings());
}

}  // namespace scoville::server
