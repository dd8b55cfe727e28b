#include "server/main/daemon.h"

#include <signal.h>
#include <stdio.h>

#include <atomic>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "server/config/deployments.h"
#include "server/engine/engine.h"
#include "server/grpc/grpc_server.h"
#include "server/http/core_reader.h"
#include "server/http/http_router.h"
#include "server/http/http_server.h"
#include "server/http/process_facts.h"
#include "server/http/serving_state.h"
#include "server/http/status_endpoints.h"
#include "server/main/command_line.h"
#include "server/main/model_loader.h"
#include "server/main/service_manager.h"
#include "server/main/signals.h"
#include "server/main/status_line.h"
#include "server/openai/openai_endpoints.h"
#include "server/runtime/background_worker.h"
#include "server/stream/stream_hub.h"

namespace scoville::server {

namespace {

constexpr Duration kHeartbeat = Seconds(1);
constexpr int kHeartbeatsPerStatusLine = 10;
// How long ended requests may take to tell their clients.
constexpr Duration kFlushTime = Seconds(5);
// Of prompts that wait to be tokenised: sixteen of the longest. Constraints count as well.
constexpr Bytes kLongPrompts = Bytes(64 << 20);
constexpr Duration kIdlePoll = Milliseconds(20);

// Why no device of a deployment takes work; empty: one does.
std::string NoDevice(const scheduler::PoolStatus& pool) {
  int lost = 0;
  int drained = 0;
  for (const scheduler::DeviceHealth& health : pool.health) {
    switch (health.state) {
      case device::DeviceState::kLost:
        ++lost;
        break;
      case device::DeviceState::kDraining:
      case device::DeviceState::kDrained:
        ++drained;
        break;
      case device::DeviceState::kRemoved:
        break;  // nobody misses it
      default:
        return "";
    }
  }
  return absl::StrFormat("%d lost, %d draining or drained", lost, drained);
}

// Why no model has a device that takes work; empty: one has.
std::string NoDevice(const CoreReader::Snapshot& core) {
  if (core.deployments.empty()) {
    return "no model is served";
  }
  std::vector<std::string> reasons;
  for (const DeploymentSnapshot& d : core.deployments) {
    const std::string reason = NoDevice(d.core.pool);
    if (reason.empty()) {
      return "";
    }
    reasons.push_back(absl::StrCat(d.facts.model, ": ", reason));
  }
  return absl::StrCat("no device takes work: ", absl::StrJoin(reasons, "; "));
}

std::string Stuck(const CoreReader::Snapshot& core) {
  std::vector<std::string> reasons;
  for (const DeploymentSnapshot& d : core.deployments) {
    for (const std::string& stuck : d.core.stuck) {
      reasons.push_back(absl::StrCat(d.facts.model, ": ", stuck));
    }
  }
  return absl::StrJoin(reasons, "; ");
}

// How waiting for the end of all work ended.
enum class Quiet { kYes, kTimeout, kSignal };

}  // namespace

class Daemon::Impl {
 public:
  Impl(const LoadedConfig& loaded, std::string default_model_path, std::string notify_socket,
       bool interactive, Logger* logger)
      : config_(loaded.config),
        default_model_path_(std::move(default_model_path)),
        interactive_(interactive),
        log_(logger),
        manager_(std::move(notify_socket)),
        start_unix_seconds_(UnixSeconds()),
        state_(config_.limits.progress_timeout) {}

  int Run();

 private:
  absl::Status Start();
  absl::Status ListenHttp();
  absl::Status StartGrpc();
  std::vector<GrpcRequestCount> GrpcCounts() const;
  void ServeHttp();
  void Ready();
  BannerFacts Facts();
  // One turn of the heartbeat, on the HTTP thread; arms the next.
  void Beat();
  void OnHeartbeat(const CoreReader::Snapshot& core);
  // Health checks hear of it, and the log.
  void SayWhetherReady();
  int Drain(int signal);
  Quiet WaitUntilQuiet(Duration limit);
  void Stop();

  int64_t open_streams() const { return grpc_->open_streams() + openai_->open_streams(); }

  const ServerConfig config_;
  const std::string default_model_path_;
  const bool interactive_;
  Logger* const log_;
  const ServiceManager manager_;
  const double start_unix_seconds_;
  int exit_code_ = kExitFailed;  // if Start fails

  ServingState state_;
  HttpRouter router_;
  std::unique_ptr<HttpServer> http_;
  std::unique_ptr<CoreReader> reader_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<StreamHub> hub_;
  std::unique_ptr<BackgroundWorkers> workers_;
  std::unique_ptr<ModelLoader> loader_;
  std::unique_ptr<OpenAiEndpoints> openai_;
  std::unique_ptr<GrpcServer> grpc_;
  std::atomic<bool> engine_idle_{false};

  // HTTP thread.
  int beats_ = 0;
  bool said_ready_ = true;
  CoreSnapshot last_line_;
};

int Daemon::Impl::Run() {
  if (const absl::Status started = Start(); !started.ok()) {
    log_->Error(started.message());
    Stop();
    return exit_code_;
  }
  Ready();
  int signal = 0;
  while ((signal = WaitForSignal(Seconds(3600))) == 0) {
  }
  const int exit_code = Drain(signal);
  Stop();
  log_->Info("stopped");
  return exit_code;
}

absl::Status Daemon::Impl::Start() {
  RETURN_IF_ERROR(ListenHttp());
  engine_ = Engine::Start(static_cast<int>(config_.compute.lanes));
  hub_ = std::make_unique<StreamHub>(engine_.get(), config_.limits.max_queued_bytes);
  workers_ = std::make_unique<BackgroundWorkers>(kLongPrompts);
  loader_ = std::make_unique<ModelLoader>(config_, default_model_path_, engine_.get(), log_);
  exit_code_ = kExitConfig;
  for (const ServerConfig& own : EachDeployment(config_)) {
    RETURN_IF_ERROR(loader_->Load(own).status());
  }
  exit_code_ = kExitFailed;
  RETURN_IF_ERROR(StartGrpc());
  ServeHttp();
  for (const std::shared_ptr<Deployment>& deployment : engine_->deployments()) {
    RETURN_IF_ERROR(loader_->MakeReady(deployment));
  }
  return absl::OkStatus();
}

absl::Status Daemon::Impl::ListenHttp() {
  ASSIGN_OR_RETURN(const HostPort address, ParseHostPort(config_.listeners.http));
  HttpLimits limits;
  limits.connections = config_.limits.http_connections;
  limits.body = config_.limits.http_body;
  ASSIGN_OR_RETURN(http_, HttpServer::Listen(address, limits));
  return absl::OkStatus();
}

absl::Status Daemon::Impl::StartGrpc() {
  GrpcServerOptions options;
  options.address = config_.listeners.grpc;
  options.max_request_duration = config_.limits.max_request_duration;
  options.fault_injection = config_.faults.enabled;
  ModelAdmin models;
  models.load = [this](const ModelToLoad& model, ModelAdmin::Loaded loaded) {
    loader_->LoadAside(model, std::move(loaded));
  };
  models.unload = [this](const std::shared_ptr<Deployment>& deployment) {
    return loader_->Unload(deployment);
  };
  models.scale = [this](Deployment& deployment, int64_t devices, absl::string_view node) {
    return loader_->Scale(deployment, devices, node);
  };
  ASSIGN_OR_RETURN(grpc_, GrpcServer::Start(options, engine_.get(), hub_.get(), workers_.get(),
                                            SCOVILLE_VERSION, std::move(models)));
  return absl::OkStatus();
}

std::vector<GrpcRequestCount> Daemon::Impl::GrpcCounts() const {
  std::vector<GrpcRequestCount> out;
  for (const GrpcMethodCounts& method : grpc_->counts()) {
    GrpcRequestCount row{
        method.service,           method.method,        method.type, method.started,
        method.messages_received, method.messages_sent, {}};
    for (size_t code = 0; code < method.handled.size(); ++code) {
      row.handled.emplace_back(GrpcCodeName(code), method.handled[code]);
    }
    out.push_back(std::move(row));
  }
  return out;
}

void Daemon::Impl::ServeHttp() {
  reader_ = std::make_unique<CoreReader>(engine_.get(), http_.get());
  StatusSources sources;
  sources.version = SCOVILLE_VERSION;
  sources.fault_injection = config_.faults.enabled;
  sources.state = &state_;
  sources.engine = engine_.get();
  sources.reader = reader_.get();
  sources.router = &router_;
  sources.grpc_streams = [this] { return grpc_->open_streams(); };
  sources.http_streams = [this] { return openai_->open_streams(); };
  sources.grpc_counts = [this] { return GrpcCounts(); };
  sources.start_unix_seconds = start_unix_seconds_;
  sources.grpc_address = grpc_->address();
  AddStatusEndpoints(sources, &router_);
  OpenAiEndpoints::Options options;
  options.max_request_duration = config_.limits.max_request_duration;
  options.start_unix_seconds = start_unix_seconds_;
  options.salt = static_cast<uint64_t>(start_unix_seconds_ * 1e9);
  openai_ = std::make_unique<OpenAiEndpoints>(options, engine_.get(), hub_.get(), http_.get(),
                                              workers_.get());
  openai_->AddTo(&router_);
  http_->Serve(
      [this](std::shared_ptr<HttpExchange> exchange) { router_.Handle(std::move(exchange)); },
      [this](absl::string_view method, absl::string_view path, int status) {
        router_.Count(method, path, status);
      });
}

BannerFacts Daemon::Impl::Facts() {
  BannerFacts out;
  out.version = SCOVILLE_VERSION;
  out.grpc = grpc_->address();
  HostPort http = *ParseHostPort(config_.listeners.http);
  http.port = http_->port();
  out.http = http.ToString();
  for (const DeploymentSnapshot& d : reader_->last().deployments) {
    BannerFacts::Model model;
    model.id = d.facts.model;
    model.executor = d.facts.executor;
    model.profile = d.facts.profile;
    for (const device::DeviceStatus& device : d.core.pool.devices) {
      ++model.devices;
      model.cap += device.cap;
      model.kv_blocks_per_device = device.kv_blocks_total;
    }
    out.models.push_back(std::move(model));
  }
  out.start_seconds = UnixSeconds() - start_unix_seconds_;
  return out;
}

void Daemon::Impl::Ready() {
  state_.set_phase(ServingPhase::kReady);
  grpc_->SetServing(true);
  manager_.Notify("READY=1");
  http_->Post([this] {
    reader_->Read([this](const CoreReader::Snapshot& core) {
      last_line_ = SumOf(core.deployments, core.now);
      const BannerFacts facts = Facts();
      if (log_->format() == LogFormat::kText) {
        const std::string banner = Banner(facts);
        fputs(banner.c_str(), stderr);
      } else {
        for (const BannerFacts::Model& model : facts.models) {
          log_->Info("ready", {{"version", facts.version},
                               {"grpc", facts.grpc},
                               {"http", facts.http},
                               {"model", model.id},
                               {"executor", model.executor},
                               {"profile", model.profile},
                               {"devices", absl::StrCat(model.devices)},
                               {"caps_watts", absl::StrCat(ToWatts(model.cap))},
                               {"emulated", "true"},
                               {"start_seconds", absl::StrFormat("%.3f", facts.start_seconds)}});
        }
      }
      Beat();
    });
  });
}

void Daemon::Impl::Beat() {
  http_->PostAfter(kHeartbeat, [this] {
    reader_->Read([this](const CoreReader::Snapshot& core) {
      OnHeartbeat(core);
      Beat();
    });
  });
}

void Daemon::Impl::OnHeartbeat(const CoreReader::Snapshot& core) {
  const CoreSnapshot sum = SumOf(core.deployments, core.now);
  ServingState::EngineReport report;
  report.now = core.now;
  report.running = -sum.pool.paused;
  for (size_t i = 0; i < sum.pool.devices.size(); ++i) {
    report.running += sum.pool.running[i];
    report.steps += sum.pool.devices[i].steps;
  }
  report.stuck = Stuck(core);
  report.no_device = NoDevice(core);
  state_.Report(report);
  if (state_.NotLive(engine_->Now(), engine_->LastTurn()).empty()) {
    manager_.Notify("WATCHDOG=1");
  }
  SayWhetherReady();
  grpc_->ModelsChanged();
  if (++beats_ % kHeartbeatsPerStatusLine == 0) {
    if (const std::string line = StatusLine(last_line_, sum); !line.empty()) {
      log_->Info(line);
    }
    last_line_ = sum;
  }
}

void Daemon::Impl::SayWhetherReady() {
  if (state_.phase() != ServingPhase::kReady) {
    return;  // the drain has said so
  }
  const std::string wrong = state_.NotReady(engine_->Now(), engine_->LastTurn());
  if (wrong.empty() == said_ready_) {
    return;
  }
  said_ready_ = wrong.empty();
  grpc_->SetServing(said_ready_);
  if (state_.phase() != ServingPhase::kReady) {
    grpc_->SetServing(false);  // a drain began meanwhile
  }
  if (said_ready_) {
    log_->Info("ready again");
  } else {
    log_->Error("not ready", {{"why", wrong}});
  }
}

Quiet Daemon::Impl::WaitUntilQuiet(Duration limit) {
  const TimePoint end = engine_->Now() + limit;
  while (true) {
    // Read on the engine thread, looked at here a poll later: a stalled engine cannot hold the
    // drain.
    engine_idle_.store(false);
    engine_->Post([this] { engine_idle_.store(engine_->idle()); });
    if (WaitForSignal(kIdlePoll) != 0) {
      return Quiet::kSignal;
    }
    if (engine_idle_.load() && open_streams() == 0) {
      return Quiet::kYes;
    }
    if (engine_->Now() >= end) {
      return Quiet::kTimeout;
    }
  }
}

int Daemon::Impl::Drain(int signal) {
  const bool at_once = signal == SIGINT && interactive_;
  const Duration lameduck = at_once ? Duration() : config_.drain.lameduck;
  state_.set_phase(ServingPhase::kLameduck);
  grpc_->SetServing(false);
  manager_.Notify("STOPPING=1");
  log_->Info("draining; a second signal ends everything at once",
             {{"signal", signal == SIGINT ? "SIGINT" : "SIGTERM"},
              {"lameduck_seconds", absl::StrCat(ToSeconds(lameduck))},
              {"deadline_seconds", absl::StrCat(ToSeconds(config_.drain.deadline))}});
  Quiet quiet = Quiet::kTimeout;
  if (lameduck > Duration() && WaitForSignal(lameduck) != 0) {
    quiet = Quiet::kSignal;
  }
  state_.set_phase(ServingPhase::kDraining);
  grpc_->BeginDrain();
  engine_->Post([this] { engine_->StartDrain(); });
  if (quiet != Quiet::kSignal) {
    quiet = WaitUntilQuiet(config_.drain.deadline);
  }
  if (quiet != Quiet::kYes) {
    log_->Warn(quiet == Quiet::kSignal ? "second signal: ending what is left"
                                       : "drain.deadline is over: ending what is left");
    engine_->Post([this] { engine_->EndAll(scheduler::Outcome::kDraining); });
    WaitUntilQuiet(kFlushTime);
  }
  return quiet == Quiet::kSignal ? kExitFailed : kExitOk;
}

void Daemon::Impl::Stop() {
  if (grpc_ != nullptr) {
    grpc_->Shutdown();
  }
  if (http_ != nullptr) {
    http_->Stop();
  }
  // Their jobs come back to both servers, which drop what comes now.
  workers_.reset();
  loader_.reset();
  // The engine's last callbacks use what is freed after it.
  grpc_.reset();
  engine_.reset();
  openai_.reset();
  hub_.reset();
  reader_.reset();
  http_.reset();
}

Daemon::Daemon(const LoadedConfig& loaded, std::string default_model_path,
               std::string notify_socket, bool interactive, Logger* logger)
    : impl_(std::make_unique<Impl>(loaded, std::move(default_model_path), std::move(notify_socket),
                                   interactive, logger)) {}
Daemon::~Daemon() = default;
int Daemon::Run() { return impl_->Run(); }

}  // namespace scoville::server
