#include <grpcpp/alarm.h>
#include <grpcpp/grpcpp.h>

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/grpc/calls.h"
#include "server/grpc/grpc_error.h"
#include "server/grpc/pool_state.h"
#include "server/grpc/services.h"

namespace scoville::server {

namespace {

constexpr uint64_t kDefaultInterval = 1'000'000'000;
constexpr uint64_t kMinInterval = 100'000'000;
constexpr uint64_t kMaxInterval = 60'000'000'000;

// Ownership: owns itself; freed when gRPC, the alarm and the engine have all answered. Threading:
// its queue's thread, apart from the arrival.
class WatchCall {
 public:
  static void Arm(Services* services, CallContext* shared, size_t thread) {
    auto* call = new WatchCall(services, shared, thread);
    call->context_.AsyncNotifyWhenDone(&call->done_event_);
    services->pool.RequestWatchPool(&call->context_, &call->request_, &call->writer_,
                                    shared->threads[thread]->queue(), shared->threads[0]->queue(),
                                    &call->arrived_event_);
  }

 private:
  WatchCall(Services* services, CallContext* shared, size_t thread)
      : services_(services), shared_(shared), thread_(thread) {}

  void OnArrived(bool ok) {
    if (!ok) {
      delete this;
      return;
    }
    shared_->live_calls.fetch_add(1);
    shared_->stats.Started(Method::kWatchPool);
    shared_->Rearm([this] { Arm(services_, shared_, thread_); });
    shared_->threads[thread_]->Post([this] { Begin(); });
  }

  void Begin() {
    begun_ = true;
    const uint64_t asked = request_.interval_ns();
    interval_ = asked == 0 ? kDefaultInterval : asked;
    if (interval_ < kMinInterval || interval_ > kMaxInterval) {
      Fail(InvalidField("interval_ns", absl::StrCat("is ", asked, ", must be ", kMinInterval,
                                                    " to ", kMaxInterval, ", or 0 for 1 s")));
    } else {
      Query();
    }
    Advance();
  }

  void Query() {
    querying_ = QueryPool(shared_, shared_->threads[thread_].get(), request_.include_requests(),
                          [this](PoolSnapshot snapshot) {
                            querying_ = false;
                            latest_ = std::move(snapshot);  // a slow reader misses the one before
                            WaitForNext();
                            Advance();
                          });
    if (!querying_ && !finishing_) {
      stopped_ = true;
    }
  }

  void WaitForNext() {
    if (context_over_) {
      return;
    }
    waiting_ = true;
    alarm_.Set(shared_->threads[thread_]->queue(),
               WallTimeAfter(Duration(static_cast<int64_t>(interval_))), &alarm_event_);
  }

  void OnAlarm(bool ok) {
    waiting_ = false;
    if (ok && !context_over_ && !finishing_) {
      Query();
    }
    Advance();
  }

  void OnDone(bool) {
    context_over_ = true;
    if (waiting_) {
      alarm_.Cancel();
    }
    Advance();
  }

  void OnWritten(bool) {
    busy_ = false;
    Advance();
  }

  void Advance() {
    if (busy_ || !begun_) {
      return;
    }
    if (!finishing_ && context_over_) {
      Finish(grpc::Status::CANCELLED);
    } else if (!finishing_ && stopped_) {
      Fail(ServerDraining());
    } else if (!finishing_ && latest_) {
      response_.Clear();
      FillPoolState(*latest_, shared_, response_.mutable_pool());
      latest_.reset();
      busy_ = true;
      shared_->stats.Sent(Method::kWatchPool);
      writer_.Write(response_, &written_event_);
    } else if (finishing_ && context_over_ && !waiting_ && !querying_) {
      shared_->live_calls.fetch_sub(1);
      delete this;
    }
  }

  void Fail(const ServiceError& error) {
    for (const auto& [key, value] : TrailersOf(error, "")) {
      context_.AddTrailingMetadata(key, value);
    }
    Finish(ToGrpcStatus(error));
  }

  void Finish(const grpc::Status& status) {
    finishing_ = true;
    busy_ = true;
    shared_->stats.Handled(Method::kWatchPool, status.error_code());
    writer_.Finish(status, &written_event_);
  }

  // Constant after construction.
  Services* const services_;
  CallContext* const shared_;
  const size_t thread_;

  // gRPC's.
  grpc::ServerContext context_;
  v1::WatchPoolRequest request_;
  v1::WatchPoolResponse response_;
  grpc::ServerAsyncWriter<v1::WatchPoolResponse> writer_{&context_};
  grpc::Alarm alarm_;
  MemberEvent<WatchCall> arrived_event_{this, &WatchCall::OnArrived};
  MemberEvent<WatchCall> done_event_{this, &WatchCall::OnDone};
  MemberEvent<WatchCall> written_event_{this, &WatchCall::OnWritten};
  MemberEvent<WatchCall> alarm_event_{this, &WatchCall::OnAlarm};

  // State.
  uint64_t interval_ = 0;  // nanoseconds
  std::optional<PoolSnapshot> latest_;
  bool begun_ = false;         // the request arrived on this thread
  bool querying_ = false;      // the engine was asked
  bool waiting_ = false;       // the alarm is set
  bool busy_ = false;          // a write or the finish is under way
  bool stopped_ = false;       // the engine is gone
  bool finishing_ = false;     // the finish began
  bool context_over_ = false;  // gRPC is done
};

}  // namespace

void ArmWatchCalls(Services* services, CallContext* shared, int count) {
  for (int i = 0; i < count; ++i) {
    for (size_t thread = 0; thread < shared->threads.size(); ++thread) {
      WatchCall::Arm(services, shared, thread);
    }
  }
}

}  // namespace scoville::server
