// A whole daemon's core and gRPC server in one process, with a small model.
//
// Ownership: the fixture owns all of it. Threading: the test's thread. Errors: CHECK failures.
#ifndef SCOVILLE_TESTS_UNIT_SERVER_GRPC_SERVER_FIXTURE_H_
#define SCOVILLE_TESTS_UNIT_SERVER_GRPC_SERVER_FIXTURE_H_

#include <grpcpp/grpcpp.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "scoville/v1/completions.grpc.pb.h"
#include "scoville/v1/pool.grpc.pb.h"
#include "server/engine/engine.h"
#include "server/grpc/grpc_server.h"
#include "server/stream/stream_hub.h"

namespace scoville::tests {

class SilentObserver final : public scheduler::Observer {
 public:
  void OnAdmitted(const scheduler::RequestRecord&) override {}
  void OnRefused(const scheduler::Refusal&, TimePoint) override {}
  void OnPreempted(const scheduler::RequestRecord&, TimePoint) override {}
  void OnMigrated(const scheduler::RequestRecord&, TimePoint) override {}
  void OnDeviceLost(DeviceId, TimePoint) override {}
  void OnStep(const device::StepRecord&) override {}
  void OnToken(const scheduler::RequestRecord&, TimePoint, TimePoint) override {}
  void OnRequest(const scheduler::RequestRecord&) override {}
};

struct FixtureOptions {
  device::ExecutorKind executor = device::ExecutorKind::kFunctional;
  server::EngineOptions engine;
  server::GrpcServerOptions grpc;
  Bytes long_prompts = Bytes(64 << 20);  // that may wait to be tokenised
  Bytes max_queued_bytes = Bytes();      // zero: no limit
  int64_t context = 0;                   // of a synthetic model; zero: its own
  int32_t devices = 2;
  server::ConstraintOptions constraints = {};
};

class ServerFixture {
 public:
  explicit ServerFixture(FixtureOptions options = {});
  ~ServerFixture();

  std::shared_ptr<grpc::Channel> Channel(const grpc::ChannelArguments& arguments = {}) const;

  // Blocks in use over all devices, read on the engine thread.
  int64_t UsedBlocks();
  // True once nothing is open and no block is in use; waits up to 10 s.
  bool ReturnsToBaseline();

  std::unique_ptr<model::LoadedModel> model;
  SilentObserver observer;
  std::unique_ptr<server::Engine> engine;
  std::unique_ptr<server::StreamHub> hub;
  std::unique_ptr<server::BackgroundWorkers> workers;
  std::unique_ptr<server::GrpcServer> server;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::Completions::Stub> completions;
  std::unique_ptr<v1::Pool::Stub> pool;
};

// Everything one streamed call gave.
struct Answer {
  std::string text;
  std::vector<uint32_t> token_ids;
  std::vector<v1::PositionLogprobs> logprobs;
  std::vector<v1::PositionLogprobs> prompt_logprobs;
  std::vector<v1::Chunk> chunks;
  std::optional<v1::Final> final;
  grpc::Status status;
};

Answer Generate(v1::Completions::Stub* stub, const v1::GenerateRequest& request,
                grpc::ClientContext* context);
Answer Generate(v1::Completions::Stub* stub, const v1::GenerateRequest& request);
Answer Chat(v1::Completions::Stub* stub, const v1::ChatRequest& request);

// The reason in a status's details; empty if there is none.
std::string ReasonOf(const grpc::Status& status);
// A number in the same detail; 0 if there is none.
int64_t NumberOf(const grpc::Status& status, const std::string& key);
// The time after which to try again; zero: don't.
Duration RetryOf(const grpc::Status& status);
// The field of its first violation.
std::string FieldOf(const grpc::Status& status);

}  // namespace scoville::tests

#endif  // SCOVILLE_TESTS_UNIT_SERVER_GRPC_SERVER_FIXTURE_H_
