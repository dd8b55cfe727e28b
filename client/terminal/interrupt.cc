#include "client/terminal/interrupt.h"

#include <signal.h>
#include <unistd.h>

#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace scoville::client {
namespace {

// Wakes the watcher at its end; ignored by everybody else because it is blocked.
constexpr int kWakeSignal = SIGUSR2;

sigset_t Watched() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, kWakeSignal);
  return set;
}

}  // namespace

class InterruptWatcher::Impl {
 public:
  Impl() {
    const sigset_t set = Watched();
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    thread_ = std::thread([this] { Watch(); });
  }

  ~Impl() {
    pthread_kill(thread_.native_handle(), kWakeSignal);
    thread_.join();
  }

  void SetHandler(std::function<void()> handler) {
    const absl::MutexLock lock(&mutex_);
    handler_ = std::move(handler);
  }

 private:
  void Watch() {
    const sigset_t set = Watched();
    int signal = 0;
    while (sigwait(&set, &signal) == 0 && signal != kWakeSignal) {
      const absl::MutexLock lock(&mutex_);
      if (!handler_) {
        _exit(128 + signal);
      }
      handler_();
    }
  }

  std::thread thread_;
  absl::Mutex mutex_;
  std::function<void()> handler_ ABSL_GUARDED_BY(mutex_);
};

InterruptWatcher::InterruptWatcher() : impl_(std::make_unique<Impl>()) {}
InterruptWatcher::~InterruptWatcher() = default;

void InterruptWatcher::SetHandler(std::function<void()> handler) {
  impl_->SetHandler(std::move(handler));
}

}  // namespace scoville::client
