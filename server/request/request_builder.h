// From a request on the wire to one the scheduler takes: every limit is checked here, and every
// violation is named by its field.
//
// Knows nothing of calls or transports, so that other protocols and fuzzers use it as it is.
//
// Units: engine time, tokens. Ownership: plain values; the request borrows the model's tokenizer.
// Threading: pure functions, any thread. Errors: a ServiceError; `out` is then unspecified.
#ifndef SCOVILLE_SERVER_REQUEST_REQUEST_BUILDER_H_
#define SCOVILLE_SERVER_REQUEST_REQUEST_BUILDER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "base/units.h"
#include "model/grammar/constraint.h"
#include "model/loaded_model.h"
#include "model/text/detokenizer.h"
#include "scheduler/request.h"
#include "server/errors/service_error.h"

namespace scoville::v1 {
class ChatRequest;
class GenerateRequest;
}  // namespace scoville::v1

namespace scoville::server {

// What a request inherits from its call and from the daemon.
struct RequestContext {
  const model::LoadedModel* model = nullptr;
  std::string metadata_id;  // `x-request-id`; ignored if it is not a legal id
  std::string tenant;       // `x-scoville-tenant`, under the rules of an id; empty: anonymous
  std::string fresh_id;     // used if neither the request nor the metadata has one
  uint64_t fresh_seed = 0;  // used if the request has none
  TimePoint deadline = TimePoint::Max();
  int64_t bytes = 0;              // of the message as the client sent it
  std::shared_ptr<void> booking;  // of those bytes, passed on with the request
};

// How the answer is to be written.
struct OutputPlan {
  std::string request_id;
  model::DetokenizerOptions text;
  bool token_ids = false;
  bool no_text = false;
  bool logprobs = false;
  bool prompt_logprobs = false;
  // End the answer and are no part of its text, in ascending order.
  std::vector<int32_t> stop_tokens = {};
  uint32_t stream_interval = 1;  // tokens a message after the first, at most kMaxChunkTokens
};

// A chunk never stands for more tokens than this.
inline constexpr uint32_t kMaxChunkTokens = 64;

struct BuiltRequest {
  scheduler::Request request;  // without a sink
  uint32_t choices = 1;
  model::ConstraintSpec constraint;  // what request.constraint is to be compiled from
  OutputPlan output;
};

std::optional<ServiceError> BuildGenerate(const v1::GenerateRequest& in,
                                          const RequestContext& context, BuiltRequest* out);
std::optional<ServiceError> BuildChat(const v1::ChatRequest& in, const RequestContext& context,
                                      BuiltRequest* out);

// The id of a request that asks for `asked`, whether or not that is a legal one.
std::string RequestIdOf(absl::string_view asked, const RequestContext& context);

// Beyond this a prompt's text is tokenised by the background worker: this much takes some three
// milliseconds, and each thread that builds requests has streams to serve as well.
inline constexpr size_t kMostTextAtOnce = 16 << 10;

// Bytes of the prompt's text.
size_t TextBytes(const v1::GenerateRequest& in);
size_t TextBytes(const v1::ChatRequest& in);

// 1 to 64 of [A-Za-z0-9._:-].
bool IsRequestId(absl::string_view id);
// The error if `asked` is neither empty nor the served model's id.
std::optional<ServiceError> CheckModel(absl::string_view asked, const model::LoadedModel& model);

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_REQUEST_REQUEST_BUILDER_H_
