// What the tests of traces with block ids have in common.
#ifndef SCOVILLE_TESTS_UNIT_CLIENT_WORKLOAD_SHARED_PREFIXES_H_
#define SCOVILLE_TESTS_UNIT_CLIENT_WORKLOAD_SHARED_PREFIXES_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "client/workload/workload.h"

namespace scoville::client {

inline std::string ReadTrace(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in.good()) << path;
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// The folder with the whole traces, or empty.
inline std::string TraceFolder() {
  const char* folder = std::getenv("SCOVILLE_TRACES");
  return folder == nullptr ? "" : folder;
}

struct TraceCounts {
  int64_t requests = 0;
  int64_t prompt_tokens = 0;
  int64_t output_tokens = 0;
  int64_t blocks = 0;
  int64_t distinct = 0;
  int64_t hits = 0;  // of blocks, in a cache that forgets nothing, request after request
  bool hits_are_prefixes = true;

  friend bool operator==(const TraceCounts&, const TraceCounts&) = default;
};

inline TraceCounts Count(const std::vector<WorkloadRequest>& trace) {
  TraceCounts counts;
  std::set<uint32_t> seen;
  for (const WorkloadRequest& request : trace) {
    counts.requests += 1;
    counts.prompt_tokens += request.prompt_tokens;
    counts.output_tokens += request.output_tokens;
    bool missed = false;
    for (const uint32_t id : request.blocks.ids) {
      const bool hit = seen.find(id) != seen.end();
      counts.hits_are_prefixes = counts.hits_are_prefixes && !(hit && missed);
      missed = missed || !hit;
      counts.hits += hit ? 1 : 0;
    }
    seen.insert(request.blocks.ids.begin(), request.blocks.ids.end());
    counts.blocks += static_cast<int64_t>(request.blocks.ids.size());
  }
  counts.distinct = static_cast<int64_t>(seen.size());
  return counts;
}

// For test messages.
inline void PrintTo(const TraceCounts& c, std::ostream* os) {
  *os << c.requests << " requests, " << c.prompt_tokens << " + " << c.output_tokens << " tokens, "
      << c.blocks << " blocks, " << c.distinct << " distinct, " << c.hits << " hits, "
      << (c.hits_are_prefixes ? "all" : "not all") << " as prefixes";
}

}  // namespace scoville::client

#endif  // SCOVILLE_TESTS_UNIT_CLIENT_WORKLOAD_SHARED_PREFIXES_H_
