// The native series of devices and of the pool as a whole. All of them are emulated and say so.
//
// Threading: pure functions. Errors: none.
#ifndef SCOVILLE_SERVER_METRICS_DEVICE_METRICS_H_
#define SCOVILLE_SERVER_METRICS_DEVICE_METRICS_H_

#include "server/metrics/family_writer.h"
#include "server/metrics/metrics_snapshot.h"

namespace scoville::server {

void WriteDevices(const MetricsSnapshot& snapshot, FamilyWriter& out);
void WritePool(const MetricsSnapshot& snapshot, FamilyWriter& out);

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_METRICS_DEVICE_METRICS_H_
