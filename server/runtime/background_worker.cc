#include "server/runtime/background_worker.h"

#include <utility>

namespace scoville::server {

BackgroundWorker::BackgroundWorker(Bytes most_waiting) : most_waiting_(most_waiting) {
  thread_ = std::thread([this] { Run(); });
}

BackgroundWorker::~BackgroundWorker() { Stop(); }

bool BackgroundWorker::Post(Bytes weight, Job job) {
  MutexLock lock(&mutex_);
  if (stopped_ || weight_ + weight > most_waiting_) {
    return false;
  }
  weight_ += weight;
  jobs_.push_back({weight, std::move(job)});
  changed_.NotifyAll();
  return true;
}

void BackgroundWorker::Stop() {
  std::deque<Waiting> dropped;  // outlives the lock: what a job holds may do anything as it goes
  {
    MutexLock lock(&mutex_);
    stopped_ = true;
    dropped.swap(jobs_);
    changed_.NotifyAll();
  }
  if (thread_.joinable()) {
    thread_.join();
  }
}

Bytes BackgroundWorker::waiting() const {
  MutexLock lock(&mutex_);
  return weight_;
}

void BackgroundWorker::Run() {
  while (true) {
    Waiting next;
    {
      MutexLock lock(&mutex_);
      while (jobs_.empty() && !stopped_) {
        changed_.Wait(&mutex_);
      }
      if (stopped_) {
        return;
      }
      next = std::move(jobs_.front());
      jobs_.pop_front();
    }
    next.job();
    next.job = nullptr;
    MutexLock lock(&mutex_);
    weight_ -= next.weight;
  }
}

}  // namespace scoville::server
