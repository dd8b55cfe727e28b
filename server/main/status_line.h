// What the daemon says every ten seconds while it works, and when it is ready.
//
// Threading: pure functions. Errors: none.
#ifndef SCOVILLE_SERVER_MAIN_STATUS_LINE_H_
#define SCOVILLE_SERVER_MAIN_STATUS_LINE_H_

#include <string>
#include <vector>

#include "base/units.h"
#include "server/metrics/metrics_snapshot.h"

namespace scoville::server {

// The deployments as one: tokens, devices, what runs and waits.
CoreSnapshot SumOf(const std::vector<DeploymentSnapshot>& deployments, TimePoint now);

// Rates between two snapshots: tokens/s, running, waiting, KV, watts, tokens/s/W. Empty if nothing
// ran in between, or if other devices did.
std::string StatusLine(const CoreSnapshot& before, const CoreSnapshot& now);

struct BannerFacts {
  std::string version;
  std::string grpc;  // host:port
  std::string http;
  struct Model {
    std::string id;
    std::string executor;
    std::string profile;
    int64_t devices = 0;
    Power cap;  // of all of them
    int64_t kv_blocks_per_device = 0;
  };
  std::vector<Model> models;
  double start_seconds = 0;
};

std::string Banner(const BannerFacts& facts);

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_MAIN_STATUS_LINE_H_
