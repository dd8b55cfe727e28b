#include "server/main/signals.h"

#include <signal.h>
#include <time.h>

namespace scoville::server {

namespace {

sigset_t Termination() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

}  // namespace

void BlockSignals() {
  const sigset_t set = Termination();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

int WaitForSignal(Duration timeout) {
  const sigset_t set = Termination();
  timespec wait{};
  wait.tv_sec = timeout.value() / 1'000'000'000;
  wait.tv_nsec = timeout.value() % 1'000'000'000;
  const int signal = sigtimedwait(&set, nullptr, &wait);
  return signal > 0 ? signal : 0;
}

}  // namespace scoville::server
