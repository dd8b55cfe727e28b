// Talks to one daemon over gRPC: completions with a call per chunk, and the pool's state.
//
//   client::Client client({.address = "127.0.0.1:50051"});
//   scoville::v1::ChatRequest request;  // scoville/v1/completions.pb.h
//   …
//   auto answer = client.Chat(request, {}, [](const scoville::v1::Chunk& chunk) {
//     std::cout << chunk.text() << std::flush;
//     return true;
//   });
//   if (!answer.ok()) Report(answer.status(), client::DetailOf(answer.status()));
//
// Requests and answers are the messages of the contract itself, so everything the daemon can do is
// at hand; include the generated headers of those you use.
//
// Units: in the messages' field names. Ownership: owns its connection, which is made at the first
// call and again after a loss. Threading: any thread, calls run side by side; a call blocks its
// thread, and callbacks run on that thread. Errors: the daemon's code and message, with
// error_detail.h's details; UNAVAILABLE without a reason if nothing answers (IsUnreachable);
// CANCELLED after a canceller's Cancel or a callback's false.
#ifndef SCOVILLE_CLIENT_LIBRARY_CLIENT_H_
#define SCOVILLE_CLIENT_LIBRARY_CLIENT_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/units.h"
#include "client/library/call_canceller.h"

namespace scoville::v1 {
class ChatRequest;
class Chunk;
class DetokenizeRequest;
class DetokenizeResponse;
class DrainDeviceRequest;
class DrainDeviceResponse;
class ExplainRequest;
class ExplainResponse;
class FenceDeviceRequest;
class FenceDeviceResponse;
class Final;
class GenerateRequest;
class GetPoolRequest;
class GetPowerBudgetRequest;
class GetPowerBudgetResponse;
class InjectFaultRequest;
class InjectFaultResponse;
class ListModelsResponse;
class LoadModelRequest;
class LoadModelResponse;
class PoolState;
class ReturnDeviceRequest;
class ReturnDeviceResponse;
class ScaleModelRequest;
class ScaleModelResponse;
class SetDevicePowerCapRequest;
class SetDevicePowerCapResponse;
class SetPowerBudgetRequest;
class SetPowerBudgetResponse;
class TokenizeRequest;
class TokenizeResponse;
class UnloadModelRequest;
class UnloadModelResponse;
class WatchPoolRequest;
}  // namespace scoville::v1

namespace scoville::client {

struct ClientOptions {
  // host:port, [v6]:port, unix:PATH, or any name gRPC resolves (dns:///…).
  std::string address = "127.0.0.1:50051";
  // Longest answer message taken; the daemon's own limit is 4 MiB.
  Bytes max_message = Bytes(64 << 20);
  std::string user_agent = "scoville-client";
};

struct CallOptions {
  Duration timeout;        // the hard deadline, sent to the daemon; zero: none
  std::string request_id;  // for the daemon's logs and Explain; empty: the daemon gives one
  // Keep trying while nothing listens, instead of failing at once. The way to wait for a daemon
  // that restarts: the library connects while a call waits, and hardly between calls that fail.
  bool wait_for_ready = false;
  CallCanceller* canceller = nullptr;  // borrowed for the call
};

enum class Health { kUnknown, kServing, kNotServing, kServiceUnknown };

class Client {
 public:
  // Returning false ends the call.
  using ChunkCallback = std::function<bool(const v1::Chunk& chunk)>;
  using PoolCallback = std::function<bool(const v1::PoolState& state)>;

  explicit Client(ClientOptions options);
  ~Client();
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;

  absl::StatusOr<v1::Final> Generate(const v1::GenerateRequest& request, const CallOptions& options,
                                     const ChunkCallback& on_chunk);
  absl::StatusOr<v1::Final> Chat(const v1::ChatRequest& request, const CallOptions& options,
                                 const ChunkCallback& on_chunk);
  absl::StatusOr<v1::TokenizeResponse> Tokenize(const v1::TokenizeRequest& request,
                                                const CallOptions& options);
  absl::StatusOr<v1::DetokenizeResponse> Detokenize(const v1::DetokenizeRequest& request,
                                                    const CallOptions& options);
  absl::StatusOr<v1::ListModelsResponse> ListModels(const CallOptions& options);

  absl::StatusOr<v1::PoolState> GetPool(const v1::GetPoolRequest& request,
                                        const CallOptions& options);
  // Until the callback returns false (then OK), the call is cancelled, or the daemon ends it.
  absl::Status WatchPool(const v1::WatchPoolRequest& request, const CallOptions& options,
                         const PoolCallback& on_state);
  absl::StatusOr<v1::ExplainResponse> Explain(const v1::ExplainRequest& request,
                                              const CallOptions& options);

  // The answer of a dry run and of the real call are the same.
  absl::StatusOr<v1::SetPowerBudgetResponse> SetPowerBudget(
      const v1::SetPowerBudgetRequest& request, const CallOptions& options);
  absl::StatusOr<v1::GetPowerBudgetResponse> GetPowerBudget(
      const v1::GetPowerBudgetRequest& request, const CallOptions& options);
  absl::StatusOr<v1::SetDevicePowerCapResponse> SetDevicePowerCap(
      const v1::SetDevicePowerCapRequest& request, const CallOptions& options);

  absl::StatusOr<v1::DrainDeviceResponse> DrainDevice(const v1::DrainDeviceRequest& request,
                                                      const CallOptions& options);
  absl::StatusOr<v1::ReturnDeviceResponse> ReturnDevice(const v1::ReturnDeviceRequest& request,
                                                        const CallOptions& options);
  absl::StatusOr<v1::FenceDeviceResponse> FenceDevice(const v1::FenceDeviceRequest& request,
                                                      const CallOptions& options);
  // Refused unless the daemon was started for it.
  absl::StatusOr<v1::InjectFaultResponse> InjectFault(const v1::InjectFaultRequest& request,
                                                      const CallOptions& options);

  // Answers when the model takes requests.
  absl::StatusOr<v1::LoadModelResponse> LoadModel(const v1::LoadModelRequest& request,
                                                  const CallOptions& options);
  absl::StatusOr<v1::UnloadModelResponse> UnloadModel(const v1::UnloadModelRequest& request,
                                                      const CallOptions& options);
  absl::StatusOr<v1::ScaleModelResponse> ScaleModel(const v1::ScaleModelRequest& request,
                                                    const CallOptions& options);

  // Of grpc.health.v1: "" is the whole daemon, "model/<id>" a model.
  absl::StatusOr<Health> CheckHealth(absl::string_view service, const CallOptions& options);

  const std::string& address() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace scoville::client

#endif  // SCOVILLE_CLIENT_LIBRARY_CLIENT_H_
