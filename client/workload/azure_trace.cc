#include "client/workload/azure_trace.h"

#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/random.h"
#include "base/status_macros.h"

namespace scoville::client {

namespace {

constexpr uint64_t kSeedStream = 4;
constexpr int64_t kMostTokens = 100'000'000;

// Days since 1970-01-01 of a proleptic Gregorian date (Howard Hinnant, "chrono-compatible low-level
// date algorithms").
int64_t DaysFromCivil(int64_t y, int64_t m, int64_t d) {
  y -= m <= 2;
  const int64_t era = (y >= 0 ? y : y - 399) / 400;
  const int64_t yoe = y - era * 400;
  const int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
  const int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
  return era * 146'097 + doe - 719'468;
}

int64_t DaysInMonth(int64_t y, int64_t m) {
  return (m == 12 ? DaysFromCivil(y + 1, 1, 1) : DaysFromCivil(y, m + 1, 1)) -
         DaysFromCivil(y, m, 1);
}

// A number of exactly the given digits at the front of `text`, which it is taken from.
bool TakeDigits(absl::string_view& text, size_t digits, int64_t* out) {
  if (text.size() < digits) {
    return false;
  }
  int64_t value = 0;
  for (size_t i = 0; i < digits; ++i) {
    if (!absl::ascii_isdigit(static_cast<unsigned char>(text[i]))) {
      return false;
    }
    value = value * 10 + (text[i] - '0');
  }
  text.remove_prefix(digits);
  *out = value;
  return true;
}

bool TakeChar(absl::string_view& text, char c) {
  if (text.empty() || text[0] != c) {
    return false;
  }
  text.remove_prefix(1);
  return true;
}

// Nanoseconds since 1970; false if it is not a timestamp.
bool ParseTimestamp(absl::string_view text, int64_t* ns) {
  int64_t year, month, day, hour, minute, second;
  if (!TakeDigits(text, 4, &year) || !TakeChar(text, '-') || !TakeDigits(text, 2, &month) ||
      !TakeChar(text, '-') || !TakeDigits(text, 2, &day) || !TakeChar(text, ' ') ||
      !TakeDigits(text, 2, &hour) || !TakeChar(text, ':') || !TakeDigits(text, 2, &minute) ||
      !TakeChar(text, ':') || !TakeDigits(text, 2, &second)) {
    return false;
  }
  if (year < 1970 || year > 2200 || month < 1 || month > 12 || day < 1 ||
      day > DaysInMonth(year, month) || hour > 23 || minute > 59 || second > 60) {
    return false;
  }
  int64_t fraction = 0;
  if (TakeChar(text, '.')) {
    if (text.empty() || text.size() > 9) {
      return false;
    }
    const size_t digits = text.size();
    if (!TakeDigits(text, digits, &fraction)) {
      return false;
    }
    for (size_t i = digits; i < 9; ++i) {
      fraction *= 10;
    }
  }
  const int64_t seconds =
      DaysFromCivil(year, month, day) * 86'400 + hour * 3'600 + minute * 60 + second;
  *ns = seconds * 1'000'000'000 + fraction;
  return text.empty();
}

absl::Status AtLine(int64_t line, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("trace line ", line, ": ", what));
}

}  // namespace

absl::StatusOr<std::vector<WorkloadRequest>> ParseAzureTrace(absl::string_view text,
                                                             int64_t max_requests, uint64_t seed) {
  std::vector<WorkloadRequest> out;
  int64_t line = 0;
  int64_t origin = 0;
  for (absl::string_view row : absl::StrSplit(text, '\n')) {
    ++line;
    row = absl::StripSuffix(row, "\r");
    if (line == 1) {
      if (row != "TIMESTAMP,ContextTokens,GeneratedTokens") {
        return AtLine(1, "the header must be TIMESTAMP,ContextTokens,GeneratedTokens");
      }
      continue;
    }
    if (row.empty()) {
      continue;
    }
    if (max_requests > 0 && static_cast<int64_t>(out.size()) == max_requests) {
      break;
    }
    const std::vector<absl::string_view> fields = absl::StrSplit(row, ',');
    if (fields.size() != 3) {
      return AtLine(line, absl::StrCat("has ", fields.size(), " fields, 3 are expected"));
    }
    int64_t ns = 0;
    if (!ParseTimestamp(fields[0], &ns)) {
      return AtLine(line, "the timestamp must look like 2023-11-16 18:17:03.9799600");
    }
    WorkloadRequest request;
    if (!absl::SimpleAtoi(fields[1], &request.prompt_tokens) || request.prompt_tokens < 1 ||
        request.prompt_tokens > kMostTokens) {
      return AtLine(line, "ContextTokens must be a count from 1 to 100000000");
    }
    if (!absl::SimpleAtoi(fields[2], &request.output_tokens) || request.output_tokens < 1 ||
        request.output_tokens > kMostTokens) {
      return AtLine(line, "GeneratedTokens must be a count from 1 to 100000000");
    }
    if (out.empty()) {
      origin = ns;
    }
    request.arrival = TimePoint(ns - origin);
    if (ns < origin || (!out.empty() && request.arrival < out.back().arrival)) {
      return AtLine(line, "comes before the line above it");
    }
    request.seed = RandomBits(seed, kSeedStream, static_cast<uint64_t>(out.size()));
    out.push_back(request);
  }
  if (line == 1 || out.empty()) {
    return AtLine(line, "the trace has no requests");
  }
  return out;
}

}  // namespace scoville::client
