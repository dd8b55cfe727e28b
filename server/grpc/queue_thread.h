// One completion queue and the thread that works it off; everything about a call happens there.
//
// Other threads reach it through Post and Notify: a mailbox and one alarm on the queue, set only
// when the mailbox was empty, so that a turn of the engine costs one wake-up however many streams
// it concerns.
//
// Ownership: shared by the server and by open streams; owns queue and thread. Threading: Post and
// Notify from any thread, the rest by the server's owner. Errors: what is posted after Close is
// dropped.
#ifndef SCOVILLE_SERVER_GRPC_QUEUE_THREAD_H_
#define SCOVILLE_SERVER_GRPC_QUEUE_THREAD_H_

#include <grpcpp/alarm.h>
#include <grpcpp/completion_queue.h>

#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "server/runtime/mutex.h"
#include "server/stream/token_stream.h"

namespace scoville::server {

// What a queue gives back. Each has at most one operation under way.
class QueueEvent {
 public:
  virtual void OnEvent(bool ok) = 0;

 protected:
  ~QueueEvent() = default;
};

// An event that calls a method of its owner.
template <typename Owner>
class MemberEvent final : public QueueEvent {
 public:
  MemberEvent(Owner* owner, void (Owner::*method)(bool)) : owner_(owner), method_(method) {}
  void OnEvent(bool ok) override { (owner_->*method_)(ok); }

 private:
  Owner* const owner_;
  void (Owner::*const method_)(bool);
};

class QueueThread final : public ReaderThread {
 public:
  explicit QueueThread(std::unique_ptr<grpc::ServerCompletionQueue> queue);
  ~QueueThread() override;

  // After the gRPC server has started.
  void Start();
  // After the gRPC server has shut down: works off what is left and joins the thread.
  void Close();

  grpc::ServerCompletionQueue* queue() { return queue_.get(); }

  void Post(absl::AnyInvocable<void()> fn) ABSL_LOCKS_EXCLUDED(mutex_);
  void Notify(std::vector<std::shared_ptr<TokenStream>> ready) override ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Run();
  void OnMail(bool ok);
  void Ring() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  MemberEvent<QueueThread> mail_{this, &QueueThread::OnMail};
  std::thread thread_;

  Mutex mutex_;
  std::vector<absl::AnyInvocable<void()>> posted_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<TokenStream>> ready_ ABSL_GUARDED_BY(mutex_);
  grpc::Alarm alarm_ ABSL_GUARDED_BY(mutex_);
  bool rung_ ABSL_GUARDED_BY(mutex_) = false;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_GRPC_QUEUE_THREAD_H_
