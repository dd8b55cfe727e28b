// Nanoseconds of one call, a JSON object a line: the median of several rounds and their spread.
#ifndef SCOVILLE_TESTS_SUPPORT_NANOSECONDS_H_
#define SCOVILLE_TESTS_SUPPORT_NANOSECONDS_H_

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace scoville::tests {

// `call(i)` for i below `calls`, in each round; what it returns is summed, so that it is computed.
template <typename Call>
void ReportNanoseconds(const std::string& name, int64_t calls, Call call) {
  constexpr int kRounds = 9;
  std::vector<double> rounds;
  int64_t sink = 0;
  for (int round = 0; round < kRounds; ++round) {
    const auto begin = std::chrono::steady_clock::now();
    for (int64_t i = 0; i < calls; ++i) {
      sink += call(i);
    }
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begin;
    rounds.push_back(took.count() / static_cast<double>(calls));
  }
  std::sort(rounds.begin(), rounds.end());
  std::printf("{\"case\": \"%s\", \"ns\": %.1f, \"low\": %.1f, \"high\": %.1f, \"check\": %lld}\n",
              name.c_str(), rounds[kRounds / 2], rounds.front(), rounds.back(),
              static_cast<long long>(sink / kRounds));
  std::fflush(stdout);
}

}  // namespace scoville::tests

#endif  // SCOVILLE_TESTS_SUPPORT_NANOSECONDS_H_
