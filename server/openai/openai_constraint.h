// What an OpenAI request says about the form of its answer: response_format, and vLLM's
// guided_regex and guided_choice.
//
// A schema is enforced whether or not it says `strict`: there is no looser mode.
//
// Ownership: plain values. Threading: pure functions. Errors: a ServiceError that names the field.
#ifndef SCOVILLE_SERVER_OPENAI_OPENAI_CONSTRAINT_H_
#define SCOVILLE_SERVER_OPENAI_OPENAI_CONSTRAINT_H_

#include "absl/strings/string_view.h"
#include "scoville/v1/completions.pb.h"
#include "server/openai/json_fields.h"

namespace scoville::server {

// `body` is what `in` was parsed from: properties come in the order in which it lists them.
void ReadOpenAiConstraint(JsonFields& in, absl::string_view body, v1::Constraint* out);

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_OPENAI_OPENAI_CONSTRAINT_H_
