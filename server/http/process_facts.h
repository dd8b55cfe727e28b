// What the kernel says of this process: CPU, memory, descriptors.
//
// Units: seconds, bytes. Threading: any. Errors: what cannot be read stays zero.
#ifndef SCOVILLE_SERVER_HTTP_PROCESS_FACTS_H_
#define SCOVILLE_SERVER_HTTP_PROCESS_FACTS_H_

#include "server/metrics/metrics_snapshot.h"

namespace scoville::server {

// Fills the fields of the process_ series.
void ReadProcessFacts(ProcessSnapshot* out);

// Seconds since 1970, now.
double UnixSeconds();

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_HTTP_PROCESS_FACTS_H_
