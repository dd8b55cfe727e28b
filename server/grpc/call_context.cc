#include "server/grpc/call_context.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "base/random.h"

namespace scoville::server {

uint64_t CallContext::Draw() { return RandomBits(entropy, 0, draws.fetch_add(1)); }

std::string CallContext::FreshId() { return absl::StrFormat("req-%016x", Draw()); }

TimePoint CallContext::DeadlineOf(WallTime deadline) const {
  const Duration longest = options.max_request_duration;
  return engine->Now() + std::min(longest, TimeLeft(deadline, longest));
}

}  // namespace scoville::server
