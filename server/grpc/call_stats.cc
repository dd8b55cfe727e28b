#include "server/grpc/call_stats.h"

namespace scoville::server {

namespace {

struct MethodName {
  const char* service;
  const char* method;
  const char* type;
};

constexpr char kCompletions[] = "scoville.v1.Completions";
constexpr char kPool[] = "scoville.v1.Pool";
constexpr std::array<MethodName, kMethods> kNames = {{
    {kCompletions, "Generate", "server_stream"},
    {kCompletions, "Chat", "server_stream"},
    {kCompletions, "Tokenize", "unary"},
    {kCompletions, "Detokenize", "unary"},
    {kCompletions, "ListModels", "unary"},
    {kPool, "GetPool", "unary"},
    {kPool, "WatchPool", "server_stream"},
    {kPool, "Explain", "unary"},
    {kPool, "SetPowerBudget", "unary"},
    {kPool, "GetPowerBudget", "unary"},
    {kPool, "SetDevicePowerCap", "unary"},
    {kPool, "DrainDevice", "unary"},
    {kPool, "ReturnDevice", "unary"},
    {kPool, "FenceDevice", "unary"},
    {kPool, "InjectFault", "unary"},
    {kPool, "LoadModel", "unary"},
    {kPool, "UnloadModel", "unary"},
    {kPool, "ScaleModel", "unary"},
}};

constexpr std::array<const char*, 17> kCodes = {
    "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
    "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED"};

}  // namespace

const char* GrpcCodeName(size_t code) { return kCodes[code]; }

std::vector<GrpcMethodCounts> CallStats::Counts() const {
  std::vector<GrpcMethodCounts> out;
  for (size_t m = 0; m < kMethods; ++m) {
    const Row& row = rows_[m];
    GrpcMethodCounts counts;
    counts.service = kNames[m].service;
    counts.method = kNames[m].method;
    counts.type = kNames[m].type;
    counts.started = row.started.load(std::memory_order_relaxed);
    counts.messages_received = row.received.load(std::memory_order_relaxed);
    counts.messages_sent = row.sent.load(std::memory_order_relaxed);
    for (size_t code = 0; code < counts.handled.size(); ++code) {
      counts.handled[code] = row.handled[code].load(std::memory_order_relaxed);
    }
    out.push_back(std::move(counts));
  }
  return out;
}

}  // namespace scoville::server
