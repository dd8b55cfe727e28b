#include "sim/tenants.h"

#include <algorithm>

#include "base/random.h"

namespace scoville::sim {

namespace {

constexpr uint64_t kTenantStream = 0x74656E616E74;
constexpr uint64_t kConversationStream = 0x636F6E76;
constexpr int64_t kWindow = Seconds(10).value();

// Of one tenant in one window.
struct Part {
  double wanted = 0;
  double served = 0;
};

// Of two costs served at `from` evenly until `to`, what came before `until`.
double ServedBefore(double cost, int64_t from, int64_t to, int64_t until) {
  if (until <= from) {
    return 0;
  }
  return until >= to ? cost
                     : cost * static_cast<double>(until - from) / static_cast<double>(to - from);
}

// Max-min fair: everybody up to what they want, the rest by weight.
std::vector<double> FairShares(const std::vector<Part>& parts, const std::vector<double>& weights,
                               double capacity) {
  std::vector<double> share(parts.size(), 0);
  std::vector<size_t> open;
  for (size_t i = 0; i < parts.size(); ++i) {
    open.push_back(i);
  }
  std::sort(open.begin(), open.end(), [&](size_t a, size_t b) {
    return parts[a].wanted / weights[a] < parts[b].wanted / weights[b];
  });
  double weight = 0;
  for (size_t i : open) {
    weight += weights[i];
  }
  for (size_t i : open) {
    share[i] = std::min(parts[i].wanted, capacity * weights[i] / weight);
    capacity -= share[i];
    weight -= weights[i];
  }
  return share;
}

double Jain(const std::vector<Part>& parts, const std::vector<double>& shares) {
  double sum = 0, squares = 0;
  int64_t n = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (shares[i] <= 0) {
      continue;
    }
    const double x = std::min(1.0, parts[i].served / shares[i]);
    sum += x;
    squares += x * x;
    ++n;
  }
  return squares > 0 ? sum * sum / (static_cast<double>(n) * squares) : 0;
}

}  // namespace

std::vector<size_t> DrawTenants(uint64_t seed, absl::Span<const TenantMix> mix,
                                absl::Span<const client::WorkloadRequest> requests) {
  double total = 0;
  for (const TenantMix& tenant : mix) {
    total += tenant.share;
  }
  std::vector<size_t> chosen(requests.size(), 0);
  for (size_t i = 0; i < requests.size() && !mix.empty(); ++i) {
    const std::vector<uint32_t>& ids = requests[i].blocks.ids;
    double left = total * (ids.size() > 1 ? RandomUniform(seed, kConversationStream, ids[1])
                                          : RandomUniform(seed, kTenantStream, i));
    while (chosen[i] + 1 < mix.size() && left >= mix[chosen[i]].share) {
      left -= mix[chosen[i]++].share;
    }
  }
  return chosen;
}

double JainIndex(absl::Span<const scheduler::RequestRecord> records,
                 const std::map<std::string, double>& weights) {
  std::map<std::string, size_t> tenants;
  for (const scheduler::RequestRecord& r : records) {
    tenants.emplace(r.tenant, tenants.size());
  }
  std::vector<double> weight(tenants.size(), 1);
  for (const auto& [name, index] : tenants) {
    const auto found = weights.find(name);
    weight[index] = found == weights.end() ? 1 : found->second;
  }
  std::map<int64_t, std::vector<Part>> windows;
  for (const scheduler::RequestRecord& r : records) {
    const bool answered = r.output_tokens > 0;
    const double prompt = static_cast<double>(r.prompt_tokens);
    const double output = 2 * static_cast<double>(r.output_tokens);
    const int64_t first = r.first_token.ns();
    const int64_t last = r.last_token.ns();
    const auto served = [&](int64_t until) {
      return answered ? (until > first ? prompt : 0) + ServedBefore(output, first, last, until) : 0;
    };
    for (int64_t w = r.arrival.ns() / kWindow; w * kWindow <= r.end.ns(); ++w) {
      std::vector<Part>& parts = windows[w];
      parts.resize(tenants.size());
      Part& part = parts[tenants.at(r.tenant)];
      const double before = served(w * kWindow);
      part.wanted += prompt + output - before;
      part.served += served((w + 1) * kWindow) - before;
    }
  }
  double sum = 0, total = 0;
  for (const auto& [w, parts] : windows) {
    double wanted = 0, served = 0;
    for (const Part& part : parts) {
      wanted += part.wanted;
      served += part.served;
    }
    const auto wants = [](const Part& part) { return part.wanted > 0; };
    if (std::count_if(parts.begin(), parts.end(), wants) < 2 || served >= wanted) {
      continue;
    }
    sum += served * Jain(parts, FairShares(parts, weight, served));
    total += served;
  }
  return total > 0 ? sum / total : 1;
}

}  // namespace scoville::sim
