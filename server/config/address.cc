#include "server/config/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace scoville::server {

namespace {

absl::Status BadAddress(absl::string_view text, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(
      "'", text, "' ", what, "; write HOST:PORT, as in 127.0.0.1:8000, [::1]:8000, localhost:0"));
}

}  // namespace

bool HostPort::is_loopback() const {
  if (host == "localhost") {
    return true;
  }
  in_addr v4;
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) {
    return (ntohl(v4.s_addr) >> 24) == 127;
  }
  in6_addr v6;
  return inet_pton(AF_INET6, host.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

std::string HostPort::ToString() const {
  if (host.find(':') != std::string::npos) {
    return absl::StrCat("[", host, "]:", port);
  }
  return absl::StrCat(host, ":", port);
}

absl::StatusOr<HostPort> ParseHostPort(absl::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos) {
    return BadAddress(text, "has no port");
  }
  absl::string_view host = text.substr(0, colon);
  const absl::string_view port_text = text.substr(colon + 1);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) {
    host = host.substr(1, host.size() - 2);
  }
  if (host.empty()) {
    return BadAddress(text, "has no host");
  }
  HostPort out;
  out.host = std::string(host);
  uint32_t port = 0;
  if (port_text.empty() || !absl::SimpleAtoi(port_text, &port) || port > 65535) {
    return BadAddress(text, "has no port from 0 to 65535");
  }
  out.port = static_cast<uint16_t>(port);
  in_addr v4;
  in6_addr v6;
  const bool is_v6 = inet_pton(AF_INET6, out.host.c_str(), &v6) == 1;
  if (is_v6 != bracketed) {
    return BadAddress(text, is_v6 ? "is IPv6 without brackets" : "has brackets but is not IPv6");
  }
  if (!is_v6 && inet_pton(AF_INET, out.host.c_str(), &v4) != 1 && out.host != "localhost") {
    return BadAddress(text, "has a host that is neither an IP address nor localhost");
  }
  return out;
}

}  // namespace scoville::server
