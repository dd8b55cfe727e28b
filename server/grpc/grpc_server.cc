#include "server/grpc/grpc_server.h"

#include <google/protobuf/stubs/logging.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "grpc/health/v1/health.pb.h"
#include "server/grpc/call_context.h"
#include "server/grpc/calls.h"
#include "server/grpc/services.h"
#include "server/grpc/wall_clock.h"
#include "server/runtime/mutex.h"

namespace scoville::server {

namespace {

// Calls that wait for a request, of each method and queue. More that come at once wait inside gRPC.
constexpr int kArmedStreams = 16;
constexpr int kArmedUnary = 2;
// Long enough for goodbyes to leave; an open Health.Watch would hold any longer one to its end.
constexpr Duration kShutdownGrace = Milliseconds(250);
// The engine ends cancelled requests within a step.
constexpr Duration kLastEvents = Seconds(10);

int Millis(Duration d) { return static_cast<int>(d.value() / 1'000'000); }

void Configure(const GrpcServerOptions& options, grpc::ServerBuilder* builder) {
  // Else two daemons could share a port without noticing.
  builder->AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder->SetMaxReceiveMessageSize(static_cast<int>(options.max_receive.value()));
  builder->SetMaxSendMessageSize(static_cast<int>(options.max_send.value()));
  builder->AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE,
                              static_cast<int>(options.max_metadata.value()));
  builder->AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, options.streams_per_connection);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, Millis(options.keepalive_time));
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Millis(options.keepalive_timeout));
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                              Millis(options.min_client_ping_interval));
  builder->AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS, Millis(options.max_connection_age));
  builder->AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS,
                              Millis(options.max_request_duration));
  grpc::ResourceQuota quota("scoville");
  quota.Resize(static_cast<size_t>(options.memory.value()));
  builder->SetResourceQuota(quota);
}

}  // namespace

class GrpcServer::Impl {
 public:
  absl::Status Start(const GrpcServerOptions& options, Engine* engine, StreamHub* hub,
                     BackgroundWorkers* workers, std::string version, ModelAdmin models) {
    shared_.options = options;
    shared_.engine = engine;
    shared_.hub = hub;
    shared_.workers = workers;
    shared_.version = std::move(version);
    shared_.models = std::move(models);
    shared_.entropy = ProcessEntropy();

    // libprotobuf writes a line to stderr for each message whose text is not UTF-8: a log that any
    // client could fill. The call itself is refused with a status, which is counted.
    google::protobuf::SetLogHandler(nullptr);
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    // Reflection finds the health service only if its descriptor is linked in.
    grpc::health::v1::HealthCheckRequest::descriptor();
    grpc::ServerBuilder builder;
    Configure(options, &builder);
    int port = 0;
    builder.AddListeningPort(options.address, grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&services_.completions);
    builder.RegisterService(&services_.pool);
    for (int i = 0; i < std::max(1, options.queue_threads); ++i) {
      shared_.threads.push_back(std::make_shared<QueueThread>(builder.AddCompletionQueue()));
    }
    server_ = builder.BuildAndStart();
    if (server_ == nullptr || port == 0) {
      return absl::UnavailableError(
          absl::StrCat("gRPC cannot listen on ", options.address,
                       ": the address is in use or not this machine's; another daemon may run"));
    }
    SetServing(false);
    address_ = absl::StrCat(options.address.substr(0, options.address.rfind(':')), ":", port);
    ArmCompletionCalls(&services_, &shared_, kArmedStreams);
    ArmUnaryCalls(&services_, &shared_, kArmedUnary);
    ArmWatchCalls(&services_, &shared_, kArmedUnary);
    ArmPowerCalls(&services_, &shared_, kArmedUnary);
    ArmDeviceCalls(&services_, &shared_, kArmedUnary);
    ArmModelCalls(&services_, &shared_, kArmedUnary);
    for (const auto& thread : shared_.threads) {
      thread->Start();
    }
    return absl::OkStatus();
  }

  ~Impl() { Shutdown(); }

  void SetServing(bool serving) {
    shared_.serving = serving;
    grpc::HealthCheckServiceInterface* health = server_->GetHealthCheckService();
    for (const std::string& name :
         {std::string(), std::string(v1::Completions::service_full_name()),
          std::string(v1::Pool::service_full_name())}) {
      health->SetServingStatus(name, serving);
    }
    ModelsChanged();
  }

  void ModelsChanged() {
    std::map<std::string, bool> now;
    for (const std::shared_ptr<Deployment>& deployment : shared_.engine->deployments()) {
      now[deployment->id()] =
          shared_.serving.load() && deployment->state() == DeploymentState::kReady;
    }
    MutexLock lock(&health_mutex_);
    for (const auto& [id, serving] : said_) {
      now.emplace(id, false);  // one that is gone stays known
    }
    grpc::HealthCheckServiceInterface* const health = server_->GetHealthCheckService();
    for (const auto& [id, serving] : now) {
      const auto said = said_.find(id);
      if (said == said_.end() || said->second != serving) {
        health->SetServingStatus(absl::StrCat("model/", id), serving);
      }
    }
    said_ = std::move(now);
  }

  void BeginDrain() {
    shared_.draining = true;
    if (shared_.serving) {
      SetServing(false);  // else watchers would hear it twice
    }
    shared_.engine->Post([engine = shared_.engine] { engine->StartDrain(); });
  }

  bool WaitForStreams(Duration timeout) const {
    return WaitUntilZero(shared_.open_streams, timeout);
  }

  void Shutdown() {
    if (down_) {
      return;
    }
    down_ = true;
    shared_.StopArming();
    if (server_ != nullptr) {
      server_->Shutdown(WallTimeAfter(kShutdownGrace));
      // Arrivals that were already in a queue are counted once its thread has seen them.
      Flush();
      WaitUntilZero(shared_.live_calls, kLastEvents);
    }
    for (const auto& thread : shared_.threads) {
      thread->Close();
    }
  }

  const CallContext& shared() const { return shared_; }
  const std::string& address() const { return address_; }

 private:
  // Returns when each queue's thread has worked off what was posted before.
  void Flush() {
    auto passed =
        std::make_shared<std::atomic<int64_t>>(static_cast<int64_t>(shared_.threads.size()));
    for (const auto& thread : shared_.threads) {
      thread->Post([passed] { passed->fetch_sub(1); });
    }
    WaitUntilZero(*passed, kLastEvents);
  }

  CallContext shared_;
  Services services_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
  bool down_ = false;

  Mutex health_mutex_;
  std::map<std::string, bool> said_ ABSL_GUARDED_BY(health_mutex_);  // by model
};

GrpcServer::GrpcServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
GrpcServer::~GrpcServer() = default;

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(const GrpcServerOptions& options,
                                                              Engine* engine, StreamHub* hub,
                                                              BackgroundWorkers* workers,
                                                              std::string version,
                                                              ModelAdmin models) {
  auto impl = std::make_unique<Impl>();
  absl::Status status =
      impl->Start(options, engine, hub, workers, std::move(version), std::move(models));
  if (!status.ok()) {
    return status;
  }
  return std::unique_ptr<GrpcServer>(new GrpcServer(std::move(impl)));
}

const std::string& GrpcServer::address() const { return impl_->address(); }
void GrpcServer::SetServing(bool serving) { impl_->SetServing(serving); }
void GrpcServer::ModelsChanged() { impl_->ModelsChanged(); }
void GrpcServer::BeginDrain() { impl_->BeginDrain(); }
bool GrpcServer::WaitForStreams(Duration timeout) { return impl_->WaitForStreams(timeout); }
void GrpcServer::Shutdown() { impl_->Shutdown(); }
int64_t GrpcServer::open_streams() const { return impl_->shared().open_streams.load(); }
std::vector<GrpcMethodCounts> GrpcServer::counts() const { return impl_->shared().stats.Counts(); }

}  // namespace scoville::server
