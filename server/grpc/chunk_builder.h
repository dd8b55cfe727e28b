// Turns a choice's tokens into chunks, and records into the final message.
//
// Ownership: owns the detokenizer's state; borrows the tokenizer. Threading: one stream, its
// reader's thread. Errors: none.
#ifndef SCOVILLE_SERVER_GRPC_CHUNK_BUILDER_H_
#define SCOVILLE_SERVER_GRPC_CHUNK_BUILDER_H_

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "model/loaded_model.h"
#include "model/text/detokenizer.h"
#include "scheduler/request.h"
#include "server/request/request_builder.h"
#include "server/stream/token_stream.h"

namespace scoville::v1 {
class ChoiceEnd;
class Chunk;
class Final;
class PartialUsage;
}  // namespace scoville::v1

namespace scoville::server {

class ChunkBuilder {
 public:
  // Positions of prompt scores in one chunk: keeps a message below a client's usual limit.
  static constexpr size_t kScoresPerChunk = 512;

  // Of the choice `index`.
  ChunkBuilder(const model::LoadedModel* model, OutputPlan plan, uint32_t index);

  const OutputPlan& plan() const { return plan_; }

  void Append(const StreamToken& token, v1::Chunk* chunk);
  void AppendPromptScores(absl::Span<const model::SampledToken> scores, v1::Chunk* chunk);
  // After the last token: the text that was held back.
  void Flush(v1::Chunk* chunk);

  // Precondition: IsCompletion(record.outcome).
  void FinishChoice(const scheduler::RequestRecord& record, v1::ChoiceEnd* out) const;

 private:
  const model::LoadedModel* const model_;
  const OutputPlan plan_;
  const uint32_t index_;
  const bool needs_text_;
  model::Detokenizer detokenizer_;
};

// All of it but what it says of each choice and of the devices.
void FillFinal(const model::LoadedModel& model, const scheduler::RequestRecord& record,
               v1::Final* out);

// What a request that failed midway had cost.
void FillPartialUsage(const scheduler::RequestRecord& record, v1::PartialUsage* out);

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_GRPC_CHUNK_BUILDER_H_
