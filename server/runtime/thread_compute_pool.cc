#include "server/runtime/thread_compute_pool.h"

#include <utility>

#include "base/status_macros.h"

namespace scoville::server {

namespace {

// About 20 us on current processors: longer than the lanes of a well-split job lie apart.
constexpr int kSpins = 1'000;

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// Returns once `value` differs from `old`.
void WaitWhileEqual(const std::atomic<uint32_t>& value, uint32_t old) {
  for (int i = 0; i < kSpins; ++i) {
    if (value.load(std::memory_order_acquire) != old) {
      return;
    }
    Pause();
  }
  while (value.load(std::memory_order_acquire) == old) {
    value.wait(old, std::memory_order_acquire);
  }
}

}  // namespace

void ThreadComputePool::SpinTeam::Barrier() {
  const uint32_t phase = phase_.load(std::memory_order_relaxed);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == lanes_) {
    arrived_.store(0, std::memory_order_relaxed);
    phase_.fetch_add(1, std::memory_order_release);
    phase_.notify_all();
    return;
  }
  WaitWhileEqual(phase_, phase);
}

ThreadComputePool::ThreadComputePool(RealEventLoop* loop, int lanes)
    : loop_(loop), lanes_(lanes), team_(lanes) {
  CHECK_GE(lanes, 1);
  for (int lane = 0; lane < lanes; ++lane) {
    threads_.emplace_back([this, lane] { RunLane(lane); });
  }
}

ThreadComputePool::~ThreadComputePool() {
  CHECK(!busy_);
  stop_ = true;
  ticket_.fetch_add(1, std::memory_order_release);
  ticket_.notify_all();
  for (std::thread& thread : threads_) {
    thread.join();
  }
}

void ThreadComputePool::Submit(Job job, Done done) {
  if (busy_) {
    waiting_.emplace_back(std::move(job), std::move(done));
    return;
  }
  Begin(std::move(job), std::move(done));
}

void ThreadComputePool::Begin(Job job, Done done) {
  busy_ = true;
  job_ = std::move(job);
  done_ = std::move(done);
  left_.store(lanes_, std::memory_order_relaxed);
  ticket_.fetch_add(1, std::memory_order_release);
  ticket_.notify_all();
}

void ThreadComputePool::RunLane(int lane) {
  uint32_t seen = 0;
  while (true) {
    WaitWhileEqual(ticket_, seen);
    seen = ticket_.load(std::memory_order_acquire);
    if (stop_) {
      return;
    }
    job_(team_, lane);
    if (left_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      // The loop is alive: it is stopped only after the devices, which wait for this.
      loop_->Post([this] { Finish(); });
    }
  }
}

void ThreadComputePool::Finish() {
  busy_ = false;
  job_ = nullptr;
  Done done = std::move(done_);
  // Before `done`, which may submit more: that comes behind those that wait.
  if (!waiting_.empty()) {
    auto [next, next_done] = std::move(waiting_.front());
    waiting_.pop_front();
    Begin(std::move(next), std::move(next_done));
  }
  done();
}

}  // namespace scoville::server
