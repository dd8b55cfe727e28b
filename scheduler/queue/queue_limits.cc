#include "scheduler/queue/queue_limits.h"

#include <algorithm>
#include <array>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "base/quantity.h"
#include "base/status_macros.h"

namespace scoville::scheduler {
namespace {

// Sums of a few stay far from the end of the range.
constexpr int64_t kMost = int64_t{1} << 50;
constexpr Duration kLongest = Seconds(1'000'000'000);

constexpr std::array<QueueBound, 4> kBounds = {QueueBound::kRequests, QueueBound::kTokens,
                                               QueueBound::kBytes, QueueBound::kTime};

template <typename Counts>
int64_t CountOf(const Counts& counts, QueueBound bound) {
  switch (bound) {
    case QueueBound::kRequests:
      return counts.requests;
    case QueueBound::kTokens:
      return counts.tokens;
    case QueueBound::kBytes:
      return counts.bytes;
    case QueueBound::kTime:
      return counts.time.value();
  }
  return 0;
}

absl::Status SetLimit(QueueBound bound, absl::string_view text, QueueLimits* out) {
  int64_t count = 0;
  switch (bound) {
    case QueueBound::kTime: {
      ASSIGN_OR_RETURN(const Duration time, ParseDuration(text));
      count = time.value();
      out->time = time;
      break;
    }
    case QueueBound::kBytes: {
      ASSIGN_OR_RETURN(const Bytes bytes, ParseBytes(text));
      out->bytes = count = bytes.value();
      break;
    }
    default:
      if (!absl::SimpleAtoi(text, &count)) {
        return absl::InvalidArgumentError(absl::StrCat("'", text, "' is not a whole number"));
      }
      (bound == QueueBound::kRequests ? out->requests : out->tokens) = count;
  }
  const int64_t most = bound == QueueBound::kTime ? kLongest.value() : kMost;
  if (count < 1 || count > most) {
    return absl::InvalidArgumentError(absl::StrCat("'", text, "' is out of range"));
  }
  return absl::OkStatus();
}

absl::Status ParseOne(absl::string_view text, std::string* name, QueueLimits* out) {
  constexpr absl::string_view kWanted =
      ", want a name and at least one of requests=N, tokens=N, bytes=64MiB, time=30s";
  bool any = false;
  for (const absl::string_view word : absl::StrSplit(text, ' ', absl::SkipWhitespace())) {
    const size_t equals = word.find('=');
    if (equals == absl::string_view::npos) {
      if (any || !name->empty()) {
        return absl::InvalidArgumentError(absl::StrCat("'", word, "' in '", text, "'", kWanted));
      }
      *name = std::string(word);
      continue;
    }
    const auto* bound = std::find_if(kBounds.begin(), kBounds.end(), [&](QueueBound b) {
      return word.substr(0, equals) == QueueBoundName(b);
    });
    if (bound == kBounds.end() || CountOf(*out, *bound) != 0) {
      return absl::InvalidArgumentError(absl::StrCat("'", word, "' in '", text, "'", kWanted));
    }
    RETURN_IF_ERROR(SetLimit(*bound, word.substr(equals + 1), out));
    any = true;
  }
  return any ? absl::OkStatus()
             : absl::InvalidArgumentError(absl::StrCat("'", text, "' limits nothing", kWanted));
}

}  // namespace

const char* QueueBoundName(QueueBound bound) {
  switch (bound) {
    case QueueBound::kRequests:
      return "requests";
    case QueueBound::kTokens:
      return "tokens";
    case QueueBound::kBytes:
      return "bytes";
    case QueueBound::kTime:
      return "time";
  }
  return "";
}

std::optional<QueueExcess> FindExcess(const QueueLoad& waiting, const QueueLoad& more,
                                      const QueueLimits& limits, int64_t devices) {
  if (waiting.requests == 0) {
    return std::nullopt;
  }
  for (const QueueBound bound : kBounds) {
    const int64_t share = bound == QueueBound::kTime ? devices : 1;
    QueueExcess excess;
    excess.bound = bound;
    excess.limit = CountOf(limits, bound);
    excess.waiting = CountOf(waiting, bound) / share;
    excess.more = CountOf(more, bound) / share;
    const int64_t beyond = excess.waiting + excess.more - excess.limit;
    if (excess.limit == 0 || beyond <= 0) {
      continue;
    }
    const __int128 each_of = std::max<int64_t>(1, excess.waiting);
    const __int128 leave =
        (static_cast<__int128>(beyond) * waiting.requests + each_of - 1) / each_of;
    excess.to_leave = static_cast<int64_t>(std::min<__int128>(leave, waiting.requests));
    return excess;
  }
  return std::nullopt;
}

absl::StatusOr<std::map<std::string, QueueLimits>> ParseQueueLimits(
    absl::Span<const std::string> texts) {
  std::map<std::string, QueueLimits> out;
  for (const std::string& text : texts) {
    std::string name;
    QueueLimits limits;
    RETURN_IF_ERROR(ParseOne(text, &name, &limits));
    if (!out.emplace(name, limits).second) {
      return absl::InvalidArgumentError(
          name.empty() ? absl::StrCat("'", text, "': a second one without a name")
                       : absl::StrCat("names '", name, "' twice"));
    }
  }
  return out;
}

}  // namespace scoville::scheduler
