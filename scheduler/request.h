// A request as the core sees it: native types, tokens in and tokens out. Protos, text and HTTP end
// above.
//
// Units: tokens, engine time. Ownership: moved into Scheduler::Submit, which owns it until its end;
// the sink with it. Threading: built anywhere, then engine thread only.
#ifndef SCOVILLE_SCHEDULER_REQUEST_H_
#define SCOVILLE_SCHEDULER_REQUEST_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "base/ids.h"
#include "base/units.h"
#include "model/grammar/constraint.h"
#include "model/sampling_params.h"
#include "model/text/stop_matcher.h"
#include "model/text/tokenizer.h"

namespace scoville::scheduler {

enum class ServiceClass : uint8_t { kInteractive, kStandard, kBatch };
inline constexpr size_t kServiceClasses = 3;

// How a request ended. Exactly one per admitted request.
enum class Outcome : uint8_t {
  kStop,              // an end token, a stop token or a stop string
  kLength,            // max_tokens, or the context is full
  kEnergy,            // the energy limit
  kCancelled,         // by the client
  kDeadlineExceeded,  // expired while queued or running
  kSlowConsumer,      // the reader did not take its tokens in time
  kDraining,          // the drain's deadline came first
  kDeviceLost,        // its device is gone, and no other can hold it
  kConstraint,        // what its constraint allows takes too long to find
  kInternal,
};

inline constexpr size_t kOutcomes = 10;

// True for the outcomes that a client asked for and gets a full answer with.
constexpr bool IsCompletion(Outcome o) {
  return o == Outcome::kStop || o == Outcome::kLength || o == Outcome::kEnergy;
}

// Why a request was not taken. Nothing of it stays behind.
enum class RefusalReason : uint8_t {
  kQueueFull,              // retry_after says when to come back
  kContextLengthExceeded,  // prompt + max_tokens beyond the model's context
  kNeverFits,              // more tokens than the KV cache of the largest device holds
  kInvalid,                // empty prompt, token outside the vocabulary, …
  kDeadlineExceeded,       // expired before it arrived
  kDraining,
  kNoDevice,  // no device is ready
  kPower,     // its class is shed to keep the power budget
  kQuota,     // its tenant or class waits with as much as it may
  kHopeless,  // the deadline cannot be met even if all goes well
};

inline constexpr size_t kRefusalReasons = 10;

struct Refusal {
  RefusalReason reason;
  std::string message;  // what, the value and the limit
  int64_t needed = 0;   // in the unit of the limit: requests, tokens, bytes or nanoseconds
  int64_t limit = 0;
  Duration retry_after;    // zero: don't
  std::string bound = {};  // of kQueueFull and kQuota: which limit, as "acme bytes"
};

// What one request cost and how long its parts took. All energy is emulated.
struct RequestRecord {
  RequestId id;
  std::string external_id;
  std::string tenant;
  ServiceClass service_class = ServiceClass::kStandard;
  Outcome outcome = Outcome::kInternal;
  int64_t prompt_tokens = 0;
  int64_t output_tokens = 0;
  int64_t cached_tokens = 0;      // prompt tokens that the prefix cache gave
  int64_t loaded_tokens = 0;      // that came from host memory
  int64_t recomputed_tokens = 0;  // computed again after preemptions and losses
  int64_t draft_tokens = 0;       // guessed ahead and computed
  int64_t accepted_draft_tokens = 0;
  int32_t preemptions = 0;
  int32_t migrations = 0;  // moves from a device that was lost, fenced or drained
  int32_t choice = 0;      // of a request for several: which one
  DeviceId device;         // the last one; meaningful if was_scheduled
  bool was_scheduled = false;
  TimePoint arrival;
  TimePoint scheduled;    // first step began
  TimePoint first_token;  // meaningful if output_tokens > 0
  TimePoint last_token;
  TimePoint end;
  Duration client_stall;   // waiting for the reader
  Duration emulation_lag;  // of the steps it took part in
  Energy prefill_energy;
  Energy decode_energy;
  Energy waste_energy;  // the pool's, not the request's
  uint64_t seed = 0;
  uint64_t token_hash = 0;  // of the output tokens in order
};

// Where a request's tokens go. Called on the engine thread; must not block or call back into the
// scheduler.
class TokenSink {
 public:
  virtual ~TokenSink() = default;
  // Prompt scores (if asked for) come before the first token; `first_index` is the prompt index of
  // scores[0].
  virtual void OnPromptScores(int64_t first_index,
                              absl::Span<const model::SampledToken> scores) = 0;
  virtual void OnToken(const model::SampledToken& token, TimePoint when) = 0;
  // Once, last. The sink is destroyed after it.
  virtual void OnEnd(const RequestRecord& record) = 0;
  // True while the reader is behind by more than its bound: the sequence then pauses.
  virtual bool Congested() const = 0;
};

struct Request {
  std::string external_id;
  std::string tenant = "anonymous";
  ServiceClass service_class = ServiceClass::kStandard;
  int64_t bytes = 0;  // of the message that the client sent
  // What the server has booked for it while it waits; let go when it first gets to a device.
  std::shared_ptr<void> booking;
  std::string cache_salt;            // prefixes are shared among requests of one salt
  bool bypass_prefix_cache = false;  // compute all of the prompt
  std::vector<int32_t> prompt;       // at least one token
  model::SamplingParams sampling;
  // Stop strings, and where a token's bytes come from: needed only if there are any.
  model::StopMatcher stop_strings;
  const model::Tokenizer* tokenizer = nullptr;
  bool special_tokens_are_text =
      false;  // the client reads control tokens by name, so stop strings match them too
  std::vector<int32_t>
      stop_tokens;  // end tokens of the model (unless they are to be ignored) and the client's
  int64_t max_tokens = 0;  // >= 1; 0: the rest of the context
  int64_t min_tokens = 0;  // stop_tokens are not drawn before
  Energy energy_limit;     // zero: none
  TimePoint deadline = TimePoint::Max();
  // Service levels of this request; zero: the deployment's.
  Duration ttft_target{};
  Duration itl_target{};
  // What the output has to match; nullptr: anything. Compiled by the caller, off the engine thread.
  std::shared_ptr<const model::CompiledConstraint> constraint;
  // Guess the next tokens from what the sequence has said before and check several a step. The
  // tokens are the same with and without.
  bool drafts = true;
  std::unique_ptr<TokenSink> sink;
};

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_REQUEST_H_
