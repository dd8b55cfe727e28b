// What the traces of one JSON object a line have in common: lines, counts and block ids, with the
// place of whatever is wrong.
//
// Ownership: none. Threading: pure. Errors: InvalidArgument "file:line: what".
#ifndef SCOVILLE_CLIENT_WORKLOAD_JSON_LINES_H_
#define SCOVILLE_CLIENT_WORKLOAD_JSON_LINES_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace scoville::client {

// Bounds of any trace: a file beyond them is refused.
inline constexpr int64_t kMostTraceTokens = 100'000'000;        // of a prompt or an output
inline constexpr int64_t kMostTraceBlocks = int64_t{32} << 20;  // of all prompts, 128 MiB of ids

absl::Status AtLine(absl::string_view file, int64_t line, absl::string_view what);

// Each line that is not empty, at most `most` of them (0: all), until `row` fails. A line is one
// object of at most 16 MiB; a carriage return before its end is no part of it.
absl::Status ForEachObject(
    absl::string_view text, absl::string_view file, int64_t most,
    absl::FunctionRef<absl::Status(int64_t line, const nlohmann::json& object)> row);

// A whole number from `low` to `high`; false if the field is missing, of another kind or beyond.
bool ReadCount(const nlohmann::json& object, const char* key, int64_t low, int64_t high,
               int64_t* out);

// A list of exactly `count` ids, each from 0 to 2^32 - 1. `left`: how many ids the trace may still
// have; they are taken from it. The error says what is wrong, without a place.
absl::Status ReadBlockIds(const nlohmann::json& object, const char* key, int64_t count,
                          int64_t* left, std::vector<uint32_t>* out);

}  // namespace scoville::client

#endif  // SCOVILLE_CLIENT_WORKLOAD_JSON_LINES_H_
