// How much of a trace of chained block ids a prefix cache of each size would have held: ours, and
// least recently used. README.md here says what each figure is.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <list>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/status_macros.h"
#include "device/kv/block_pool.h"
#include "device/kv/prefix_hash.h"
#include "nlohmann/json.hpp"

namespace scoville::device {
namespace {

using Request = std::vector<int32_t>;

// Hits in blocks, and what they save of the cost of all blocks.
struct Tally {
  int64_t hits = 0;
  int64_t blocks = 0;
  int64_t saved = 0;
  int64_t cost = 0;

  void Add(int64_t hit, int64_t length, int64_t cost_per_depth) {
    for (int64_t i = 0; i < length; ++i) {
      const int64_t block_cost = 1'000 + i * cost_per_depth;
      cost += block_cost;
      saved += i < hit ? block_cost : 0;
    }
    hits += hit;
    blocks += length;
  }
};

// One request at a time: what is in the cache when it comes is a hit, then all of it is cached.
Tally Ours(const std::vector<Request>& requests, int64_t size, int64_t pool_cost_per_depth,
           int64_t cost_per_depth) {
  KvCacheOptions options;
  options.prefix_cache = true;
  options.cost_base = 1'000;
  options.cost_per_depth = pool_cost_per_depth;
  BlockPool pool(size, 1, options);
  Tally tally;
  for (const Request& request : requests) {
    const int64_t length = static_cast<int64_t>(request.size());
    const std::vector<BlockHash> hashes = HashBlocks(BlockHash(), request, 1);
    BlockTable table(&pool);
    const int64_t hit = table.Attach(hashes);
    CHECK(table.Grow(length));
    for (int64_t i = hit; i < length; ++i) {
      table.Publish(i, hashes[static_cast<size_t>(i)]);
    }
    tally.Add(hit, length, cost_per_depth);
  }
  pool.CheckInvariants();
  return tally;
}

Tally LeastRecentlyUsed(const std::vector<Request>& requests, int64_t size,
                        int64_t cost_per_depth) {
  std::list<int32_t> order;  // the next to go first; the end of a request before its beginning
  std::unordered_map<int32_t, std::list<int32_t>::iterator> held;
  Tally tally;
  for (const Request& request : requests) {
    size_t hit = 0;
    while (hit < request.size() && held.count(request[hit]) > 0) {
      ++hit;
    }
    for (const int32_t id : request) {
      const auto found = held.find(id);
      if (found != held.end()) {
        order.erase(found->second);
        held.erase(found);
      }
    }
    while (static_cast<int64_t>(order.size() + request.size()) > size) {
      held.erase(order.front());
      order.pop_front();
    }
    for (size_t i = request.size(); i-- > 0;) {
      held.emplace(request[i], order.insert(order.end(), request[i]));
    }
    tally.Add(static_cast<int64_t>(hit), static_cast<int64_t>(request.size()), cost_per_depth);
  }
  return tally;
}

void Print(int64_t size, const char* policy, const Tally& tally) {
  std::printf(
      "{\"blocks\": %lld, \"policy\": \"%s\", \"hits\": %lld, \"of\": %lld, "
      "\"hit_percent\": %.2f, \"cost_saved_percent\": %.2f}\n",
      static_cast<long long>(size), policy, static_cast<long long>(tally.hits),
      static_cast<long long>(tally.blocks),
      100.0 * static_cast<double>(tally.hits) / static_cast<double>(tally.blocks),
      100.0 * static_cast<double>(tally.saved) / static_cast<double>(tally.cost));
}

int Run(const char* path) {
  std::ifstream file(path);
  std::vector<Request> requests;
  int64_t longest = 0;
  for (std::string line; std::getline(file, line);) {
    const nlohmann::json parsed = nlohmann::json::parse(line, nullptr, false);
    if (!parsed.is_object() || !parsed.contains("hash_ids")) {
      std::fprintf(stderr, "%s: a line without hash_ids: %s\n", path, line.c_str());
      return 1;
    }
    requests.push_back(parsed["hash_ids"].get<Request>());
    longest = std::max(longest, static_cast<int64_t>(requests.back().size()));
  }
  constexpr int64_t kCostPerDepth = 30;  // the 34th block costs twice the first
  for (const int64_t size : {2'000, 5'000, 10'000, 20'000, 40'000, 80'000, 400'000}) {
    if (size >= longest) {
      Print(size, "lru", LeastRecentlyUsed(requests, size, kCostPerDepth));
      Print(size, "ours, equal costs", Ours(requests, size, 0, kCostPerDepth));
      Print(size, "ours, cost by depth", Ours(requests, size, kCostPerDepth, kCostPerDepth));
    }
  }
  return 0;
}

}  // namespace
}  // namespace scoville::device

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: kv_trace_hits TRACE.jsonl (lines with hash_ids, as Mooncake's)\n");
    return 2;
  }
  return scoville::device::Run(argv[1]);
}
