// A listen address as it is written: 127.0.0.1:8000, [::1]:8000, localhost:8000.
//
// Port 0 lets the system choose. Threading: pure functions. Errors: InvalidArgument saying what was
// read and how an address is written.
#ifndef SCOVILLE_SERVER_CONFIG_ADDRESS_H_
#define SCOVILLE_SERVER_CONFIG_ADDRESS_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace scoville::server {

struct HostPort {
  std::string host;  // without brackets
  uint16_t port = 0;

  // True for addresses that only this machine can reach.
  bool is_loopback() const;
  // With brackets around an IPv6 host.
  std::string ToString() const;
};

absl::StatusOr<HostPort> ParseHostPort(absl::string_view text);

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_CONFIG_ADDRESS_H_
