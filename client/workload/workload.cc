#include "client/workload/workload.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "client/workload/draws.h"

namespace scoville::client {

namespace {

// One stream of random numbers for each thing that is drawn.
enum Stream : uint64_t {
  kArrivals = 1,
  kPrompts = 2,
  kOutputs = 3,
  kSeeds = 4,
  kTokens = 5,
  kBlocks = 6,  // in the upper half of a block's stream, its id below
};
constexpr uint64_t kCancelStream = 0x63616E63656C;

// A gamma distribution's shape is 1 / cv^2: these are shapes from 1e-2 to 1e4.
constexpr double kLeastCv = 0.01;
constexpr double kMostCv = 10;
constexpr double kLongest = 9e9;  // seconds, 285 years: what a TimePoint holds

absl::Status CheckLength(const LengthOptions& length, const char* what) {
  const bool fixed_bad = length.kind == LengthKind::kFixed && length.value < 1;
  const bool range_bad =
      length.kind != LengthKind::kFixed && (length.low < 1 || length.high < length.low);
  const bool shape_bad =
      length.kind == LengthKind::kLogNormal &&
      !(length.median >= 1 && length.median <= 1e12 && length.sigma >= 0 && length.sigma <= 10);
  if (fixed_bad || range_bad || shape_bad) {
    return absl::InvalidArgumentError(absl::StrCat(
        what,
        " lengths must be at least 1 token, with low <= high, median >= 1 and sigma from 0 to 10"));
  }
  return absl::OkStatus();
}

absl::Status CheckArrivals(const ArrivalOptions& arrivals) {
  const double rate = arrivals.requests_per_second;
  const bool paced =
      arrivals.kind != ArrivalKind::kBurst && arrivals.kind != ArrivalKind::kClosedLoop;
  if (paced && !(rate > 0 && rate <= 1e9)) {
    return absl::InvalidArgumentError("requests per second must be above 0 and at most 1e9");
  }
  if (arrivals.kind == ArrivalKind::kGamma &&
      !(arrivals.cv >= kLeastCv && arrivals.cv <= kMostCv)) {
    return absl::InvalidArgumentError("the cv of gamma arrivals must be from 0.01 to 10");
  }
  if (arrivals.kind == ArrivalKind::kClosedLoop &&
      (arrivals.users < 1 || arrivals.think < Duration())) {
    return absl::InvalidArgumentError(
        "a closed loop needs at least 1 user and a time to think that is not negative");
  }
  return absl::OkStatus();
}

// Seconds between request `index - 1` and request `index` (before the first: from the start).
double DrawGap(const WorkloadOptions& options, uint64_t index) {
  const ArrivalOptions& arrivals = options.arrivals;
  switch (arrivals.kind) {
    case ArrivalKind::kPoisson:
      return DrawExponential(options.seed, kArrivals, index) / arrivals.requests_per_second;
    case ArrivalKind::kGamma: {
      const double shape = 1 / (arrivals.cv * arrivals.cv);
      return DrawGamma(options.seed, kArrivals, index, shape) /
             (shape * arrivals.requests_per_second);
    }
    case ArrivalKind::kFixed:
    case ArrivalKind::kBurst:
    case ArrivalKind::kClosedLoop:
      break;
  }
  return 0;
}

int64_t DrawLength(const LengthOptions& length, uint64_t seed, uint64_t stream, uint64_t index) {
  switch (length.kind) {
    case LengthKind::kFixed:
      return length.value;
    case LengthKind::kUniform:
      return length.low +
             static_cast<int64_t>(RandomBelow(seed, stream, index,
                                              static_cast<uint64_t>(length.high - length.low + 1)));
    case LengthKind::kLogNormal: {
      // |z| < 8.3 and sigma <= 10, so the exponent stays far below 700.
      const double value =
          length.median * PortableExp(length.sigma * DrawNormal(seed, stream, index));
      return std::clamp(static_cast<int64_t>(std::min(value, 1e15)), length.low, length.high);
    }
  }
  return length.value;
}

// Tokens of `seed` and `stream` from place `first` on.
void AppendTokens(uint64_t seed, uint64_t stream, int64_t first, int64_t count, int64_t vocabulary,
                  std::vector<int32_t>* out) {
  for (int64_t i = first; i < first + count; ++i) {
    out->push_back(static_cast<int32_t>(
        RandomBelow(seed, stream, static_cast<uint64_t>(i), static_cast<uint64_t>(vocabulary))));
  }
}

}  // namespace

absl::StatusOr<std::vector<WorkloadRequest>> GenerateWorkload(const WorkloadOptions& options) {
  if (options.requests < 0) {
    return absl::InvalidArgumentError("the number of requests must not be negative");
  }
  RETURN_IF_ERROR(CheckArrivals(options.arrivals));
  RETURN_IF_ERROR(CheckLength(options.prompt, "prompt"));
  RETURN_IF_ERROR(CheckLength(options.output, "output"));
  std::vector<WorkloadRequest> out;
  out.reserve(static_cast<size_t>(options.requests));
  double seconds = 0;
  for (int64_t i = 0; i < options.requests; ++i) {
    const uint64_t index = static_cast<uint64_t>(i);
    WorkloadRequest request;
    if (options.arrivals.kind == ArrivalKind::kClosedLoop) {
      request.after = i < options.arrivals.users ? -1 : i - options.arrivals.users;
      request.think = options.arrivals.think;
    } else if (options.arrivals.kind == ArrivalKind::kFixed) {
      seconds = static_cast<double>(i) / options.arrivals.requests_per_second;
    } else {
      seconds += DrawGap(options, index);
    }
    if (seconds > kLongest) {
      return absl::InvalidArgumentError("the workload lasts longer than 285 years");
    }
    request.arrival = TimePoint(static_cast<int64_t>(seconds * 1e9));
    request.prompt_tokens = DrawLength(options.prompt, options.seed, kPrompts, index);
    request.output_tokens = DrawLength(options.output, options.seed, kOutputs, index);
    request.seed = RandomBits(options.seed, kSeeds, index);
    out.push_back(request);
  }
  return out;
}

void ChangeSpeed(double speed, std::vector<WorkloadRequest>* requests) {
  CHECK_GT(speed, 0.0);
  if (speed == 1.0) {
    return;
  }
  for (WorkloadRequest& request : *requests) {
    const double ns = static_cast<double>(request.arrival.ns()) / speed;
    request.arrival = TimePoint(static_cast<int64_t>(std::min(ns, kLongest * 1e9)));
  }
}

void DrawCancels(uint64_t seed, double share, Duration within,
                 std::vector<WorkloadRequest>* requests) {
  CHECK_GT(within.value(), 0);
  for (uint64_t i = 0; i < requests->size(); ++i) {
    if (RandomUniform(seed, kCancelStream, 2 * i) < share) {
      const uint64_t ns =
          RandomBelow(seed, kCancelStream, 2 * i + 1, static_cast<uint64_t>(within.value()));
      (*requests)[i].cancel_after = Nanoseconds(1 + static_cast<int64_t>(ns));
    }
  }
}

std::vector<int32_t> SyntheticPrompt(uint64_t seed, int64_t tokens, int64_t vocabulary) {
  std::vector<int32_t> out;
  out.reserve(static_cast<size_t>(tokens));
  AppendTokens(seed, kTokens, 0, tokens, vocabulary, &out);
  return out;
}

uint64_t BlockSalt(uint64_t seed) { return RandomBits(seed, kBlocks, 0); }

std::vector<int32_t> PromptOf(const WorkloadRequest& request, int64_t vocabulary) {
  const int64_t tokens = request.prompt_tokens;
  std::vector<int32_t> out;
  out.reserve(static_cast<size_t>(tokens));
  int64_t done = 0;
  for (const uint32_t id : request.blocks.ids) {
    const int64_t count = std::min(request.blocks.tokens, tokens - done);
    AppendTokens(request.blocks.salt, (uint64_t{kBlocks} << 32) | id, 0, count, vocabulary, &out);
    done += count;
  }
  AppendTokens(request.seed, kTokens, done, tokens - done, vocabulary, &out);
  return out;
}

}  // namespace scoville::client
