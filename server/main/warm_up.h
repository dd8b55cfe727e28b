// Runs one short request through the whole core before a deployment is ready: code and
// weights are then in memory, and a device that cannot step is found before a client does.
//
// Threading: any thread but the engine's; waits. Errors: why the request was refused or failed.
#ifndef SCOVILLE_SERVER_MAIN_WARM_UP_H_
#define SCOVILLE_SERVER_MAIN_WARM_UP_H_

#include <memory>

#include "absl/status/status.h"
#include "server/engine/engine.h"

namespace scoville::server {

absl::Status WarmUp(Engine* engine, const std::shared_ptr<Deployment>& deployment);

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_MAIN_WARM_UP_H_
