// Worker threads for the functional executor: every lane runs the job, and lanes meet at a barrier
// that spins first.
//
// A step has some hundred barriers a few microseconds apart, so waiting begins with a bounded spin
// and only then sleeps. Idle lanes sleep: an idle daemon uses no processor.
//
// The deployments of an engine share one pool: jobs run one after another in the order they came.
//
// Ownership: owns its threads; borrows the loop, which receives `done`. Threading: Submit and
// destruction on the engine thread, with no job running at destruction. Errors: none.
#ifndef SCOVILLE_SERVER_RUNTIME_THREAD_COMPUTE_POOL_H_
#define SCOVILLE_SERVER_RUNTIME_THREAD_COMPUTE_POOL_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <thread>
#include <utility>
#include <vector>

#include "base/compute_pool.h"
#include "server/runtime/real_event_loop.h"

namespace scoville::server {

class ThreadComputePool final : public ComputePool {
 public:
  ThreadComputePool(RealEventLoop* loop, int lanes);
  ~ThreadComputePool() override;

  int lanes() const override { return lanes_; }
  void Submit(Job job, Done done) override;

 private:
  class SpinTeam final : public Team {
   public:
    explicit SpinTeam(int lanes) : lanes_(lanes) {}
    int lanes() const override { return lanes_; }
    void Barrier() override;

   private:
    const int lanes_;
    std::atomic<int> arrived_{0};
    std::atomic<uint32_t> phase_{0};
  };

  void Begin(Job job, Done done);  // not busy
  void RunLane(int lane);
  void Finish();

  RealEventLoop* const loop_;
  const int lanes_;
  SpinTeam team_;
  std::vector<std::thread> threads_;

  // Written by the engine thread before ticket_ moves, read by the lanes after.
  Job job_;
  Done done_;
  bool stop_ = false;
  std::atomic<uint32_t> ticket_{0};
  std::atomic<int> left_{0};  // lanes that have not finished the job

  // Engine thread.
  bool busy_ = false;
  std::deque<std::pair<Job, Done>> waiting_;
};

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_RUNTIME_THREAD_COMPUTE_POOL_H_
