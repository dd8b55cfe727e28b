// How a deployment is written on the wire.
//
// Threading: pure functions. Errors: none.
#ifndef SCOVILLE_SERVER_GRPC_MODEL_CALLS_H_
#define SCOVILLE_SERVER_GRPC_MODEL_CALLS_H_

#include "server/engine/deployment.h"

namespace scoville::v1 {
class Model;
}  // namespace scoville::v1

namespace scoville::server {

// `serving`: the daemon takes requests.
void FillModel(const Deployment& deployment, bool serving, v1::Model* out);

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_GRPC_MODEL_CALLS_H_
