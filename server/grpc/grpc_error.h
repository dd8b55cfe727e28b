// A ServiceError as gRPC carries it: a status with google.rpc details, and trailers.
//
// The details stay within 4 KiB: beyond that a client loses message and details altogether.
//
// Threading: pure functions. Errors: none.
#ifndef SCOVILLE_SERVER_GRPC_GRPC_ERROR_H_
#define SCOVILLE_SERVER_GRPC_GRPC_ERROR_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "server/errors/service_error.h"

namespace grpc {
class Status;
}  // namespace grpc

namespace scoville::server {

inline constexpr size_t kMaxStatusDetails = 4 << 10;

grpc::Status ToGrpcStatus(const ServiceError& error);

// `x-request-id` (if there is one) and, where the reason says whether to try again,
// `grpc-retry-pushback-ms` (-1: don't).
std::vector<std::pair<std::string, std::string>> TrailersOf(const ServiceError& error,
                                                            absl::string_view request_id);

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_GRPC_GRPC_ERROR_H_
