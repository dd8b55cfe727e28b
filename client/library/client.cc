#include "client/library/client.h"

#include <grpcpp/grpcpp.h>

#include <utility>

#include "client/library/active_call.h"
#include "client/library/connect_errno.h"
#include "client/library/target.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "scoville/v1/completions.grpc.pb.h"
#include "scoville/v1/pool.grpc.pb.h"

namespace scoville::client {
namespace {

std::shared_ptr<grpc::Channel> Connect(const ClientOptions& options) {
  KeepConnectErrno();
  grpc::ChannelArguments arguments;
  arguments.SetUserAgentPrefix(options.user_agent);
  arguments.SetMaxReceiveMessageSize(static_cast<int>(options.max_message.value()));
  // A look-up of a service configuration costs a DNS query and we have none to find.
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  // A proxy from the environment must not stand between this machine and itself.
  if (IsLoopback(options.address)) {
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  }
  // A daemon that has just started is found soon, and one that is gone is not hammered.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  return grpc::CreateCustomChannel(GrpcTarget(options.address), grpc::InsecureChannelCredentials(),
                                   arguments);
}

// Reads chunks up to the end of the stream.
template <typename Response>
absl::StatusOr<v1::Final> ReadAnswer(ActiveCall& call, grpc::ClientReader<Response>& reader,
                                     const Client::ChunkCallback& on_chunk) {
  Response response;
  v1::Final last;
  bool complete = false;
  bool enough = false;
  while (reader.Read(&response)) {
    if (response.has_final()) {
      last = std::move(*response.mutable_final());
      complete = true;
    } else if (response.has_chunk() && on_chunk && !on_chunk(response.chunk())) {
      call.context().TryCancel();
      enough = true;
      break;
    }
  }
  const absl::Status status = call.ToStatus(reader.Finish());
  if (enough) {
    // The server's end of it may have been on its way already.
    return absl::IsCancelled(status) ? status : absl::CancelledError("the caller had enough");
  }
  if (!status.ok()) {
    return status;
  }
  if (!complete) {
    return absl::InternalError("the daemon ended the stream without a final message");
  }
  return last;
}

Health FromServingStatus(int status) {
  switch (status) {
    case grpc::health::v1::HealthCheckResponse::SERVING:
      return Health::kServing;
    case grpc::health::v1::HealthCheckResponse::NOT_SERVING:
      return Health::kNotServing;
    case grpc::health::v1::HealthCheckResponse::SERVICE_UNKNOWN:
      return Health::kServiceUnknown;
    default:
      return Health::kUnknown;
  }
}

}  // namespace

class Client::Impl {
 public:
  explicit Impl(ClientOptions options)
      : options_(std::move(options)),
        channel_(Connect(options_)),
        completions_(v1::Completions::NewStub(channel_)),
        pool_(v1::Pool::NewStub(channel_)),
        health_(grpc::health::v1::Health::NewStub(channel_)) {}

  // One call with one answer.
  template <typename Request, typename Response, typename Stub>
  absl::StatusOr<Response> Unary(Stub& stub,
                                 grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                              Response*),
                                 const Request& request, const CallOptions& options) {
    ActiveCall call(options);
    Response response;
    const absl::Status status = call.ToStatus((stub.*method)(&call.context(), request, &response));
    if (!status.ok()) {
      return status;
    }
    return response;
  }

  v1::Completions::Stub& completions_stub() { return *completions_; }
  v1::Pool::Stub& pool_stub() { return *pool_; }
  grpc::health::v1::Health::Stub& health_stub() { return *health_; }
  const std::string& address() const { return options_.address; }

 private:
  const ClientOptions options_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<v1::Completions::Stub> completions_;
  const std::unique_ptr<v1::Pool::Stub> pool_;
  const std::unique_ptr<grpc::health::v1::Health::Stub> health_;
};

Client::Client(ClientOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;

const std::string& Client::address() const { return impl_->address(); }

absl::StatusOr<v1::Final> Client::Generate(const v1::GenerateRequest& request,
                                           const CallOptions& options,
                                           const ChunkCallback& on_chunk) {
  ActiveCall call(options);
  const auto reader = impl_->completions_stub().Generate(&call.context(), request);
  return ReadAnswer(call, *reader, on_chunk);
}

absl::StatusOr<v1::Final> Client::Chat(const v1::ChatRequest& request, const CallOptions& options,
                                       const ChunkCallback& on_chunk) {
  ActiveCall call(options);
  const auto reader = impl_->completions_stub().Chat(&call.context(), request);
  return ReadAnswer(call, *reader, on_chunk);
}

absl::StatusOr<v1::TokenizeResponse> Client::Tokenize(const v1::TokenizeRequest& request,
                                                      const CallOptions& options) {
  return impl_->Unary(impl_->completions_stub(), &v1::Completions::Stub::Tokenize, request,
                      options);
}

absl::StatusOr<v1::DetokenizeResponse> Client::Detokenize(const v1::DetokenizeRequest& request,
                                                          const CallOptions& options) {
  return impl_->Unary(impl_->completions_stub(), &v1::Completions::Stub::Detokenize, request,
                      options);
}

absl::StatusOr<v1::ListModelsResponse> Client::ListModels(const CallOptions& options) {
  return impl_->Unary(impl_->completions_stub(), &v1::Completions::Stub::ListModels,
                      v1::ListModelsRequest(), options);
}

absl::StatusOr<v1::PoolState> Client::GetPool(const v1::GetPoolRequest& request,
                                              const CallOptions& options) {
  auto response = impl_->Unary(impl_->pool_stub(), &v1::Pool::Stub::GetPool, request, options);
  if (!response.ok()) {
    return response.status();
  }
  return std::move(*response->mutable_pool());
}

absl::Status Client::WatchPool(const v1::WatchPoolRequest& request, const CallOptions& options,
                               const PoolCallback& on_state) {
  ActiveCall call(options);
  const auto reader = impl_->pool_stub().WatchPool(&call.context(), request);
  v1::WatchPoolResponse response;
  bool enough = false;
  while (!enough && reader->Read(&response)) {
    enough = !on_state(response.pool());
  }
  if (enough) {
    call.context().TryCancel();
  }
  const absl::Status status = call.ToStatus(reader->Finish());
  return enough ? absl::OkStatus() : status;
}

absl::StatusOr<v1::ExplainResponse> Client::Explain(const v1::ExplainRequest& request,
                                                    const CallOptions& options) {
  return impl_->Unary(impl_->pool_stub(), &v1::Pool::Stub::Explain, request, options);
}

absl::StatusOr<v1::SetPowerBudgetResponse> Client::SetPowerBudget(
    const v1::SetPowerBudgetRequest& request, const CallOptions& options) {
  return impl_->Unary(impl_->pool_stub(), &v1::Pool::Stub::SetPowerBudget, request, options);
}

absl::StatusOr<v1::GetPowerBudgetResponse> Client::GetPowerBudget(
    const v1::GetPowerBudgetRequest& request, const CallOptions& options) {
  return impl_->Unary(impl_->pool_stub(), &v1::Pool::Stub::GetPowerBudget, request, options);
}

absl::StatusOr<v1::SetDevicePowerCapResponse> Client::SetDevicePowerCap(
    const v1::SetDevicePowerCapRequest& request, const CallOptions& options) {
  return impl_->Unary(impl_->pool_stub(), &v1::Pool::Stub::SetDevicePowerCap, request, options);
}

absl::StatusOr<v1::DrainDeviceResponse> Client::DrainDevice(const v1::DrainDeviceRequest& request,
                                                            const CallOptions& options) {
  return impl_->Unary(impl_->pool_stub(), &v1::Pool::Stub::DrainDevice, request, options);
}

absl::StatusOr<v1::ReturnDeviceResponse> Client::ReturnDevice(
    const v1::ReturnDeviceRequest& request, const CallOptions& options) {
  return impl_->Unary(impl_->pool_stub(), &v1::Pool::Stub::ReturnDevice, request, options);
}

absl::StatusOr<v1::FenceDeviceResponse> Client::FenceDevice(const v1::FenceDeviceRequest& request,
                                                            const CallOptions& options) {
  return impl_->Unary(impl_->pool_stub(), &v1::Pool::Stub::FenceDevice, request, options);
}

absl::StatusOr<v1::InjectFaultResponse> Client::InjectFault(const v1::InjectFaultRequest& request,
                                                            const CallOptions& options) {
  return impl_->Unary(impl_->pool_stub(), &v1::Pool::Stub::InjectFault, request, options);
}

absl::StatusOr<v1::LoadModelResponse> Client::LoadModel(const v1::LoadModelRequest& request,
                                                        const CallOptions& options) {
  return impl_->Unary(impl_->pool_stub(), &v1::Pool::Stub::LoadModel, request, options);
}

absl::StatusOr<v1::UnloadModelResponse> Client::UnloadModel(const v1::UnloadModelRequest& request,
                                                            const CallOptions& options) {
  return impl_->Unary(impl_->pool_stub(), &v1::Pool::Stub::UnloadModel, request, options);
}

absl::StatusOr<v1::ScaleModelResponse> Client::ScaleModel(const v1::ScaleModelRequest& request,
                                                          const CallOptions& options) {
  return impl_->Unary(impl_->pool_stub(), &v1::Pool::Stub::ScaleModel, request, options);
}

absl::StatusOr<Health> Client::CheckHealth(absl::string_view service, const CallOptions& options) {
  grpc::health::v1::HealthCheckRequest request;
  request.set_service(std::string(service));
  const auto response =
      impl_->Unary(impl_->health_stub(), &grpc::health::v1::Health::Stub::Check, request, options);
  if (response.status().code() == absl::StatusCode::kNotFound) {
    return Health::kServiceUnknown;
  }
  if (!response.ok()) {
    return response.status();
  }
  return FromServingStatus(response->status());
}

}  // namespace scoville::client
