#include "scheduler/admission.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
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

Duration RetryAfter(const AdmissionView& view, int64_t requests) {
  return view.ends == nullptr ? Duration() : view.ends->RetryAfter(view.now, requests, view.id);
}

// `whose`: "acme" or "class batch"; empty: the limits of all.
std::optional<Refusal> CheckLimits(const QueueLoad& waiting, const QueueLoad& own,
                                   const QueueLimits& limits, absl::string_view whose,
                                   const AdmissionView& view) {
  const std::optional<QueueExcess> excess = FindExcess(waiting, own, limits, view.devices);
  if (!excess) {
    return std::nullopt;
  }
  const char* bound = QueueBoundName(excess->bound);
  Refusal refusal;
  refusal.reason = whose.empty() ? RefusalReason::kQueueFull : RefusalReason::kQuota;
  refusal.bound = whose.empty() ? bound : absl::StrCat(whose, " ", bound);
  const std::string of = whose.empty() ? "" : absl::StrCat(" of ", whose);
  if (excess->bound == QueueBound::kTime) {
    refusal.message = absl::StrFormat(
        "the wait%s is predicted to be %.3f s and %.3f more would pass the limit of %.3f", of,
        static_cast<double>(excess->waiting) / 1e9, static_cast<double>(excess->more) / 1e9,
        static_cast<double>(excess->limit) / 1e9);
  } else {
    refusal.message = absl::StrFormat("%d %s%s wait and %d more would pass the limit of %d",
                                      excess->waiting, bound, of, excess->more, excess->limit);
  }
  refusal.needed = excess->waiting + excess->more;
  refusal.limit = excess->limit;
  // Those that have to leave do so in the order of service, among what waits of others. For all,
  // the newcomer stands behind all that waits.
  const __int128 leave = whose.empty() ? static_cast<__int128>(view.queued.requests) + 1
                                       : static_cast<__int128>(excess->to_leave) *
                                             view.queued.requests / waiting.requests;
  refusal.retry_after = RetryAfter(view, std::max<int64_t>(1, static_cast<int64_t>(leave)));
  return refusal;
}

// What may wait, of its class, of its tenant and of all.
std::optional<Refusal> CheckQueue(const Request& request, const SchedulerOptions& options,
                                  const AdmissionView& view) {
  const QueueLoad own = LoadOf(request, view);
  const std::string of_class = absl::StrCat("class ", ServiceClassName(request.service_class));
  const QueueLimits& class_limits =
      options.max_queued_by_class[static_cast<size_t>(request.service_class)];
  if (auto refusal = CheckLimits(view.queued_of_class, own, class_limits, of_class, view)) {
    return refusal;
  }
  const auto named = options.max_queued_of_tenant.find(request.tenant);
  const QueueLimits& tenant_limits =
      named != options.max_queued_of_tenant.end() ? named->second : options.max_queued_by_tenant;
  if (auto refusal = CheckLimits(view.queued_of_tenant, own, tenant_limits,
                                 absl::StrCat("tenant ", request.tenant), view)) {
    return refusal;
  }
  return CheckLimits(view.queued, own, options.max_queued, "", view);
}

}  // namespace

QueueLoad LoadOf(const Request& request, const AdmissionView& view) {
  return {1, static_cast<int64_t>(request.prompt.size()), request.bytes, view.work};
}

bool LimitsTime(const SchedulerOptions& options) {
  const auto timed = [](const QueueLimits& limits) { return limits.time > Duration(); };
  return timed(options.max_queued) || timed(options.max_queued_by_tenant) ||
         std::any_of(options.max_queued_by_class.begin(), options.max_queued_by_class.end(),
                     timed) ||
         std::any_of(options.max_queued_of_tenant.begin(), options.max_queued_of_tenant.end(),
                     [&](const auto& of_tenant) { return timed(of_tenant.second); });
}

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
                   std::max(RetryAfter(view, view.queued.requests + 1), Seconds(1))};
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
