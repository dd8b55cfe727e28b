#include "server/request/request_builder.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "scoville/v1/completions.pb.h"
#include "server/request/field_checker.h"
#include "server/request/request_constraint.h"

namespace scoville::server {

namespace {

constexpr size_t kMaxText = 4 << 20;
constexpr size_t kMaxId = 64;
constexpr size_t kMaxModel = 128;
constexpr int kMaxMessages = 1024;
constexpr int kMaxStopStrings = 16;
constexpr size_t kMaxStopBytes = 256;
constexpr int kMaxStopTokens = 64;
constexpr size_t kMaxBias = 1024;
constexpr uint32_t kMaxChoices = 16;
constexpr uint32_t kMaxLogprobs = 20;
constexpr size_t kMaxKey = 64;

bool InVocabulary(uint32_t token, const model::LoadedModel& model) {
  return token < static_cast<uint64_t>(model.tokenizer->vocabulary());
}

std::string OutsideVocabulary(uint32_t token, const model::LoadedModel& model) {
  return absl::StrCat("is ", token, ", the vocabulary has ", model.tokenizer->vocabulary());
}

void ReadBias(const v1::Sampling& in, const model::LoadedModel& model, FieldChecker* check,
              model::SamplingParams* out) {
  check->AtMost("sampling.logit_bias", in.logit_bias().size(), kMaxBias, "entries");
  if (in.logit_bias().size() > kMaxBias) {
    return;
  }
  for (const auto& [token, bias] : in.logit_bias()) {
    out->logit_bias.emplace_back(static_cast<int32_t>(token), bias);
  }
  // The map's own order differs from run to run.
  std::sort(out->logit_bias.begin(), out->logit_bias.end());
  for (const auto& [token, bias] : out->logit_bias) {
    const std::string field =
        absl::StrCat("sampling.logit_bias[", static_cast<uint32_t>(token), "]");
    if (!InVocabulary(static_cast<uint32_t>(token), model)) {
      check->Invalid(field, OutsideVocabulary(static_cast<uint32_t>(token), model));
    }
    check->InRange(field, bias, -100, 100);
  }
}

void ReadSampling(const v1::Sampling& in, const RequestContext& context, FieldChecker* check,
                  BuiltRequest* built) {
  model::SamplingParams* out = &built->request.sampling;
  if (in.has_temperature()) {
    check->InRange("sampling.temperature", in.temperature(), 0, 2);
    out->temperature = in.temperature();
  }
  if (in.has_top_p()) {
    check->AboveZero("sampling.top_p", in.top_p(), 1);
    out->top_p = in.top_p();
  }
  if (in.has_min_p()) {
    check->InRange("sampling.min_p", in.min_p(), 0, 1);
    out->min_p = in.min_p();
  }
  // More than the vocabulary keeps all of it.
  out->top_k =
      static_cast<int32_t>(std::min<int64_t>(in.top_k(), context.model->tokenizer->vocabulary()));
  if (in.has_repetition_penalty()) {
    check->AboveZero("sampling.repetition_penalty", in.repetition_penalty(), 2);
    out->repetition_penalty = in.repetition_penalty();
  }
  check->InRange("sampling.presence_penalty", in.presence_penalty(), -2, 2);
  out->presence_penalty = in.presence_penalty();
  check->InRange("sampling.frequency_penalty", in.frequency_penalty(), -2, 2);
  out->frequency_penalty = in.frequency_penalty();
  out->seed = in.has_seed() ? in.seed() : context.fresh_seed;
  ReadBias(in, *context.model, check, out);
  if (in.has_n() && (in.n() == 0 || in.n() > kMaxChoices)) {
    check->Invalid("sampling.n", absl::StrCat("is ", in.n(), ", must be 1 to ", kMaxChoices));
  } else if (in.has_n()) {
    built->choices = in.n();
  }
}

void ReadStop(const v1::Stop& in, const model::LoadedModel& model, FieldChecker* check,
              BuiltRequest* out) {
  scheduler::Request& request = out->request;
  if (in.has_max_tokens() && in.max_tokens() == 0) {
    check->Invalid("stop.max_tokens", "is 0, must be at least 1; unset is the rest of the context");
  }
  request.max_tokens = in.max_tokens();
  request.min_tokens = in.min_tokens();
  if (in.has_max_tokens() && in.min_tokens() > in.max_tokens()) {
    check->Invalid("stop.min_tokens",
                   absl::StrCat("is ", in.min_tokens(), ", max_tokens is ", in.max_tokens()));
  }
  check->AtMost("stop.strings", in.strings_size(), kMaxStopStrings, "strings");
  for (int i = 0; i < in.strings_size() && i <= kMaxStopStrings; ++i) {
    const std::string& text = in.strings(i);
    if (text.empty() || text.size() > kMaxStopBytes) {
      check->Invalid(absl::StrCat("stop.strings[", i, "]"),
                     absl::StrCat("has ", text.size(), " bytes, must have 1 to ", kMaxStopBytes));
    }
  }
  check->AtMost("stop.token_ids", in.token_ids_size(), kMaxStopTokens, "tokens");
  if (!in.ignore_eos()) {
    const auto ends = model.tokenizer->end_tokens();
    request.stop_tokens.assign(ends.begin(), ends.end());
  }
  for (int i = 0; i < in.token_ids_size() && i <= kMaxStopTokens; ++i) {
    if (!InVocabulary(in.token_ids(i), model)) {
      check->Invalid(absl::StrCat("stop.token_ids[", i, "]"),
                     OutsideVocabulary(in.token_ids(i), model));
    } else {
      request.stop_tokens.push_back(static_cast<int32_t>(in.token_ids(i)));
    }
  }
  if (check->ok() && in.strings_size() > 0) {
    out->output.text.stop_strings.assign(in.strings().begin(), in.strings().end());
    request.stop_strings = model::StopMatcher(out->output.text.stop_strings);
    request.tokenizer = model.tokenizer.get();
  }
  out->output.text.keep_match = in.keep_match();
  if (!in.keep_match()) {
    out->output.stop_tokens = request.stop_tokens;
    std::sort(out->output.stop_tokens.begin(), out->output.stop_tokens.end());
  }
}

void ReadOutput(const v1::Output& in, FieldChecker* check, BuiltRequest* out) {
  OutputPlan& plan = out->output;
  plan.token_ids = in.token_ids();
  plan.no_text = in.no_text();
  plan.text.keep_special_tokens = in.keep_special_tokens();
  plan.stream_interval = std::clamp<uint32_t>(in.stream_interval(), 1, kMaxChunkTokens);
  if (in.echo_prompt()) {
    check->Unsupported("output.echo_prompt", "is not served; write the prompt yourself");
  }
  if (in.has_logprobs()) {
    check->InRange("output.logprobs", in.logprobs(), 0, kMaxLogprobs);
    plan.logprobs = true;
    out->request.sampling.logprobs = static_cast<int32_t>(std::min(in.logprobs(), kMaxLogprobs));
  }
  if (in.has_prompt_logprobs()) {
    check->InRange("output.prompt_logprobs", in.prompt_logprobs(), 0, kMaxLogprobs);
    plan.prompt_logprobs = true;
    out->request.sampling.prompt_logprobs =
        static_cast<int32_t>(std::min(in.prompt_logprobs(), kMaxLogprobs));
  }
}

Duration ReadTarget(const char* field, uint64_t ns, FieldChecker* check) {
  constexpr uint64_t kDay = 86'400'000'000'000;
  if (ns > kDay) {
    check->Invalid(field, absl::StrCat("is ", ns, " ns, the limit is ", kDay, " (a day)"));
    return Duration();
  }
  return Nanoseconds(static_cast<int64_t>(ns));
}

void ReadScheduling(const v1::Scheduling& in, FieldChecker* check, scheduler::Request* out) {
  switch (in.service_class()) {
    case v1::SERVICE_CLASS_INTERACTIVE:
      out->service_class = scheduler::ServiceClass::kInteractive;
      break;
    case v1::SERVICE_CLASS_BATCH:
      out->service_class = scheduler::ServiceClass::kBatch;
      break;
    default:
      out->service_class = scheduler::ServiceClass::kStandard;
  }
  constexpr uint64_t kMost = std::numeric_limits<int64_t>::max();
  if (in.energy_limit_microjoules() > kMost) {
    check->Invalid("scheduling.energy_limit_microjoules",
                   absl::StrCat("is ", in.energy_limit_microjoules(), ", the limit is ", kMost));
  } else {
    out->energy_limit = Energy::FromPicojoules(
        static_cast<__int128>(in.energy_limit_microjoules()) * Energy::kPicojoulesPerMicrojoule);
  }
  out->ttft_target = ReadTarget("scheduling.ttft_target_ns", in.ttft_target_ns(), check);
  out->itl_target = ReadTarget("scheduling.itl_target_ns", in.itl_target_ns(), check);
  out->drafts = !in.no_drafts();
  out->bypass_prefix_cache = in.bypass_prefix_cache();
  out->cache_salt = in.cache_salt();
  check->AtMost("scheduling.cache_salt", in.cache_salt().size(), kMaxKey, "bytes");
  check->AtMost("scheduling.affinity_key", in.affinity_key().size(), kMaxKey, "bytes");
}

void ReadId(absl::string_view id, const RequestContext& context, FieldChecker* check,
            BuiltRequest* out) {
  if (!id.empty() && !IsRequestId(id)) {
    check->Invalid("request_id", absl::StrCat("must be at most ", kMaxId, " of A-Za-z0-9._:-"));
  } else {
    out->output.request_id = RequestIdOf(id, context);
  }
  out->request.external_id = out->output.request_id;
  if (context.tenant.empty()) {
    return;
  }
  if (!IsRequestId(context.tenant)) {
    check->Invalid("x-scoville-tenant",
                   absl::StrCat("must be at most ", kMaxId, " of A-Za-z0-9._:-"));
  } else {
    out->request.tenant = context.tenant;
  }
}

void ReadPrompt(const v1::GenerateRequest& in, const model::LoadedModel& model, FieldChecker* check,
                std::vector<int32_t>* out) {
  switch (in.prompt_case()) {
    case v1::GenerateRequest::kText: {
      check->AtMost("text", in.text().size(), kMaxText, "bytes");
      if (in.text().size() <= kMaxText) {
        model::EncodeOptions options;
        options.add_bos = model.tokenizer->add_bos_by_default();
        *out = model.tokenizer->Encode(in.text(), options).tokens;
        if (out->empty()) {
          check->Invalid("text", "has no tokens, at least 1 is needed");
        }
      }
      return;
    }
    case v1::GenerateRequest::kTokenIds: {
      const auto& ids = in.token_ids().ids();
      if (ids.empty()) {
        check->Invalid("token_ids.ids", "is empty, at least 1 token is needed");
      }
      out->reserve(static_cast<size_t>(ids.size()));
      for (int i = 0; i < ids.size(); ++i) {
        if (!InVocabulary(ids[i], model)) {
          check->Invalid(absl::StrCat("token_ids.ids[", i, "]"), OutsideVocabulary(ids[i], model));
          return;
        }
        out->push_back(static_cast<int32_t>(ids[i]));
      }
      return;
    }
    case v1::GenerateRequest::PROMPT_NOT_SET:
      check->Invalid("prompt", "text or token_ids must be set");
  }
}

void ReadMessages(const v1::ChatRequest& in, const model::LoadedModel& model, FieldChecker* check,
                  std::vector<int32_t>* out) {
  if (model.chat_template == nullptr) {
    check->Unsupported("messages", absl::StrCat("the model has no usable chat template (",
                                                model.chat_error.message(), "); use Generate"));
    return;
  }
  if (in.messages_size() == 0) {
    check->Invalid("messages", "is empty, at least 1 message is needed");
    return;
  }
  check->AtMost("messages", in.messages_size(), kMaxMessages, "messages");
  if (in.messages_size() > kMaxMessages) {
    return;
  }
  std::vector<model::ChatMessage> messages;
  size_t bytes = 0;
  for (int i = 0; i < in.messages_size(); ++i) {
    const std::string& role = in.messages(i).role();
    if (role != "system" && role != "user" && role != "assistant") {
      check->Invalid(
          absl::StrCat("messages[", i, "].role"),
          absl::StrCat("is '", role.substr(0, 32), "', must be system, user or assistant"));
    }
    bytes += in.messages(i).content().size();
    messages.push_back({role, in.messages(i).content()});
  }
  check->AtMost("messages", bytes, kMaxText, "bytes of content");
  if (in.continue_final() && messages.back().role != "assistant") {
    check->Invalid("continue_final", "the last message must be an assistant's");
  }
  if (!check->ok()) {
    return;
  }
  absl::StatusOr<model::Encoding> prompt =
      model.chat_template->Render(messages, in.continue_final());
  if (!prompt.ok()) {
    check->Invalid("messages", prompt.status().message());
    return;
  }
  *out = std::move(prompt->tokens);
}

// All fields that the two requests share; the prompt last, since it costs the most.
template <typename Request, typename Prompt>
std::optional<ServiceError> Build(const Request& in, const RequestContext& context,
                                  BuiltRequest* out, Prompt read_prompt) {
  if (std::optional<ServiceError> error = CheckModel(in.model(), *context.model)) {
    return error;
  }
  FieldChecker check;
  ReadId(in.request_id(), context, &check, out);
  ReadSampling(in.sampling(), context, &check, out);
  ReadStop(in.stop(), *context.model, &check, out);
  ReadConstraint(in.constraint(), in.stop(), &check, &out->constraint);
  ReadOutput(in.output(), &check, out);
  ReadScheduling(in.scheduling(), &check, &out->request);
  out->request.deadline = context.deadline;
  out->request.bytes = context.bytes;
  out->request.booking = context.booking;
  read_prompt(in, *context.model, &check, &out->request.prompt);
  return check.Error();
}

}  // namespace

std::string RequestIdOf(absl::string_view asked, const RequestContext& context) {
  if (IsRequestId(asked)) {
    return std::string(asked);
  }
  return IsRequestId(context.metadata_id) ? context.metadata_id : context.fresh_id;
}

size_t TextBytes(const v1::GenerateRequest& in) { return in.text().size(); }

size_t TextBytes(const v1::ChatRequest& in) {
  size_t bytes = 0;
  for (const v1::ChatMessage& message : in.messages()) {
    bytes += message.content().size();
  }
  return bytes;
}

bool IsRequestId(absl::string_view id) {
  return !id.empty() && id.size() <= kMaxId && std::all_of(id.begin(), id.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == ':' ||
           c == '-';
  });
}

std::optional<ServiceError> CheckModel(absl::string_view asked, const model::LoadedModel& model) {
  if (asked.size() > kMaxModel) {
    return InvalidField("model",
                        absl::StrCat("has ", asked.size(), " bytes, the limit is ", kMaxModel));
  }
  if (!asked.empty() && asked != model.id) {
    return ModelNotFound(asked, model.id);
  }
  return std::nullopt;
}

std::optional<ServiceError> BuildGenerate(const v1::GenerateRequest& in,
                                          const RequestContext& context, BuiltRequest* out) {
  return Build(in, context, out, ReadPrompt);
}

std::optional<ServiceError> BuildChat(const v1::ChatRequest& in, const RequestContext& context,
                                      BuiltRequest* out) {
  return Build(in, context, out, ReadMessages);
}

}  // namespace scoville::server
