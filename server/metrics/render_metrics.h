// The text of /metrics.
//
// Two parts: the native series (prefix scoville_, what promtool checks) and the vLLM-compatible
// ones (prefix vllm:, which promtool's lint refuses for the colon but existing dashboards and
// routers ask for). Every label set exists from the first scrape on; no label comes from a client.
//
// Threading: pure functions. Errors: none.
#ifndef SCOVILLE_SERVER_METRICS_RENDER_METRICS_H_
#define SCOVILLE_SERVER_METRICS_RENDER_METRICS_H_

#include <string>

#include "server/metrics/metrics_snapshot.h"

namespace scoville::server {

std::string RenderNativeMetrics(const MetricsSnapshot& snapshot);
std::string RenderVllmMetrics(const MetricsSnapshot& snapshot);

// Both.
std::string RenderMetrics(const MetricsSnapshot& snapshot);

// Energy that no request, no idle time and no waste accounts for; zero, or something is broken.
Energy UnattributedEnergy(const CoreSnapshot& core);

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_METRICS_RENDER_METRICS_H_
