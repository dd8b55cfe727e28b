#include "server/grpc/queue_thread.h"

#include <grpc/support/time.h>

#include <utility>

namespace scoville::server {

QueueThread::QueueThread(std::unique_ptr<grpc::ServerCompletionQueue> queue)
    : queue_(std::move(queue)) {}

QueueThread::~QueueThread() { Close(); }

void QueueThread::Start() {
  thread_ = std::thread([this] { Run(); });
}

void QueueThread::Close() {
  {
    MutexLock lock(&mutex_);
    if (closed_) {
      return;
    }
    closed_ = true;
  }
  queue_->Shutdown();
  if (thread_.joinable()) {
    thread_.join();
    return;
  }
  // Never started: a queue must be empty before it goes.
  void* tag = nullptr;
  bool ok = false;
  while (queue_->Next(&tag, &ok)) {
  }
}

void QueueThread::Run() {
  void* tag = nullptr;
  bool ok = false;
  while (queue_->Next(&tag, &ok)) {
    static_cast<QueueEvent*>(tag)->OnEvent(ok);
  }
}

void QueueThread::Ring() {
  if (!rung_) {
    rung_ = true;
    alarm_.Set(queue_.get(), gpr_inf_past(GPR_CLOCK_MONOTONIC), &mail_);
  }
}

void QueueThread::Post(absl::AnyInvocable<void()> fn) {
  MutexLock lock(&mutex_);
  if (!closed_) {
    posted_.push_back(std::move(fn));
    Ring();
  }
}

void QueueThread::Notify(std::vector<std::shared_ptr<TokenStream>> ready) {
  MutexLock lock(&mutex_);
  if (closed_) {
    return;
  }
  if (ready_.empty()) {
    ready_ = std::move(ready);
  } else {
    ready_.insert(ready_.end(), std::make_move_iterator(ready.begin()),
                  std::make_move_iterator(ready.end()));
  }
  Ring();
}

void QueueThread::OnMail(bool) {
  std::vector<absl::AnyInvocable<void()>> posted;
  std::vector<std::shared_ptr<TokenStream>> ready;
  {
    MutexLock lock(&mutex_);
    rung_ = false;
    posted.swap(posted_);
    ready.swap(ready_);
  }
  for (absl::AnyInvocable<void()>& fn : posted) {
    fn();
  }
  for (const std::shared_ptr<TokenStream>& stream : ready) {
    stream->Wake();
  }
}

}  // namespace scoville::server
