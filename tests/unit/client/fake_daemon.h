// A daemon in the test's own process that answers as it is told.
//
// Ownership: owns its server. Threading: handlers run on gRPC's threads and read the script, which
// is set before the calls. Errors: none.
#ifndef SCOVILLE_TESTS_UNIT_CLIENT_FAKE_DAEMON_H_
#define SCOVILLE_TESTS_UNIT_CLIENT_FAKE_DAEMON_H_

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "scoville/v1/completions.grpc.pb.h"
#include "scoville/v1/pool.grpc.pb.h"

namespace scoville::client {

class FakeDaemon final : public v1::Completions::Service, public v1::Pool::Service {
 public:
  FakeDaemon() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(static_cast<v1::Completions::Service*>(this));
    builder.RegisterService(static_cast<v1::Pool::Service*>(this));
    server_ = builder.BuildAndStart();
  }
  ~FakeDaemon() override { server_->Shutdown(std::chrono::system_clock::now()); }

  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }

  // The script.
  grpc::Status status;    // of every call, after what it sends
  int chunks = 3;         // of an answer
  bool endless = false;   // chunks until the client goes
  bool no_final = false;  // end with OK but without the final message
  v1::SetPowerBudgetResponse power_answer;
  v1::PoolState pool;  // of GetPool

  // What was seen.
  std::atomic<int> cancelled = 0;
  std::string last_request_id;
  v1::SetPowerBudgetRequest last_power;
  v1::DrainDeviceRequest last_drain;
  v1::InjectFaultRequest last_fault;
  v1::LoadModelRequest last_load;
  std::string last_unload;

  grpc::Status Generate(grpc::ServerContext* context, const v1::GenerateRequest*,
                        grpc::ServerWriter<v1::GenerateResponse>* writer) override {
    return Stream(context, writer);
  }
  grpc::Status Chat(grpc::ServerContext* context, const v1::ChatRequest*,
                    grpc::ServerWriter<v1::ChatResponse>* writer) override {
    return Stream(context, writer);
  }
  grpc::Status Tokenize(grpc::ServerContext*, const v1::TokenizeRequest* request,
                        v1::TokenizeResponse* response) override {
    for (const char c : request->text()) {
      response->add_token_ids(static_cast<uint8_t>(c));
    }
    return status;
  }
  grpc::Status WatchPool(grpc::ServerContext* context, const v1::WatchPoolRequest*,
                         grpc::ServerWriter<v1::WatchPoolResponse>* writer) override {
    v1::WatchPoolResponse response;
    while (!context->IsCancelled()) {
      response.mutable_pool()->set_generation(response.pool().generation() + 1);
      writer->Write(response);
      absl::SleepFor(absl::Milliseconds(1));
    }
    ++cancelled;
    return grpc::Status::CANCELLED;
  }
  grpc::Status GetPool(grpc::ServerContext*, const v1::GetPoolRequest*,
                       v1::GetPoolResponse* response) override {
    *response->mutable_pool() = pool;
    return status;
  }
  grpc::Status DrainDevice(grpc::ServerContext*, const v1::DrainDeviceRequest* request,
                           v1::DrainDeviceResponse* response) override {
    last_drain = *request;
    response->mutable_device()->set_id(request->device());
    response->mutable_device()->set_state(v1::DEVICE_STATE_DRAINING);
    response->mutable_device()->set_running(3);
    return status;
  }
  grpc::Status InjectFault(grpc::ServerContext*, const v1::InjectFaultRequest* request,
                           v1::InjectFaultResponse* response) override {
    last_fault = *request;
    response->mutable_device()->set_state(v1::DEVICE_STATE_READY);
    return status;
  }
  grpc::Status LoadModel(grpc::ServerContext*, const v1::LoadModelRequest* request,
                         v1::LoadModelResponse* response) override {
    last_load = *request;
    response->mutable_model()->set_id(request->model());
    response->mutable_model()->set_state("ready");
    return status;
  }
  grpc::Status UnloadModel(grpc::ServerContext*, const v1::UnloadModelRequest* request,
                           v1::UnloadModelResponse* response) override {
    last_unload = request->model();
    response->set_live_requests(2);
    return status;
  }
  grpc::Status SetPowerBudget(grpc::ServerContext*, const v1::SetPowerBudgetRequest* request,
                              v1::SetPowerBudgetResponse* response) override {
    last_power = *request;
    *response = power_answer;
    return status;
  }
  // A budget leaves 250 W of what is asked for.
  grpc::Status SetDevicePowerCap(grpc::ServerContext*, const v1::SetDevicePowerCapRequest* request,
                                 v1::SetDevicePowerCapResponse* response) override {
    response->set_ceiling_milliwatts(request->cap_milliwatts());
    response->set_cap_milliwatts(250'000);
    response->set_effective_in_ns(1'500'000'000);
    return status;
  }

 private:
  template <typename Response>
  grpc::Status Stream(grpc::ServerContext* context, grpc::ServerWriter<Response>* writer) {
    const auto id = context->client_metadata().find("x-request-id");
    if (id != context->client_metadata().end()) {
      last_request_id.assign(id->second.data(), id->second.size());
    }
    context->AddTrailingMetadata("x-request-id", "fake-1");
    for (int i = 0; endless ? !context->IsCancelled() : i < chunks; ++i) {
      Response response;
      response.mutable_chunk()->set_text(absl::StrCat("word", i, " "));
      response.mutable_chunk()->set_tokens(1);
      writer->Write(response);
      if (endless) {
        absl::SleepFor(absl::Milliseconds(1));
      }
    }
    cancelled += context->IsCancelled() ? 1 : 0;
    if (status.ok() && !no_final) {
      Response response;
      response.mutable_final()->mutable_usage()->set_completion_tokens(chunks);
      writer->Write(response);
    }
    return status;
  }

  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace scoville::client

#endif  // SCOVILLE_TESTS_UNIT_CLIENT_FAKE_DAEMON_H_
