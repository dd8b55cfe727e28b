// The pool as a table or as JSON, with rates between two looks at it.
//
// Rates divide the counters' differences by the daemon's own time, idle included: output tokens per
// second, and output tokens per device joule (which is tokens/s/W).
//
// Ownership: plain values. Threading: pure functions. Errors: none; what cannot be divided is "-"
// or null.
#ifndef SCOVILLE_CLIENT_VIEWS_POOL_VIEW_H_
#define SCOVILLE_CLIENT_VIEWS_POOL_VIEW_H_

#include <string>

#include "client/terminal/terminal.h"
#include "nlohmann/json_fwd.hpp"
#include "scoville/v1/pool.pb.h"

namespace scoville::client {

std::string PoolText(const v1::PoolState& before, const v1::PoolState& now,
                     const Terminal& terminal);

// What is the matter with each device, without rates.
std::string DevicesText(const v1::PoolState& pool, const Terminal& terminal);

// Live requests and what each waits for; empty if there are none.
std::string RequestsText(const v1::PoolState& pool, const Terminal& terminal);

nlohmann::ordered_json PoolJson(const v1::PoolState& before, const v1::PoolState& now);

}  // namespace scoville::client

#endif  // SCOVILLE_CLIENT_VIEWS_POOL_VIEW_H_
