// The endpoints that say how the daemon is: /metrics, /healthz, /readyz, /health, /version, /.
//
// Ownership: borrows everything in StatusSources, which outlives the server. Threading: HTTP
// thread. Errors: none.
#ifndef SCOVILLE_SERVER_HTTP_STATUS_ENDPOINTS_H_
#define SCOVILLE_SERVER_HTTP_STATUS_ENDPOINTS_H_

#include <functional>
#include <string>
#include <vector>

#include "server/engine/engine.h"
#include "server/http/core_reader.h"
#include "server/http/http_router.h"
#include "server/http/serving_state.h"
#include "server/metrics/metrics_snapshot.h"

namespace scoville::server {

struct StatusSources {
  std::string version;
  bool fault_injection = false;
  const ServingState* state = nullptr;
  Engine* engine = nullptr;
  CoreReader* reader = nullptr;
  HttpRouter* router = nullptr;
  std::function<int64_t()> grpc_streams;
  std::function<int64_t()> http_streams;
  std::function<std::vector<GrpcRequestCount>()> grpc_counts;
  double start_unix_seconds = 0;
  std::string grpc_address;  // for the plain page
};

void AddStatusEndpoints(const StatusSources& sources, HttpRouter* router);

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_HTTP_STATUS_ENDPOINTS_H_
