#include "client/library/active_call.h"

#include <grpcpp/support/status.h>

#include <algorithm>
#include <chrono>
#include <string>

#include "client/library/error_detail.h"

namespace scoville::client {
namespace {

constexpr char kRequestIdKey[] = "x-request-id";

std::string RequestIdOf(const grpc::ClientContext& context) {
  const auto& trailing = context.GetServerTrailingMetadata();
  const auto found = trailing.find(kRequestIdKey);
  return found == trailing.end() ? "" : std::string(found->second.data(), found->second.size());
}

}  // namespace

void CallCanceller::Cancel() {
  const std::lock_guard<std::mutex> lock(mutex_);
  cancelled_ = true;
  for (grpc::ClientContext* context : active_) {
    context->TryCancel();
  }
}

bool CallCanceller::cancelled() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return cancelled_;
}

void CallCanceller::Add(grpc::ClientContext* context) {
  const std::lock_guard<std::mutex> lock(mutex_);
  active_.push_back(context);
  if (cancelled_) {
    context->TryCancel();
  }
}

void CallCanceller::Remove(grpc::ClientContext* context) {
  const std::lock_guard<std::mutex> lock(mutex_);
  active_.erase(std::remove(active_.begin(), active_.end(), context), active_.end());
}

ActiveCall::ActiveCall(const CallOptions& options) : canceller_(options.canceller) {
  if (options.timeout > Duration()) {
    context_.set_deadline(std::chrono::system_clock::now() +
                          std::chrono::nanoseconds(options.timeout.value()));
  }
  if (!options.request_id.empty()) {
    context_.AddMetadata(kRequestIdKey, options.request_id);
  }
  context_.set_wait_for_ready(options.wait_for_ready);
  if (canceller_ != nullptr) {
    canceller_->Add(&context_);
  }
}

ActiveCall::~ActiveCall() {
  if (canceller_ != nullptr) {
    canceller_->Remove(&context_);
  }
}

absl::Status ActiveCall::ToStatus(const grpc::Status& status) const {
  if (status.ok()) {
    return absl::OkStatus();
  }
  return MakeCallStatus(static_cast<absl::StatusCode>(status.error_code()), status.error_message(),
                        status.error_details(), RequestIdOf(context_));
}

}  // namespace scoville::client
