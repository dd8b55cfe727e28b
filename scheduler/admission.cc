#include "scheduler/admission.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "scheduler/names.h"

namespace scoville::scheduler {

namespace {

std::optional<Refusal> CheckShape(const Request& request, const SchedulerOptions& options) {
  if (request.prompt.empty()) {
    return Refusal{
        RefusalReason::kInvalid, "the prompt has no tokens, at least 1 is needed", 1, 0, {}};
  }
  for (size_t i = 0; i < request.prompt.size(); ++i) {
    const int32_t token = request.prompt[i];
    if (token < 0 || token >= options.vocabulary) {
      return Refusal{RefusalReason::kInvalid,
                     absl::StrFormat("prompt token %d is %d, outside the vocabulary of %d", i,
                                     token, options.vocabulary),
                     token,
                     options.vocabulary,
                     {}};
    }
  }
  if (request.max_tokens < 0 || request.min_tokens < 0) {
    return Refusal{
        RefusalReason::kInvalid, "max_tokens and min_tokens must not be negative", 0, 0, {}};
  }
  return std::nullopt;
}

// What may wait, of its class, of its tenant and of all.
std::optional<Refusal> CheckQueue(const Request& request, const SchedulerOptions& options,
                                  const AdmissionView& view) {
  const int64_t prompt = static_cast<int64_t>(request.prompt.size());
  const int64_t of_class = options.max_queued_by_class[static_cast<size_t>(request.service_class)];
  if (of_class > 0 && view.queued_of_class >= of_class) {
    return Refusal{
        RefusalReason::kQuota,
        absl::StrFormat("%d requests of class %s wait, the class's limit is %d",
                        view.queued_of_class, ServiceClassName(request.service_class), of_class),
        view.queued_of_class + 1, of_class, view.retry_after};
  }
  if (options.max_queued_by_tenant > 0 && view.queued_of_tenant >= options.max_queued_by_tenant) {
    return Refusal{RefusalReason::kQuota,
                   absl::StrFormat("%d requests of this tenant wait, a tenant's limit is %d",
                                   view.queued_of_tenant, options.max_queued_by_tenant),
                   view.queued_of_tenant + 1, options.max_queued_by_tenant, view.retry_after};
  }
  if (view.queued_requests >= options.max_queued_requests) {
    return Refusal{RefusalReason::kQueueFull,
                   absl::StrFormat("%d requests wait, the limit is %d", view.queued_requests,
                                   options.max_queued_requests),
                   view.queued_requests + 1, options.max_queued_requests, view.retry_after};
  }
  if (view.queued_requests > 0 && view.queued_tokens + prompt > options.max_queued_tokens) {
    return Refusal{RefusalReason::kQueueFull,
                   absl::StrFormat("%d prompt tokens wait and %d more would pass the limit of %d",
                                   view.queued_tokens, prompt, options.max_queued_tokens),
                   view.queued_tokens + prompt, options.max_queued_tokens, view.retry_after};
  }
  return std::nullopt;
}

}  // namespace

int64_t LastToken(const Request& request, const SchedulerOptions& options,
                  int64_t largest_device_tokens) {
  const int64_t prompt = static_cast<int64_t>(request.prompt.size());
  if (request.max_tokens > 0) {
    return prompt + request.max_tokens;
  }
  return std::min(options.context, largest_device_tokens);
}

std::optional<Refusal> Admit(const Request& request, const SchedulerOptions& options,
                             const AdmissionView& view) {
  if (view.draining) {
    return Refusal{RefusalReason::kDraining, "the server is draining and takes no new requests", 0,
                   0, Seconds(1)};
  }
  if (!view.device_ready) {
    return Refusal{RefusalReason::kNoDevice, "no device is ready", 1, 0, Seconds(1)};
  }
  if (view.class_closed) {
    return Refusal{RefusalReason::kPower,
                   "requests of this class are not taken while the power budget is short", 0, 0,
                   std::max(view.retry_after, Seconds(1))};
  }
  if (auto refusal = CheckShape(request, options)) {
    return refusal;
  }
  const int64_t prompt = static_cast<int64_t>(request.prompt.size());
  const int64_t wanted = prompt + std::max<int64_t>(request.max_tokens, 1);
  if (wanted > options.context) {
    return Refusal{
        RefusalReason::kContextLengthExceeded,
        absl::StrFormat("%d prompt tokens and %d to generate are %d, the model's context is %d",
                        prompt, wanted - prompt, wanted, options.context),
        wanted,
        options.context,
        {}};
  }
  if (wanted > view.largest_device_tokens) {
    return Refusal{RefusalReason::kNeverFits,
                   absl::StrFormat("%d tokens of KV are needed, the largest device holds %d",
                                   wanted, view.largest_device_tokens),
                   wanted,
                   view.largest_device_tokens,
                   {}};
  }
  if (request.deadline <= view.now) {
    return Refusal{RefusalReason::kDeadlineExceeded,
                   "the deadline passed before the request arrived",
                   0,
                   0,
                   {}};
  }
  return CheckQueue(request, options, view);
}

}  // namespace scoville::scheduler
