// The gRPC front of the daemon: scoville.v1, health, reflection.
//
// Two queue threads serve all calls: requests are built there, tokens turned into text and sent.
// Nothing blocks them: long prompts are tokenised and constraints compiled by the background
// workers, the engine is reached through the stream hub and Post.
//
// Life: Start (not serving), SetServing(true), …, SetServing(false), BeginDrain, WaitForStreams,
// Shutdown. A health check answers SERVING only while serving is set.
//
// Units: engine durations, bytes. Ownership: borrows what Start gets, which outlives
// it.
// Threading: all methods from any thread; Shutdown once (the destructor calls it otherwise).
// Errors: Start says why it cannot listen.
#ifndef SCOVILLE_SERVER_GRPC_GRPC_SERVER_H_
#define SCOVILLE_SERVER_GRPC_GRPC_SERVER_H_

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/units.h"
#include "scheduler/core/scale_pool.h"
#include "server/engine/engine.h"
#include "server/runtime/background_worker.h"
#include "server/stream/stream_hub.h"

namespace scoville::server {

struct GrpcServerOptions {
  std::string address = "127.0.0.1:50051";  // port 0: any free one
  Bytes max_receive = Bytes(8 << 20);
  Bytes max_send = Bytes(4 << 20);
  Bytes max_metadata = Bytes(8 << 10);
  Bytes memory = Bytes(512 << 20);  // of the library's buffers
  int32_t streams_per_connection = 1024;
  Duration keepalive_time = Seconds(60);
  Duration keepalive_timeout = Seconds(20);
  Duration min_client_ping_interval = Seconds(10);
  Duration max_connection_age = Seconds(1800);
  Duration max_request_duration = Seconds(600);  // upper bound of every deadline
  int32_t queue_threads = 2;
  bool fault_injection = false;  // InjectFault is answered, not refused
};

// A model to serve beside the others; what is empty or zero is as the daemon's configuration has
// it. With neither path nor card: the built-in made-up model.
struct ModelToLoad {
  std::string id;
  std::string path;
  std::string card;
  std::string executor;
  int64_t devices = 0;
  std::string profile;
  int64_t chips_per_device = 0;
  int64_t kv_blocks = 0;
  Power cap_per_device;
};

// Who loads, unloads and scales models. Called on the queues' threads; must not block.
struct ModelAdmin {
  using Loaded = std::function<void(absl::StatusOr<std::shared_ptr<Deployment>>)>;
  // Calls back once, on any thread. Empty: models cannot be loaded.
  std::function<void(ModelToLoad, Loaded)> load;
  // False if it is on its way out already.
  std::function<bool(const std::shared_ptr<Deployment>&)> unload;
  // On the engine thread, with a deployment that is open: the number of its devices, and the node
  // of its power budget on which new ones hang.
  std::function<absl::StatusOr<scheduler::ScaleAnswer>(Deployment&, int64_t, absl::string_view)>
      scale;
};

// Counts of one method since the start.
struct GrpcMethodCounts {
  std::string service;  // "scoville.v1.Completions"
  std::string method;   // "Generate"
  std::string type;     // "unary" or "server_stream"
  int64_t started = 0;
  std::array<int64_t, 17> handled{};  // by gRPC status code
  int64_t messages_received = 0;
  int64_t messages_sent = 0;
};

// "OK", "CANCELLED", …, of a gRPC status code below 17.
const char* GrpcCodeName(size_t code);

class GrpcServer {
 public:
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Start(const GrpcServerOptions& options,
                                                           Engine* engine, StreamHub* hub,
                                                           BackgroundWorkers* workers,
                                                           std::string version, ModelAdmin models);
  ~GrpcServer();

  // "host:port" with the port that was bound.
  const std::string& address() const;

  void SetServing(bool serving);
  // Says of each model whether it is served: call it now and then.
  void ModelsChanged();
  // Not serving, and the scheduler refuses what comes from now on.
  void BeginDrain();
  // True when no completion stream is open; waits at most `timeout`.
  bool WaitForStreams(Duration timeout);
  // Ends what is left, closes the port and joins the threads.
  void Shutdown();

  int64_t open_streams() const;
  std::vector<GrpcMethodCounts> counts() const;

 private:
  class Impl;
  explicit GrpcServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_GRPC_GRPC_SERVER_H_
