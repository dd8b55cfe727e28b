// The generated services of this server, in one place so that few files compile them.
//
// Ownership: owned by the server. Threading: as gRPC's. Errors: none.
#ifndef SCOVILLE_SERVER_GRPC_SERVICES_H_
#define SCOVILLE_SERVER_GRPC_SERVICES_H_

#include "scoville/v1/completions.grpc.pb.h"
#include "scoville/v1/pool.grpc.pb.h"

namespace scoville::server {

struct Services {
  v1::Completions::AsyncService completions;
  v1::Pool::AsyncService pool;
};

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_GRPC_SERVICES_H_
