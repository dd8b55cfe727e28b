// A team of real threads for tests and benchmarks: every lane runs the same function, and Barrier()
// spins.
//
// Threading: Run is called by one thread, which is lane 0; it returns when all lanes have finished.
#ifndef SCOVILLE_TESTS_SUPPORT_THREAD_TEAM_H_
#define SCOVILLE_TESTS_SUPPORT_THREAD_TEAM_H_

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "base/compute_pool.h"

namespace scoville::tests {

class ThreadTeam final : public Team {
 public:
  explicit ThreadTeam(int lanes) : lanes_(lanes) {
    for (int lane = 1; lane < lanes; ++lane) {
      threads_.emplace_back([this, lane] {
        while (true) {
          Barrier();
          if (job_ == nullptr) return;
          (*job_)(lane);
          Barrier();
        }
      });
    }
  }

  ~ThreadTeam() override {
    job_ = nullptr;
    Barrier();
    for (std::thread& t : threads_) t.join();
  }

  int lanes() const override { return lanes_; }

  void Barrier() override {
    if (lanes_ == 1) return;
    const int round = round_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) == lanes_ - 1) {
      arrived_.store(0, std::memory_order_relaxed);
      round_.store(round + 1, std::memory_order_release);
      return;
    }
    for (int spins = 0; round_.load(std::memory_order_acquire) == round; ++spins) {
      if (spins > 10'000) std::this_thread::yield();
    }
  }

  void Run(const std::function<void(int lane)>& job) {
    job_ = &job;
    Barrier();
    job(0);
    Barrier();
  }

 private:
  const int lanes_;
  std::atomic<int> arrived_{0};
  std::atomic<int> round_{0};
  const std::function<void(int lane)>* job_ = nullptr;
  std::vector<std::thread> threads_;
};

}  // namespace scoville::tests

#endif  // SCOVILLE_TESTS_SUPPORT_THREAD_TEAM_H_
