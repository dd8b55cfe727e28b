// Computes the steps of all functional devices of a deployment as one ragged batch on the host.
//
// A token depends on its request alone, so steps of different emulated devices that are due
// together can share one pass over the weights: the pool's size then costs the host nothing. While
// a batch runs, later steps gather for the next.
//
// Ownership: borrows the transformer, the compute pool and the loop; owns the workspace. Threading:
// engine thread; the arithmetic runs on the pool's lanes. Errors: none.
#ifndef SCOVILLE_DEVICE_EXECUTOR_HOST_BATCHER_H_
#define SCOVILLE_DEVICE_EXECUTOR_HOST_BATCHER_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "base/compute_pool.h"
#include "base/event_loop.h"
#include "device/executor/executor.h"
#include "model/compute/kv_storage.h"
#include "model/compute/transformer.h"

namespace scoville::device {

class HostBatcher {
 public:
  // `workspace`: for as many lanes as `compute` has, and `max_rows` tokens of one host batch; at
  // least the largest step of one device.
  HostBatcher(EventLoop* loop, ComputePool* compute, const model::Transformer* transformer,
              int64_t max_rows, std::unique_ptr<model::Transformer::Workspace> workspace);
  // On any thread, when nothing waits in it or runs.
  ~HostBatcher();
  HostBatcher(const HostBatcher&) = delete;
  HostBatcher& operator=(const HostBatcher&) = delete;

  // `work` and what it points to stay alive until `done` has run.
  void Enqueue(absl::Span<const SequenceStep> work, model::KvStorage* kv, Executor::Done done);

 private:
  struct Job {
    absl::Span<const SequenceStep> work;
    model::KvStorage* kv;
    Executor::Done done;
    std::vector<SequenceResult> results;
  };
  // Where a sequence of the host batch came from.
  struct Origin {
    size_t job;
    size_t index;
  };

  void ScheduleFlush();  // does nothing if one is pending
  void Flush();
  void Assemble();
  void Run(Team& team, int lane);
  void ConsumeRow(int sequence, int64_t row, absl::Span<float> logits);
  void Deliver();

  EventLoop* const loop_;
  ComputePool* const compute_;
  const model::Transformer* const transformer_;
  const int64_t max_rows_;
  const std::unique_ptr<model::Transformer::Workspace> workspace_;

  std::vector<Job> pending_;
  std::vector<Job> running_;
  std::vector<model::BatchSequence> batch_;
  std::vector<Origin> origins_;
  TimerId flush_;
  bool busy_ = false;
};

// A functional device's share of the batcher: its pages.
class FunctionalExecutor final : public Executor {
 public:
  // `host`: pages of the second tier; nullptr: there is none.
  FunctionalExecutor(HostBatcher* batcher, std::unique_ptr<model::KvStorage> kv,
                     std::unique_ptr<model::KvStorage> host = nullptr)
      : batcher_(batcher), kv_(std::move(kv)), host_(std::move(host)) {}

  void Execute(absl::Span<const SequenceStep> work, Done done) override {
    batcher_->Enqueue(work, kv_.get(), std::move(done));
  }
  void CopyPage(const PageCopy& copy) override { kv_->Copy(copy.from, copy.to); }
  void CopyToHost(uint32_t page, uint32_t host_page) override {
    host_->CopyFrom(*kv_, page, host_page);
  }
  void CopyFromHost(uint32_t host_page, uint32_t page) override {
    kv_->CopyFrom(*host_, host_page, page);
  }
  void CopyFromPeer(const Executor& peer, uint32_t peer_page, uint32_t page) override {
    kv_->CopyFrom(*static_cast<const FunctionalExecutor&>(peer).kv_, peer_page, page);
  }

 private:
  HostBatcher* const batcher_;
  const std::unique_ptr<model::KvStorage> kv_;
  const std::unique_ptr<model::KvStorage> host_;
};

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_EXECUTOR_HOST_BATCHER_H_
