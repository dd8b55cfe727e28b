// Counts of calls and messages by method, in the manner of go-grpc-prometheus.
//
// Ownership: owned by the server. Threading: any thread, without locks. Errors: none.
#ifndef SCOVILLE_SERVER_GRPC_CALL_STATS_H_
#define SCOVILLE_SERVER_GRPC_CALL_STATS_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

#include "server/grpc/grpc_server.h"

namespace scoville::server {

enum class Method : uint8_t {
  kGenerate,
  kChat,
  kTokenize,
  kDetokenize,
  kListModels,
  kGetPool,
  kWatchPool,
  kExplain,
  kSetPowerBudget,
  kGetPowerBudget,
  kSetDevicePowerCap,
  kDrainDevice,
  kReturnDevice,
  kFenceDevice,
  kInjectFault,
  kLoadModel,
  kUnloadModel,
  kScaleModel,
};
inline constexpr size_t kMethods = 18;

class CallStats {
 public:
  void Started(Method method) {
    At(method).started.fetch_add(1, std::memory_order_relaxed);
    At(method).received.fetch_add(1, std::memory_order_relaxed);
  }
  void Handled(Method method, int code) {
    const size_t index = code >= 0 && code < 17 ? static_cast<size_t>(code) : 2;
    At(method).handled[index].fetch_add(1, std::memory_order_relaxed);
  }
  void Sent(Method method) { At(method).sent.fetch_add(1, std::memory_order_relaxed); }

  std::vector<GrpcMethodCounts> Counts() const;

 private:
  struct Row {
    std::atomic<int64_t> started{0};
    std::atomic<int64_t> received{0};
    std::atomic<int64_t> sent{0};
    std::array<std::atomic<int64_t>, 17> handled{};
  };
  Row& At(Method method) { return rows_[static_cast<size_t>(method)]; }

  std::array<Row, kMethods> rows_;
};

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_GRPC_CALL_STATS_H_
