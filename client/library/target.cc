#include "client/library/target.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace scoville::client {
namespace {

bool IsTarget(absl::string_view address) {
  return absl::StrContains(address, "://") || absl::StartsWith(address, "unix:") ||
         absl::StartsWith(address, "unix-abstract:") || absl::StartsWith(address, "ipv4:") ||
         absl::StartsWith(address, "ipv6:") || absl::StartsWith(address, "dns:");
}

std::string WithPort(absl::string_view address) {
  const size_t colon = address.rfind(':');
  const size_t bracket = address.rfind(']');
  const bool has_port =
      colon != absl::string_view::npos && (bracket == absl::string_view::npos || colon > bracket);
  return has_port ? std::string(address) : absl::StrCat(address, ":", kDefaultPort);
}

bool IsDottedNumber(absl::string_view host) {
  return std::count(host.begin(), host.end(), '.') == 3 &&
         std::all_of(host.begin(), host.end(),
                     [](char c) { return absl::ascii_isdigit(c) || c == '.'; });
}

}  // namespace

std::string GrpcTarget(absl::string_view address) {
  if (IsTarget(address)) {
    return std::string(address);
  }
  const std::string full = WithPort(address);
  if (absl::StartsWith(full, "[")) {
    return absl::StrCat("ipv6:", full);
  }
  const bool literal = IsDottedNumber(absl::string_view(full).substr(0, full.rfind(':')));
  return absl::StrCat(literal ? "ipv4:" : "dns:///", full);
}

bool IsLoopback(absl::string_view address) {
  return absl::StartsWith(address, "127.") || absl::StartsWith(address, "localhost") ||
         absl::StartsWith(address, "[::1]") || absl::StartsWith(address, "unix");
}

}  // namespace scoville::client
