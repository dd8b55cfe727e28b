// What an address means to gRPC.
//
// Threading: pure functions. Errors: none; what is no address fails at the first call.
#ifndef SCOVILLE_CLIENT_LIBRARY_TARGET_H_
#define SCOVILLE_CLIENT_LIBRARY_TARGET_H_

#include <string>

#include "absl/strings/string_view.h"

namespace scoville::client {

inline constexpr int kDefaultPort = 50051;

// A literal address goes past the resolver (a query it would not need costs milliseconds); a name
// gets the default port if it has none; what already is a target stays as it is.
std::string GrpcTarget(absl::string_view address);

// True for addresses that do not leave the machine.
bool IsLoopback(absl::string_view address);

}  // namespace scoville::client

#endif  // SCOVILLE_CLIENT_LIBRARY_TARGET_H_
