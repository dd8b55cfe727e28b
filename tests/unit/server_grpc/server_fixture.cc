#include "tests/unit/server_grpc/server_fixture.h"

#include <google/rpc/error_details.pb.h>
#include <google/rpc/status.pb.h>

#include <chrono>
#include <future>
#include <thread>
#include <utility>

#include "absl/strings/numbers.h"
#include "base/status_macros.h"
#include "client/library/connect_errno.h"
#include "tests/support/tiny_model.h"

namespace scoville::tests {

namespace {

template <typename Response>
Answer ReadAll(grpc::ClientReader<Response>* reader) {
  Answer answer;
  Response response;
  while (reader->Read(&response)) {
    if (response.has_final()) {
      answer.final = response.final();
      continue;
    }
    CHECK(!answer.final.has_value());
    const v1::Chunk& chunk = response.chunk();
    answer.text += chunk.text();
    answer.token_ids.insert(answer.token_ids.end(), chunk.token_ids().begin(),
                            chunk.token_ids().end());
    answer.logprobs.insert(answer.logprobs.end(), chunk.logprobs().begin(), chunk.logprobs().end());
    answer.prompt_logprobs.insert(answer.prompt_logprobs.end(), chunk.prompt_logprobs().begin(),
                                  chunk.prompt_logprobs().end());
    answer.chunks.push_back(chunk);
  }
  answer.status = reader->Finish();
  return answer;
}

template <typename T>
std::optional<T> Detail(const grpc::Status& status) {
  google::rpc::Status details;
  CHECK(details.ParseFromString(status.error_details()));
  for (const auto& any : details.details()) {
    T out;
    if (any.UnpackTo(&out)) return out;
  }
  return std::nullopt;
}

}  // namespace

ServerFixture::ServerFixture(FixtureOptions options) {
  const bool functional = options.executor == device::ExecutorKind::kFunctional;
  auto loaded = functional
                    ? model::LoadModel(WriteTinyModel(MakeTempDir(), 1), model::LoadWeights::kYes)
                    : model::SyntheticModel();
  CHECK(loaded.ok());
  model = *std::move(loaded);
  options.engine.pool.executor = options.executor;
  options.engine.pool.devices = options.devices;
  options.engine.pool.kv_blocks = 1024;
  if (options.context > 0) {
    model->config.context = options.context;
    options.engine.pool.kv_blocks = options.context / 8;
  }
  options.engine.compute_lanes = 1;
  options.engine.constraints = options.constraints;
  auto started = server::Engine::Start(options.engine, model.get(), &observer);
  CHECK(started.ok());
  engine = *std::move(started);
  hub = std::make_unique<server::StreamHub>(engine.get(), options.max_queued_bytes);
  workers = std::make_unique<server::BackgroundWorkers>(options.long_prompts);
  options.grpc.address = "127.0.0.1:0";
  auto listening =
      server::GrpcServer::Start(options.grpc, engine.get(), hub.get(), workers.get(), "test", {});
  CHECK(listening.ok());
  server = *std::move(listening);
  server->SetServing(true);
  channel = Channel();
  completions = v1::Completions::NewStub(channel);
  pool = v1::Pool::NewStub(channel);
}

ServerFixture::~ServerFixture() {
  server.reset();
  workers.reset();
  hub.reset();
  engine.reset();
}

std::shared_ptr<grpc::Channel> ServerFixture::Channel(
    const grpc::ChannelArguments& arguments) const {
  client::KeepConnectErrno();
  grpc::ChannelArguments own = arguments;
  own.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(server->address(), grpc::InsecureChannelCredentials(), own);
}

int64_t ServerFixture::UsedBlocks() {
  int64_t used = 0;
  std::promise<void> done;
  engine->Post([&] {
    for (const device::DeviceStatus& device : engine->scheduler().Status().devices) {
      used += device.kv_blocks_used;
    }
    done.set_value();
  });
  done.get_future().wait();
  return used;
}

bool ServerFixture::ReturnsToBaseline() {
  for (int i = 0; i < 1000; ++i) {
    if (server->open_streams() == 0 && UsedBlocks() == 0) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

Answer Generate(v1::Completions::Stub* stub, const v1::GenerateRequest& request,
                grpc::ClientContext* context) {
  return ReadAll(stub->Generate(context, request).get());
}

Answer Generate(v1::Completions::Stub* stub, const v1::GenerateRequest& request) {
  grpc::ClientContext context;
  return Generate(stub, request, &context);
}

Answer Chat(v1::Completions::Stub* stub, const v1::ChatRequest& request) {
  grpc::ClientContext context;
  return ReadAll(stub->Chat(&context, request).get());
}

std::string ReasonOf(const grpc::Status& status) {
  const auto info = Detail<google::rpc::ErrorInfo>(status);
  return info ? info->reason() : "";
}

int64_t NumberOf(const grpc::Status& status, const std::string& key) {
  const auto info = Detail<google::rpc::ErrorInfo>(status);
  int64_t number = 0;
  const bool found = info && info->metadata().count(key) > 0 &&
                     absl::SimpleAtoi(info->metadata().at(key), &number);
  return found ? number : 0;
}

Duration RetryOf(const grpc::Status& status) {
  const auto retry = Detail<google::rpc::RetryInfo>(status);
  if (!retry) {
    return Duration();
  }
  return Seconds(retry->retry_delay().seconds()) + Nanoseconds(retry->retry_delay().nanos());
}

std::string FieldOf(const grpc::Status& status) {
  const auto bad = Detail<google::rpc::BadRequest>(status);
  return bad && bad->field_violations_size() > 0 ? bad->field_violations(0).field() : "";
}

}  // namespace scoville::tests
