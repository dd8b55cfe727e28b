// What a fuzz program consists of: one function to run and the inputs to begin with.
//
// Under libFuzzer RunInput is called by LLVMFuzzerTestOneInput with whatever the fuzzer comes up
// with; in every other build replay_main.cc runs the seeds and seeded mutations of them as a test.
// A finding is a crash, a failed CHECK, or a sanitizer's report.
#ifndef SCOVILLE_TESTS_FUZZ_FUZZ_TARGET_H_
#define SCOVILLE_TESTS_FUZZ_FUZZ_TARGET_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace scoville::tests {

void RunInput(absl::Span<const uint8_t> input);

std::vector<std::vector<uint8_t>> SeedInputs();

}  // namespace scoville::tests

#endif  // SCOVILLE_TESTS_FUZZ_FUZZ_TARGET_H_
