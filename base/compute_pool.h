// Where heavy arithmetic runs, so that the core itself never starts a thread.
//
// A job is run by all lanes of the pool at once, each with its own lane number; lanes meet at
// Team::Barrier(). Results come back to the engine thread as an event. The server's pool has worker
// threads; InlineComputePool runs the job at once on the caller, which is what the simulator and
// most tests use.
//
// Ownership: the pool owns the job until it is done; what the job points to must stay alive until
// `done` has run. Threading: Submit on the engine thread; the job on the pool's lanes; `done` on
// the engine thread. Errors: none; jobs of several callers run one after another, in the order they
// came.
#ifndef SCOVILLE_BASE_COMPUTE_POOL_H_
#define SCOVILLE_BASE_COMPUTE_POOL_H_

#include "absl/functional/any_invocable.h"
#include "base/event_loop.h"

namespace scoville {

// The lanes that run one job. Barrier() returns when every lane has called it, with all their
// writes visible.
class Team {
 public:
  virtual ~Team() = default;
  virtual int lanes() const = 0;
  virtual void Barrier() = 0;
};

class ComputePool {
 public:
  using Job = absl::AnyInvocable<void(Team& team, int lane)>;
  using Done = absl::AnyInvocable<void()>;

  virtual ~ComputePool() = default;
  virtual int lanes() const = 0;
  virtual void Submit(Job job, Done done) = 0;
};

// One lane whose barrier is nothing.
class SoloTeam final : public Team {
 public:
  int lanes() const override { return 1; }
  void Barrier() override {}
};

// Runs the job within Submit; `done` follows 1 ns later as a host result, so virtual time sees no
// cost.
class InlineComputePool final : public ComputePool {
 public:
  // Borrows `loop`, which must outlive the pool.
  explicit InlineComputePool(EventLoop* loop) : loop_(loop) {}

  int lanes() const override { return 1; }
  void Submit(Job job, Done done) override {
    SoloTeam team;
    job(team, 0);
    loop_->RunAt(loop_->Now() + Nanoseconds(1), EventClass::kHostResult, 0, std::move(done));
  }

 private:
  EventLoop* const loop_;
};

}  // namespace scoville

#endif  // SCOVILLE_BASE_COMPUTE_POOL_H_
