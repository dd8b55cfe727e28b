// What one scrape shows: the core's counters and state at one instant, and facts of the process.
//
// Ownership: plain values. Threading: made in pieces (the core's on the engine thread), then read
// by whoever renders it. Errors: none.
#ifndef SCOVILLE_SERVER_METRICS_METRICS_SNAPSHOT_H_
#define SCOVILLE_SERVER_METRICS_METRICS_SNAPSHOT_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/units.h"
#include "scheduler/scheduler.h"
#include "server/metrics/core_counters.h"

namespace scoville::server {

// Of one deployment, constant after its start.
struct DeploymentFacts {
  int64_t number = 0;  // counts the deployments of a daemon from 0
  std::string model;   // id
  std::string profile;
  std::string executor;
  int64_t chips_per_device = 1;
  int64_t kv_block_size = 16;
  double overhead_watts_per_chip = 0;  // host, network, rack: the profile's, assumed
};

struct CoreSnapshot {
  CoreCounters counters{0};
  scheduler::PoolStatus pool;
  std::vector<scheduler::NodePowerStatus> budgets{};  // of the budget tree, parents first
  std::vector<std::string> stuck{};                   // what waits for nothing, in words
};

// One (route, method, code) that was counted; every combination that can occur is listed from
// start.
struct HttpRequestCount {
  std::string route;
  std::string method;
  std::string code;
  int64_t count = 0;
};

// One gRPC method since start.
struct GrpcRequestCount {
  std::string service;
  std::string method;
  std::string type;  // "unary" or "server_stream"
  int64_t started = 0;
  int64_t received = 0;                                  // messages
  int64_t sent = 0;                                      // messages
  std::vector<std::pair<std::string, int64_t>> handled;  // by code, all of them
};

struct ProcessSnapshot {
  std::string version;
  bool fault_injection = false;
  bool ready = false;
  bool draining = false;
  double last_turn_unix_seconds = 0;
  int64_t grpc_streams = 0;
  int64_t http_streams = 0;
  std::vector<HttpRequestCount> http;
  std::vector<GrpcRequestCount> grpc;
  double cpu_seconds = 0;
  double start_unix_seconds = 0;
  int64_t resident_bytes = 0;
  int64_t virtual_bytes = 0;
  int64_t open_fds = 0;
  int64_t max_fds = 0;
};

struct DeploymentSnapshot {
  DeploymentFacts facts;
  CoreSnapshot core;
};

struct MetricsSnapshot {
  std::vector<DeploymentSnapshot> deployments;
  ProcessSnapshot process;
};

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_METRICS_METRICS_SNAPSHOT_H_
