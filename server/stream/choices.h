// Several answers to one prompt as requests of the scheduler, and what they cost together.
//
// Choice 0 is drawn with the request's own seed, choice i with a hash of (seed, i): what a choice
// says depends neither on how many there are nor on the others.
//
// Units: engine time, tokens. Ownership: plain values. Threading: pure functions. Errors: none.
#ifndef SCOVILLE_SERVER_STREAM_CHOICES_H_
#define SCOVILLE_SERVER_STREAM_CHOICES_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "scheduler/request.h"

namespace scoville::server {

uint64_t ChoiceSeed(uint64_t seed, uint32_t choice);

// `count` requests that differ in their seeds; only the first computes all of a prompt whose scores
// are asked for or which bypasses the cache. Precondition:
// the request has no sink, and count is at least 1.
std::vector<scheduler::Request> ChoicesOf(scheduler::Request request, uint32_t count);

// The records of all choices as one: the prompt counts once, energy and output are sums, times span
// them all. The outcome is a completion's only if all are. Precondition: not empty.
scheduler::RequestRecord MergeChoices(absl::Span<const scheduler::RequestRecord> choices);

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_STREAM_CHOICES_H_
